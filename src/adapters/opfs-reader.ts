/**
 * Reading a database in the origin private file system beside its owner: by plain files, which no handle keeps out.
 *
 * What it keeps true: each read looks at the file as it is at that moment, header first, so that what the owner has appended
 * is seen and what it has removed is not. A look during which the owner wrote is refused by the browser, and made again.
 */

import { HoldfastError } from "../errors.js";
import { noSuchFile, openedReadOnly, sessionClosed } from "./failures.js";
import {
  DATA_OFFSET,
  decodeHeader,
  type FileHeader,
  type FileKind,
  failure,
  HEADER_BYTES,
  isDataFile,
  lengthOf,
} from "./opfs-files.js";
import { directoryOf, nameOf, refused } from "./opfs-place.js";
import { persistedHint } from "./shared-owner-lock.js";
import type { SegmentInfo, StorageSession } from "./storage.js";

/** How often a look that the owner's writing spoils is made again. */
const LOOKS_MAX = 200;
const LOOK_AGAIN_MS = 5;
/** What the browser says of a file that has changed, or that is gone, since the look began. */
const SPOILED = new Set(["NotReadableError", "InvalidStateError"]);

/** A look at one file. */
interface Look {
  readonly header: FileHeader;
  readonly byteLength: number;
  readonly file: File;
}

type FoundInfo = SegmentInfo & { readonly kind: FileKind };

/** Opens the database of that name for reading. @throws HoldfastError `NOT_FOUND` where there is none */
export async function openReader(name: string): Promise<StorageSession> {
  let directory: FileSystemDirectoryHandle | undefined;
  try {
    directory = await directoryOf(name, false);
  } catch (error) {
    throw refused(error) ?? failure(`Cannot open the database ${name} in the origin private file system`, error);
  }
  if (directory === undefined) {
    throw new HoldfastError("NOT_FOUND", `There is no database ${name}. Open without readOnly to make one.`, {
      details: { name },
    });
  }
  const session = new OpfsReader(directory, await persistedHint());
  await session.look();
  return session;
}

class OpfsReader implements StorageSession {
  readonly epoch = 0;
  readonly persisted: boolean | undefined;
  readonly #directory: FileSystemDirectoryHandle;
  /** Where files were found; a file's name is used once, so that what is found there is it or gone. */
  readonly #found = new Map<string, FileSystemFileHandle>();
  #closed = false;

  constructor(directory: FileSystemDirectoryHandle, persisted: boolean | undefined) {
    this.#directory = directory;
    this.persisted = persisted;
  }

  get fresh(): boolean {
    return this.#found.size === 0;
  }

  segments(): Promise<readonly SegmentInfo[]> {
    return this.#listed("segment", "segments");
  }

  checkpoints(): Promise<readonly SegmentInfo[]> {
    return this.#listed("checkpoint", "checkpoints");
  }

  async read(segment: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("read");
    return this.#readFrom("segment", segment, offset, into);
  }

  async readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number> {
    this.#refuseClosed("readCheckpoint");
    return this.#readFrom("checkpoint", checkpoint, offset, into);
  }

  /** Finds out what there is. */
  async look(): Promise<FoundInfo[]> {
    const infos: FoundInfo[] = [];
    const found = new Map<string, FileSystemFileHandle>();
    try {
      for await (const [name, entry] of this.#directory.entries()) {
        if (!isDataFile(name) || entry.kind !== "file") continue;
        const handle = entry as FileSystemFileHandle;
        const look = await lookAt(handle, async ({ header, byteLength }) => ({ ...header, byteLength }));
        if (look === undefined) continue;
        infos.push(look);
        found.set(`${look.kind} ${look.number}`, handle);
      }
    } catch (error) {
      throw failure("Cannot look through the database", error);
    }
    this.#found.clear();
    for (const [key, handle] of found) this.#found.set(key, handle);
    return infos;
  }

  async createSegment(): Promise<never> {
    throw this.#refusal("createSegment");
  }
  createSegmentSync(): never {
    throw this.#refusal("createSegment");
  }
  async append(): Promise<never> {
    throw this.#refusal("append");
  }
  appendSync(): never {
    throw this.#refusal("append");
  }
  async flush(): Promise<never> {
    throw this.#refusal("flush");
  }
  flushSync(): never {
    throw this.#refusal("flushSync");
  }
  async truncate(): Promise<never> {
    throw this.#refusal("truncate");
  }
  truncateSync(): never {
    throw this.#refusal("truncate");
  }
  async removeSegment(): Promise<never> {
    throw this.#refusal("removeSegment");
  }
  async beginCheckpoint(): Promise<never> {
    throw this.#refusal("beginCheckpoint");
  }
  async removeCheckpoint(): Promise<never> {
    throw this.#refusal("removeCheckpoint");
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #listed(kind: FileKind, what: string): Promise<readonly SegmentInfo[]> {
    this.#refuseClosed(what);
    const infos = await this.look();
    return infos
      .filter((info) => info.kind === kind)
      .map(({ number, byteLength }) => ({ number, byteLength }))
      .sort((a, b) => a.number - b.number);
  }

  async #readFrom(kind: FileKind, number: number, offset: number, into: Uint8Array): Promise<number> {
    const key = `${kind} ${number}`;
    if (!this.#found.has(key)) await this.look();
    const handle = this.#found.get(key);
    if (handle === undefined) throw noSuchFile(kind, number);
    let count: number | undefined;
    try {
      count = await lookAt(handle, async ({ header, byteLength, file }) => {
        if (header.kind !== kind || header.number !== number) return undefined;
        const end = Math.min(offset + into.byteLength, byteLength);
        if (offset >= end) return 0;
        const bytes = new Uint8Array(await file.slice(DATA_OFFSET + offset, DATA_OFFSET + end).arrayBuffer());
        into.set(bytes);
        return bytes.byteLength;
      });
    } catch (error) {
      throw failure(`Cannot read ${kind} ${number}`, error);
    }
    if (count === undefined) throw noSuchFile(kind, number);
    return count;
  }

  #refuseClosed(what: string): void {
    if (this.#closed) throw sessionClosed(what);
  }

  #refusal(what: string): HoldfastError {
    return this.#closed ? sessionClosed(what) : openedReadOnly(what);
  }
}

/** Looks at a file if it is valid, again where its owner has written to it meanwhile. */
async function lookAt<T>(handle: FileSystemFileHandle, use: (look: Look) => Promise<T>): Promise<T | undefined> {
  for (let looks = 1; ; looks += 1) {
    try {
      const file = await handle.getFile();
      const header = decodeHeader(new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer()));
      if (header === undefined) return undefined;
      return await use({ header, byteLength: lengthOf(header, file.size), file });
    } catch (error) {
      if (nameOf(error) === "NotFoundError") return undefined;
      if (!SPOILED.has(nameOf(error)) || looks >= LOOKS_MAX) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
