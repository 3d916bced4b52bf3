/**
 * The bytes of checkpoints, as objects in the object store. What makes a checkpoint of one stands in the log.
 */
import type { ObjectStore } from "@nats-io/obj";
import { storeFailed } from "./failures.js";

/** Longer pieces are larger messages, and fewer. */
const CHUNK_BYTES = 256 * 1024;
const NO_OBJECT = /not found/i;

/** An object that is being written. */
export interface GrowingObject {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when it is whole, on all replicas. */
  end(): Promise<void>;
  /** Never throws. */
  abandon(): Promise<void>;
}

/** The object that was read last, and how far. */
interface Reading {
  readonly name: string;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  offset: number;
  /** What was received and not asked for yet. */
  left: Uint8Array;
}

export class CheckpointObjects {
  readonly #store: ObjectStore;
  #reading: Reading | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  begin(name: string): GrowingObject {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    let byteLength = 0;
    const stored = this.#store.put({ name, options: { max_chunk_size: CHUNK_BYTES } }, readable);
    // The store does not say to the stream that it has given up.
    const failed = stored.then(
      () => new Promise<never>(() => {}),
      (error: unknown) => Promise.reject(error),
    );
    failed.catch(() => {});
    return {
      write: async (bytes) => {
        byteLength += bytes.byteLength;
        await Promise.race([writer.write(bytes.slice()), failed]);
      },
      end: async () => {
        await Promise.race([writer.close(), failed]);
        const { size } = await stored;
        if (size !== byteLength) throw storeFailed(`The object ${name} has ${size} bytes instead of ${byteLength}`);
      },
      abandon: async () => {
        writer.abort().catch(() => {});
        await stored.catch(() => {});
        await this.remove(name).catch(() => {});
      },
    };
  }

  /** Reads from `offset` on into `into`; how many bytes there were, `undefined` where there is no such object. */
  async read(name: string, offset: number, into: Uint8Array): Promise<number | undefined> {
    if (this.#reading?.name !== name || this.#reading.offset > offset) {
      await this.endReading();
      const object = await this.#store.get(name);
      if (object === null) return undefined;
      object.error.catch(() => {});
      this.#reading = { name, reader: object.data.getReader(), offset: 0, left: new Uint8Array(0) };
    }
    const reading = this.#reading;
    let done = 0;
    while (done < into.byteLength) {
      if (reading.left.byteLength === 0) {
        const { value } = await reading.reader.read();
        if (value === undefined) break;
        reading.left = value;
        continue;
      }
      const skipped = Math.min(offset - reading.offset, reading.left.byteLength);
      const part = reading.left.subarray(Math.max(skipped, 0)).subarray(0, into.byteLength - done);
      into.set(part, done);
      done += part.byteLength;
      const used = Math.max(skipped, 0) + part.byteLength;
      reading.left = reading.left.subarray(used);
      reading.offset += used;
      offset += part.byteLength;
    }
    return done;
  }

  async endReading(): Promise<void> {
    const reading = this.#reading;
    this.#reading = undefined;
    await reading?.reader.cancel().catch(() => {});
  }

  /** Removing one that is not there is no error. */
  async remove(name: string): Promise<void> {
    if (this.#reading?.name === name) await this.endReading();
    try {
      await this.#store.delete(name);
    } catch (error) {
      if (!(error instanceof Error) || !NO_OBJECT.test(error.message)) throw error;
    }
  }
}
