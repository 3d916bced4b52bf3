/**
 * The storages that a runtime has, and how to get a place of one's own in each.
 *
 * A place is named by its case, so that the second phase of a reload case finds what the first one left.
 */
import type { DurableObjectStorageLike } from "../../src/adapters/durable-object.js";
import type { Storage, StorageCapabilities } from "../../src/adapters/storage.js";

/** One storage of this runtime, under a memory of one kind. */
export interface Mount {
  /** What it is called in the report. */
  readonly name: string;
  readonly kind: string;
  readonly capabilities: StorageCapabilities;
  /** Whether databases are opened with `shared: true`. */
  readonly shared: boolean;
  /** Whether the suites get one that is attached to where that was opened. */
  readonly attached: boolean;
  /** Whether another worker writes the log. */
  readonly isApart: boolean;
  /** A new storage object over the place of that name. */
  storage(place: string): Storage;
  /** What `Database.open` takes for that place; `undefined` where the storage is not the platform's own. */
  path(place: string): string | undefined;
}

export type Runtime = "node" | "deno" | "bun" | "workerd" | "browser";

export function detectRuntime(): Runtime {
  if ("Deno" in globalThis) return "deno";
  if ("Bun" in globalThis) return "bun";
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  return "process" in globalThis ? "node" : "browser";
}

/**
 * All storages, each under memory of its own and under shared memory; in browsers also attached to, where many are: in a worker.
 * @param root the directory that places are made under, where there are files; ignored in a browser
 * @param object the storage of the Durable Object that this runs in, if it does
 */
export async function mountsOf(
  runtime: Runtime,
  root: string,
  object?: DurableObjectStorageLike,
): Promise<readonly Mount[]> {
  // There are neither files there, nor workers to share a memory with.
  if (runtime === "workerd") return object === undefined ? [await memoryMount()] : [await durableObjectMount(object)];
  const single = runtime === "browser" ? await browserMounts() : [await memoryMount(), await filesMount(root)];
  // Firefox 153 loses its tab now and then when workers end that a worker has started, whatever they did.
  const isFirefox = runtime === "browser" && navigator.userAgent.includes("Firefox");
  if (isFirefox && isInWorker()) return single;
  const shared = single.map(overSharedMemory);
  if (runtime !== "browser") return [...single, ...shared];
  if (!isInWorker()) {
    const instead = isFirefox ? shared.filter(({ kind }) => kind === "indexeddb") : [];
    return [...single, ...shared, ...instead.map(attachedTo)];
  }
  // In a worker one can wait for the worker that writes to it, and so do there what it cannot do by itself.
  const inDatabase = overSharedMemory({ ...(await indexedDbMount()), name: "indexeddb in a worker" });
  return [...single, ...shared, ...[...shared, inDatabase].map(attachedTo)];
}

/** Whether this is a worker of a page: the same storages, and what they can do there. */
export function isInWorker(): boolean {
  return typeof document === "undefined";
}

async function browserMounts(): Promise<readonly Mount[]> {
  return isInWorker()
    ? [await opfsMount("worker")]
    : [await memoryMount(), await indexedDbMount(), await opfsMount("page")];
}

function mount(storage: (place: string) => Storage, path: (place: string) => string | undefined): Mount {
  const { capabilities } = storage("capabilities");
  const { kind: name } = capabilities;
  return { name, kind: name, capabilities, shared: false, attached: false, isApart: false, storage, path };
}

function overSharedMemory(single: Mount): Mount {
  const { capabilities } = single;
  const isApart = single.storage("capabilities").openApart !== undefined;
  const waits = isApart ? { syncAppend: isInWorker(), syncFlush: isInWorker() } : {};
  const name = `${single.name}, shared`;
  return { ...single, name, shared: true, isApart, capabilities: { ...capabilities, ...waits } };
}

function attachedTo(shared: Mount): Mount {
  return { ...shared, name: shared.name.replace("shared", "attached"), attached: true };
}

async function memoryMount(): Promise<Mount> {
  const { memory } = await import("../../src/adapters/memory.js");
  return mount(
    () => memory(),
    () => undefined,
  );
}

async function durableObjectMount(object: DurableObjectStorageLike): Promise<Mount> {
  const { durableObject } = await import("../../src/adapters/durable-object.js");
  return mount(
    (place) => durableObject(object, { name: place }),
    () => undefined,
  );
}

async function filesMount(root: string): Promise<Mount> {
  const { nodeFs } = await import("../../src/adapters/node-fs.js");
  const path = (place: string): string => `${root}/${place}`;
  return mount((place) => nodeFs(path(place)), path);
}

/** A page and a worker have places of their own, since they meet in one file system. */
async function opfsMount(where: "page" | "worker"): Promise<Mount> {
  const { opfs } = await import("../../src/adapters/opfs.js");
  const name = (place: string): string => `${where}-${place}`;
  // By a path a worker gets this storage, a page the one in IndexedDB.
  const path = (place: string): string | undefined => (where === "worker" ? name(place) : undefined);
  return { ...mount((place) => opfs(name(place)), path), name: where === "worker" ? "opfs in a worker" : "opfs" };
}

async function indexedDbMount(): Promise<Mount> {
  const { indexedDb } = await import("../../src/adapters/indexeddb.js");
  const name = (place: string): string => (isInWorker() ? `worker-${place}` : place);
  // By a path a page gets this storage, a worker the one in its files.
  const path = (place: string): string | undefined => (isInWorker() ? undefined : name(place));
  return mount((place) => indexedDb(name(place)), path);
}
