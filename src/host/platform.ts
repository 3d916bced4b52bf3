/**
 * The platform's own storage: with joining.ts and temporary.ts, the one place that chooses among adapters.
 *
 * Adapters are imported when a database is opened, so that a page that only uses IndexedDB loads nothing else.
 */
import type { Storage } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { loaded } from "./loading.js";

/** Whether the platform has files. */
export function hasFiles(): boolean {
  return typeof process !== "undefined" && typeof process.getBuiltinModule === "function" && !isWorkerd();
}

/** Whether this thread may be put to sleep: a browser's main thread and an edge function may not. */
export function canWait(): boolean {
  if (typeof SharedArrayBuffer === "undefined" || isWorkerd()) return false;
  try {
    // The word is another one than is waited for, so that this returns at once where it is allowed.
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0) === "not-equal";
  } catch {
    return false;
  }
}

/** @throws HoldfastError `SHARED_MEMORY_UNAVAILABLE` where memory cannot be shared. Browsers want isolation for that. */
export function assertSharedMemory(): void {
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  if (typeof SharedArrayBuffer !== "undefined" && isolated !== false) return;
  throw new HoldfastError(
    "SHARED_MEMORY_UNAVAILABLE",
    "Shared memory needs a cross-origin isolated page: serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp. Everything else works without shared: true.",
  );
}

/** Edge functions have parts of Node's interface, but no files that outlive a request. */
function isWorkerd(): boolean {
  return typeof navigator !== "undefined" && navigator.userAgent === "Cloudflare-Workers";
}

/** Which of a browser's storages a name stands in, or would be made in. */
async function browserKind(path: string): Promise<"opfs" | "indexeddb" | undefined> {
  const hasIndexedDb = typeof indexedDB !== "undefined";
  const databases = hasIndexedDb ? await indexedDB.databases?.().catch(() => []) : [];
  if (databases?.some(({ name }) => name === path)) return "indexeddb";
  return (await isOpfsName(path)) ? "opfs" : hasIndexedDb ? "indexeddb" : undefined;
}

/** Whether the name stands in the origin private file system, or would be made there. */
export async function isOpfsName(path: string): Promise<boolean> {
  if (!("FileSystemSyncAccessHandle" in globalThis) && !(await hasOpfsDatabases())) return false;
  const { canMakeOpfs, opfsExists } = await loaded(import("../adapters/opfs-place.js"));
  return (await opfsExists(path)) || (await canMakeOpfs());
}

/** Whether any database stands there: a look that loads nothing. */
async function hasOpfsDatabases(): Promise<boolean> {
  try {
    const top = await navigator.storage.getDirectory();
    return (await top.getDirectoryHandle("holdfast")) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The storage that `Database.open("name")` uses here: files on Node, Deno and Bun. In browsers a name stays where it was made,
 * so that no database hides another: in IndexedDB if there is one of that name, else in the origin private file system if it
 * is there. A new one is made there in a dedicated worker that has synchronous access to its files, and in IndexedDB in a page
 * and wherever else.
 * @throws HoldfastError `UNSUPPORTED` where there is none of them.
 */
export async function platformStorage(path: string): Promise<Storage> {
  if (hasFiles()) {
    const { nodeFs } = await loaded(import("../adapters/node-fs.js"));
    return nodeFs(path);
  }
  const kind = await browserKind(path);
  if (kind === "opfs") {
    const { opfs } = await loaded(import("../adapters/opfs.js"));
    return opfs(path);
  }
  if (kind === "indexeddb") {
    const { indexedDb } = await loaded(import("../adapters/indexeddb.js"));
    return indexedDb(path);
  }
  throw new HoldfastError(
    "UNSUPPORTED",
    'This platform has neither files nor IndexedDB. Pass a storage, or open with durability: "in-memory".',
  );
}
