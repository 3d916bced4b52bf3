/**
 * The storage in the origin private file system for whoever may open its files synchronously: a dedicated worker.
 */

import { refuseAborted } from "./failures.js";
import type { OpfsSession } from "./opfs-session.js";
import { openOwned } from "./opfs-storage.js";
import type { StorageCapabilities, StorageOpenOptions } from "./storage.js";

const RECORD_BYTES_MAX = 64 * 1024 * 1024;

/** What it can do wherever it is opened. */
export const CAPABILITIES = {
  kind: "opfs",
  mechanism: "flush",
  persistent: true,
  asyncFlush: true,
  recordBytesMax: RECORD_BYTES_MAX,
} as const;

export class OwnedStorage {
  readonly capabilities: StorageCapabilities;
  readonly #name: string;
  #session: OpfsSession | undefined;

  constructor(name: string, segmentBytesTarget: number) {
    const isReady = (): boolean => this.#session?.canCreateSync !== false;
    this.#name = name;
    this.capabilities = {
      ...CAPABILITIES,
      syncAppend: true,
      syncFlush: true,
      flushBlocks: true,
      get segmentBytesTarget() {
        return isReady() ? segmentBytesTarget : Number.MAX_SAFE_INTEGER;
      },
    };
  }

  /** Opens it to write. */
  async open(options: StorageOpenOptions): Promise<OpfsSession> {
    refuseAborted(options.signal);
    this.#session = await openOwned(this.#name, options);
    return this.#session;
  }
}
