/**
 * Spare files, open and empty: making a file is asynchronous here, and a segment may have to come into being in a
 * synchronous call.
 *
 * What it keeps true: a few are kept ready; whoever takes one has it alone, and another is made meanwhile. One that is not
 * used stays as an empty file, and the next owner has it.
 */

import { fileName, ignoreErrors, openHandle, type SyncHandle } from "./opfs-files.js";

/** Spares kept ready: two segments in one synchronous stretch, a checkpoint, and one in hand. */
export const SPARES = 4;

export interface Spare {
  readonly name: string;
  readonly handle: SyncHandle;
}

export class SparePool {
  readonly #directory: FileSystemDirectoryHandle;
  readonly #epoch: number;
  readonly #ready: Spare[];
  #count = 0;
  #refilling: Promise<void> | undefined;
  #closed = false;

  constructor(directory: FileSystemDirectoryHandle, epoch: number, found: Spare[]) {
    this.#directory = directory;
    this.#epoch = epoch;
    this.#ready = found;
  }

  /** Whether one would have to be waited for. */
  get isEmpty(): boolean {
    return this.#ready.length === 0 && !this.#closed;
  }

  /** One that is ready, if there is. */
  takeNow(): Spare | undefined {
    const spare = this.#ready.shift();
    // What goes wrong here is met again, and told, by whoever has to wait for one.
    void this.refill().catch(() => {});
    return spare;
  }

  /** One that is ready, or the next that is made. */
  async take(): Promise<Spare> {
    for (;;) {
      const spare = this.#ready.shift();
      if (spare !== undefined) {
        void this.refill().catch(() => {});
        return spare;
      }
      await this.refill();
    }
  }

  /** Waits until one is ready. */
  async wait(): Promise<void> {
    while (this.isEmpty) await this.refill();
  }

  /** Back, unused and empty. */
  giveBack(spare: Spare): void {
    this.#ready.unshift(spare);
  }

  /** Makes as many as are missing. */
  refill(): Promise<void> {
    this.#refilling ??= this.#refill().finally(() => {
      this.#refilling = undefined;
    });
    return this.#refilling;
  }

  async #refill(): Promise<void> {
    while (this.#ready.length < SPARES && !this.#closed) {
      this.#count += 1;
      const name = fileName(this.#epoch, this.#count);
      const file = await this.#directory.getFileHandle(name, { create: true });
      this.#ready.push({ name, handle: await openHandle(file) });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#refilling?.catch(() => {});
    for (const { handle } of this.#ready.splice(0)) ignoreErrors(() => handle.close());
  }
}
