/**
 * The storages that a runtime has, and how to get a place of one's own in each.
 *
 * A place is named by its case, so that the second phase of a reload case finds what the first one left.
 */
import type { Storage, StorageCapabilities } from "../../src/adapters/storage.js";

/** One storage of this runtime. */
export interface Mount {
  readonly kind: string;
  readonly capabilities: StorageCapabilities;
  /** A new storage object over the place of that name. */
  storage(place: string): Storage;
}

export type Runtime = "node" | "deno" | "bun" | "browser";

export function detectRuntime(): Runtime {
  if ("Deno" in globalThis) return "deno";
  if ("Bun" in globalThis) return "bun";
  return "process" in globalThis ? "node" : "browser";
}

/**
 * @param root the directory that places are made under, where there are files; ignored in a browser
 */
export async function mountsOf(runtime: Runtime, root: string): Promise<readonly Mount[]> {
  return runtime === "browser"
    ? [await memoryMount(), await indexedDbMount()]
    : [await memoryMount(), await filesMount(root)];
}

function mount(storage: (place: string) => Storage): Mount {
  const { capabilities } = storage("capabilities");
  return { kind: capabilities.kind, capabilities, storage };
}

async function memoryMount(): Promise<Mount> {
  const { memory } = await import("../../src/adapters/memory.js");
  return mount(() => memory());
}

async function filesMount(root: string): Promise<Mount> {
  const { nodeFs } = await import("../../src/adapters/node-fs.js");
  return mount((place) => nodeFs(`${root}/${place}`));
}

async function indexedDbMount(): Promise<Mount> {
  const { indexedDb } = await import("../../src/adapters/indexeddb.js");
  return mount((place) => indexedDb(place));
}
