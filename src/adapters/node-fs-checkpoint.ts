/**
 * A checkpoint on its way to the disk: a file under a temporary name until it is whole.
 *
 * What it keeps true: it gets its own name only once its bytes are synced, and `commit` returns only once the name is. A
 * failure before the name leaves the log as it was; one after it is the session's, for nobody knows what the directory holds.
 */

import type { HoldfastError } from "../errors.js";
import { sessionClosed } from "./failures.js";
import {
  failure,
  ignoreErrors,
  openFile,
  type Platform,
  rename,
  syncFile,
  TEMPORARY_SUFFIX,
  writeAll,
} from "./node-fs-platform.js";
import type { CheckpointWriter } from "./storage.js";

/** What a checkpoint asks of the session that it belongs to. */
export interface CheckpointOwner {
  /** Throws where the session must not write any more. */
  refuse(what: string): void;
  /** Counts work as under way, so that closing waits for it. */
  track<T>(work: Promise<T>): Promise<T>;
  /** Ends the session. */
  fail(what: string, cause: unknown): HoldfastError;
}

export class FileCheckpoint implements CheckpointWriter {
  readonly #node: Platform;
  readonly #path: string;
  readonly #temporary: string;
  readonly #directoryFd: number | undefined;
  readonly #owner: CheckpointOwner;
  #fd: number | undefined;
  #byteLength = 0;

  constructor(node: Platform, path: string, directoryFd: number | undefined, owner: CheckpointOwner) {
    this.#node = node;
    this.#path = path;
    this.#temporary = path + TEMPORARY_SUFFIX;
    this.#directoryFd = directoryFd;
    this.#owner = owner;
    try {
      node.fs.rmSync(this.#temporary, { force: true });
      this.#fd = openFile(node, this.#temporary, "create");
    } catch (error) {
      throw failure("Cannot begin a checkpoint", error);
    }
  }

  /** Whether it is neither committed nor abandoned. */
  get isOpen(): boolean {
    return this.#fd !== undefined;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const fd = this.#open("write");
    writeAll(this.#node, fd, bytes, this.#byteLength, "Cannot write the checkpoint");
    this.#byteLength += bytes.byteLength;
  }

  async commit(): Promise<void> {
    const fd = this.#open("commit");
    await this.#owner.track(this.#commit(fd));
  }

  async #commit(fd: number): Promise<void> {
    const { fs } = this.#node;
    try {
      await syncFile(this.#node, fd);
      this.#owner.refuse("commit");
      this.#close();
      rename(this.#node, this.#temporary, this.#path);
    } catch (error) {
      // It is closed by now where the rename has failed, and then nobody comes back for it, under whichever name.
      if (!this.isOpen) {
        this.#removeTemporary();
        ignoreErrors(() => fs.rmSync(this.#path, { force: true }));
      }
      throw failure("Cannot finish the checkpoint", error);
    }
    try {
      if (this.#directoryFd !== undefined) await syncFile(this.#node, this.#directoryFd);
    } catch (error) {
      ignoreErrors(() => fs.rmSync(this.#path, { force: true }));
      throw this.#owner.fail("Cannot make the name of a checkpoint durable", error);
    }
  }

  async abandon(): Promise<void> {
    if (!this.isOpen) return;
    this.#close();
    this.#removeTemporary();
  }

  #removeTemporary(): void {
    ignoreErrors(() => this.#node.fs.rmSync(this.#temporary, { force: true }));
  }

  #open(what: string): number {
    this.#owner.refuse(what);
    if (this.#fd === undefined) throw sessionClosed(`${what} of a checkpoint`);
    return this.#fd;
  }

  #close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) ignoreErrors(() => this.#node.fs.closeSync(fd));
  }
}
