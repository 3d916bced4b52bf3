/**
 * The files of a database in the origin private file system: their layout, and how bytes come into them.
 *
 *     owner                                      <epoch>-<n>, a data file
 *        0  epoch record of every odd owner         0  header: what the file is; none or a broken one: nothing
 *     4096  epoch record of every even owner     4096  the bytes of the segment or checkpoint
 *
 *     epoch record   magic "HFOW" u32 · format u32 · epoch u32 · CRC-32 u32                                  little-endian
 *     header         magic "HFOP" u32 · format u32 · kind u32 (1 segment, 2 checkpoint) · epoch u32 · number f64
 *                    · bytes at its making f64 · CRC-32 u32
 *
 * There is no rename here that is known to be durable, so a file becomes valid by its header: bytes → flush → header → flush.
 * Without a valid header it is an unused spare or a left-over, whatever its length; so nothing torn or unsynced can pass for
 * whole. It is made invalid in the same way, header first, and then removed. A file's name is used once: whoever holds it
 * never meets other bytes under it.
 */

import { HoldfastError } from "../errors.js";
import { storageFull, storeFailed } from "./failures.js";
import { nameOf } from "./opfs-place.js";

/** What `createSyncAccessHandle` gives, in dedicated workers only; the platform's types have it for workers alone. */
export interface SyncHandle {
  read(into: Uint8Array, options: { readonly at: number }): number;
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(byteLength: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

export type FileKind = "segment" | "checkpoint";

/** What a data file says it is. */
export interface FileHeader {
  readonly kind: FileKind;
  readonly number: number;
  readonly epoch: number;
  /** Bytes that it had when it was made: of a checkpoint all that it has. */
  readonly byteLength: number;
}

export const OWNER_FILE = "owner";
const DATA_FILE = /^(\d{1,10})-\d{1,15}$/;
/** Where the bytes begin: a block of its own for the header, so that no append ever rewrites it. */
export const DATA_OFFSET = 4096;

const FORMAT = 1;
const HEADER_MAGIC = 0x504f4648;
const OWNER_MAGIC = 0x574f4648;
const MAGIC_OFFSET = 0;
const FORMAT_OFFSET = MAGIC_OFFSET + 4;
const KIND_OFFSET = FORMAT_OFFSET + 4;
const EPOCH_OFFSET = KIND_OFFSET + 4;
const NUMBER_OFFSET = EPOCH_OFFSET + 4;
const LENGTH_OFFSET = NUMBER_OFFSET + 8;
const HEADER_CRC_OFFSET = LENGTH_OFFSET + 8;
export const HEADER_BYTES = HEADER_CRC_OFFSET + 4;
const OWNER_EPOCH_OFFSET = FORMAT_OFFSET + 4;
const OWNER_CRC_OFFSET = OWNER_EPOCH_OFFSET + 4;
const OWNER_BYTES = OWNER_CRC_OFFSET + 4;

const KINDS: readonly FileKind[] = ["segment", "checkpoint"];
/** What two systems that run at once may need to let a dead owner's file go. */
const BUSY_MS_MAX = 2_000;
const BUSY_STEP_MS = 40;

export const fileName = (epoch: number, count: number): string => `${epoch}-${count}`;

export const isDataFile = (name: string): boolean => DATA_FILE.test(name);

// ---- Records ---------------------------------------------------------------------------------------------------------

const CRC_POLYNOMIAL = 0xedb88320;

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
  }
  return ~crc >>> 0;
}

function sealed(bytes: Uint8Array, view: DataView): Uint8Array {
  const crcOffset = bytes.byteLength - 4;
  view.setUint32(crcOffset, crc32(bytes.subarray(0, crcOffset)), true);
  return bytes;
}

/** A view of a record whose magic, format and checksum are right. */
function opened(bytes: Uint8Array, magic: number, byteLength: number): DataView | undefined {
  if (bytes.byteLength < byteLength) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength);
  const isWhole =
    view.getUint32(MAGIC_OFFSET, true) === magic &&
    view.getUint32(byteLength - 4, true) === crc32(bytes.subarray(0, byteLength - 4));
  if (!isWhole) return undefined;
  if (view.getUint32(FORMAT_OFFSET, true) === FORMAT) return view;
  throw storeFailed("The database was written by a newer Holdfast, in files of another layout. Open it with that one");
}

export function encodeHeader({ kind, number, epoch, byteLength }: FileHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(MAGIC_OFFSET, HEADER_MAGIC, true);
  view.setUint32(FORMAT_OFFSET, FORMAT, true);
  view.setUint32(KIND_OFFSET, KINDS.indexOf(kind) + 1, true);
  view.setUint32(EPOCH_OFFSET, epoch, true);
  view.setFloat64(NUMBER_OFFSET, number, true);
  view.setFloat64(LENGTH_OFFSET, byteLength, true);
  return sealed(bytes, view);
}

/** What a file says it is; `undefined` where it says nothing that is whole. */
export function decodeHeader(bytes: Uint8Array): FileHeader | undefined {
  const view = opened(bytes, HEADER_MAGIC, HEADER_BYTES);
  const kind = view === undefined ? undefined : KINDS[view.getUint32(KIND_OFFSET, true) - 1];
  if (view === undefined || kind === undefined) return undefined;
  return {
    kind,
    number: view.getFloat64(NUMBER_OFFSET, true),
    epoch: view.getUint32(EPOCH_OFFSET, true),
    byteLength: view.getFloat64(LENGTH_OFFSET, true),
  };
}

/** What there is to read of a file: a segment ends where the file does, a checkpoint has what it was made of. */
export function lengthOf({ kind, byteLength }: FileHeader, fileBytes: number): number {
  const there = Math.max(fileBytes - DATA_OFFSET, 0);
  return kind === "segment" ? there : Math.min(there, byteLength);
}

/** The highest epoch in an owner file; 0 where there is none. */
export function readEpoch(handle: SyncHandle): number {
  const slots = [0, DATA_OFFSET].map((at) => {
    const bytes = new Uint8Array(OWNER_BYTES);
    const count = handle.read(bytes, { at });
    return opened(bytes.subarray(0, count), OWNER_MAGIC, OWNER_BYTES)?.getUint32(OWNER_EPOCH_OFFSET, true) ?? 0;
  });
  return Math.max(...slots);
}

/** Keeps an epoch beside the one before it, durably: a torn record leaves that one. */
export function writeEpoch(handle: SyncHandle, epoch: number): void {
  const bytes = new Uint8Array(OWNER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(MAGIC_OFFSET, OWNER_MAGIC, true);
  view.setUint32(FORMAT_OFFSET, FORMAT, true);
  view.setUint32(OWNER_EPOCH_OFFSET, epoch, true);
  writeAll(handle, sealed(bytes, view), epoch % 2 === 1 ? 0 : DATA_OFFSET, "Cannot raise the epoch");
  handle.flush();
}

// ---- Handles ---------------------------------------------------------------------------------------------------------

/** A platform's error as the one class. Want of room has had nothing of the call kept. */
export function failure(what: string, cause: unknown): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  return nameOf(cause) === "QuotaExceededError" ? storageFull(what, 0, cause) : storeFailed(what, cause);
}

/**
 * Opens a file for one holder. The file of a tab that has just died may be busy for a moment.
 * @throws the browser's `NoModificationAllowedError` while another tab or worker that lives has it
 */
export async function openHandle(file: FileSystemFileHandle): Promise<SyncHandle> {
  const openable = file as FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncHandle> };
  const deadline = performance.now() + BUSY_MS_MAX;
  for (;;) {
    try {
      return await openable.createSyncAccessHandle();
    } catch (error) {
      if (nameOf(error) !== "NoModificationAllowedError" || performance.now() >= deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_STEP_MS));
  }
}

/**
 * Writes all of `bytes`, whatever the number of calls it takes.
 * @throws HoldfastError `STORAGE_FULL` with how many were written, `STORE_FAILED`
 */
export function writeAll(handle: SyncHandle, bytes: Uint8Array, at: number, what: string): void {
  for (let done = 0; done < bytes.byteLength; ) {
    let count: number;
    try {
      count = handle.write(done === 0 ? bytes : bytes.subarray(done), { at: at + done });
    } catch (error) {
      if (nameOf(error) !== "QuotaExceededError") throw storeFailed(what, error);
      throw storageFull(what, done, error);
    }
    if (count <= 0) throw storeFailed(`${what}: nothing was written of ${bytes.byteLength - done} bytes`);
    done += count;
  }
}

/** Reads into all of `into`, or up to the end of the file; returns how many bytes there were. */
export function readAll(handle: SyncHandle, into: Uint8Array, at: number): number {
  let done = 0;
  while (done < into.byteLength) {
    const count = handle.read(done === 0 ? into : into.subarray(done), { at: at + done });
    if (count <= 0) break;
    done += count;
  }
  return done;
}

/** For what is given up anyhow. */
export function ignoreErrors(action: () => void): void {
  try {
    action();
  } catch {
    // A handle that is lost cannot be closed, and need not be.
  }
}
