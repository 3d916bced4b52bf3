/**
 * Where a history takes place: how its database is opened, and opened again where it is kept, and how workers are hired there.
 */
import type { WasmSource } from "../../src/host/core-loader.js";
import { Database } from "../../src/index.js";
import { Hand, type WorkerPort } from "../contract/hand.js";
import type { Mode } from "./diary.js";

/** A database that is kept, seen by others than those who share its memory. */
export interface Kept {
  /** Only to be read, beside the live owner: what a process that is killed at this instant leaves behind. */
  look(): Promise<Database>;
  /** After it was closed. */
  reopen(): Promise<Database>;
}

export interface Ground {
  /** For people: the runtime and the storage. */
  readonly name: string;
  readonly modes: readonly Mode[];
  open(): Promise<Database>;
  readonly kept: Kept | undefined;
  /** Takes away what it has left. */
  remove(): Promise<void>;
}

/** More than any history comes to. */
const BYTES_MAX = 2 ** 27;

export function inMemory(name: string, wasm?: WasmSource): Ground {
  return {
    name: `${name}, in memory`,
    modes: ["in-memory"],
    open: () => Database.open({ durability: "in-memory", shared: true, wasm, maxBytes: BYTES_MAX }),
    kept: undefined,
    remove: async () => {},
  };
}

/** In a directory of its own, with segments of so many bytes. */
export function onFiles(name: string, path: string, segmentBytesTarget: number, wasm?: WasmSource): Ground {
  const storage = async () => (await import("../../src/adapters/node-fs.js")).nodeFs(path, { segmentBytesTarget });
  const open = async (options: { shared?: boolean; readOnly?: boolean }): Promise<Database> =>
    Database.open({ storage: await storage(), maxBytes: BYTES_MAX, ...options });
  return {
    name: `${name}, on files`,
    modes: ["in-memory", "buffered", "buffered", "strict"],
    open: async () =>
      Database.open({ storage: await storage(), shared: true, wasm, maxBytes: BYTES_MAX, durability: "buffered" }),
    kept: { look: () => open({ readOnly: true }), reopen: () => open({}) },
    remove: () => process.getBuiltinModule("node:fs/promises").rm(path, { recursive: true, force: true }),
  };
}

/** Workers that go from one history to the next; one that was terminated is replaced by a new one. */
export class Crew {
  readonly #idle: Hand[] = [];
  readonly #start: () => WorkerPort;
  /** Whether a worker's end is certain once `terminate` has resolved; otherwise the database has to find out itself. */
  readonly terminatesForSure: boolean;

  constructor(start: () => WorkerPort, terminatesForSure: boolean) {
    this.#start = start;
    this.terminatesForSure = terminatesForSure;
  }

  take(): Hand {
    return this.#idle.pop() ?? new Hand(this.#start());
  }

  give(hand: Hand): void {
    this.#idle.push(hand);
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((hand) => hand.terminate()));
  }
}

/** Whether a worker that was terminated is known to be dead when that call has resolved; in Deno and browsers it may run on. */
export function terminatesForSure(runtime: string): boolean {
  return runtime === "node" || runtime === "bun";
}
