/**
 * The smallest storage there is: segments as byte arrays, nothing else. For tests that open a damaged log tens of
 * thousands of times and look at what was written.
 */
import type { Storage, StorageCapabilities, StorageSession } from "../../src/adapters/storage.js";
import { HoldfastError } from "../../src/errors.js";
import { appended } from "./appended-bytes.js";

/** The bytes of each segment by its number, ascending. */
export type Segments = ReadonlyMap<number, Uint8Array>;

const CAPABILITIES: StorageCapabilities = {
  kind: "bytes",
  mechanism: "none",
  persistent: true,
  syncAppend: true,
  syncFlush: true,
  asyncFlush: true,
  recordBytesMax: 64 * 1024 * 1024,
  segmentBytesTarget: 64 * 1024 * 1024,
};

/**
 * Storage over byte arrays. They are never changed: whatever writes puts a new one in their place. An owner is taken to have
 * been killed when the next one opens it: what it still does has no effect.
 */
export class ByteStorage implements Storage {
  readonly capabilities: StorageCapabilities;
  readonly segments: Map<number, Uint8Array>;
  readonly checkpoints: Map<number, Uint8Array>;
  /** The epoch of the newest owner. */
  epoch: number;

  constructor(
    segments: Segments,
    epoch: number,
    checkpoints: Segments = new Map(),
    capabilities: Partial<StorageCapabilities> = {},
  ) {
    this.capabilities = { ...CAPABILITIES, ...capabilities };
    this.segments = new Map(segments);
    this.checkpoints = new Map(checkpoints);
    this.epoch = epoch;
  }

  async open(): Promise<StorageSession> {
    const { segments, checkpoints } = this;
    this.epoch += 1;
    const { epoch } = this;
    const isKilled = (): boolean => this.epoch !== epoch;
    let current = 0;
    const create = (number: number, content: Uint8Array): void => {
      if (isKilled()) return;
      if (segments.has(number)) throw new HoldfastError("STORE_FAILED", `segment ${number} is already there`);
      segments.set(number, content.slice());
      current = number;
    };
    const cut = (length: number): void => {
      if (isKilled()) return;
      segments.set(current, (segments.get(current) as Uint8Array).slice(0, length));
    };
    const append = (bytes: Uint8Array): void => {
      if (isKilled()) return;
      segments.set(current, appended(segments.get(current) as Uint8Array, bytes));
    };
    return {
      epoch,
      fresh: segments.size === 0,
      persisted: undefined,
      segments: async () => listed(segments),
      read: async (number, offset, into) => copied(segments, number, offset, into),
      createSegment: async (number, content) => create(number, content),
      createSegmentSync: create,
      append: async (bytes) => append(bytes),
      appendSync: append,
      flush: async () => {},
      flushSync: () => {},
      truncate: async (length) => cut(length),
      truncateSync: cut,
      removeSegment: async (number) => {
        segments.delete(number);
      },
      checkpoints: async () => listed(checkpoints),
      readCheckpoint: async (number, offset, into) => copied(checkpoints, number, offset, into),
      beginCheckpoint: async (number) => {
        let written: Uint8Array = new Uint8Array(0);
        return {
          write: async (bytes) => {
            written = appended(written, bytes);
          },
          commit: async () => {
            checkpoints.set(number, written);
          },
          abandon: async () => {},
        };
      },
      removeCheckpoint: async (number) => {
        checkpoints.delete(number);
      },
      close: async () => {},
    };
  }
}

function listed(files: Segments): { number: number; byteLength: number }[] {
  const all = [...files].map(([number, bytes]) => ({ number, byteLength: bytes.length }));
  return all.sort((a, b) => a.number - b.number);
}

function copied(files: Segments, number: number, offset: number, into: Uint8Array): number {
  const part = (files.get(number) as Uint8Array).subarray(offset, offset + into.length);
  into.set(part);
  return part.length;
}
