/**
 * The platform's own storage, and a temporary place on it: the one file that chooses among adapters.
 *
 * Adapters are imported when a database is opened, so that a page that only uses IndexedDB loads nothing else.
 */
import type { Storage } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";

function hasFiles(): boolean {
  return typeof process !== "undefined" && typeof process.getBuiltinModule === "function" && !isWorkerd();
}

/** Edge functions have parts of Node's interface, but no files that outlive a request. */
function isWorkerd(): boolean {
  return typeof navigator !== "undefined" && navigator.userAgent === "Cloudflare-Workers";
}

/**
 * The storage that `Database.open("name")` uses here: files on Node, Deno and Bun, IndexedDB in browsers.
 * @throws HoldfastError `UNSUPPORTED` where there is neither.
 */
export async function platformStorage(path: string): Promise<Storage> {
  if (hasFiles()) {
    const { nodeFs } = await import("../adapters/node-fs.js");
    return nodeFs(path);
  }
  if (typeof indexedDB !== "undefined") {
    const { indexedDb } = await import("../adapters/indexeddb.js");
    return indexedDb(path);
  }
  throw new HoldfastError(
    "UNSUPPORTED",
    'This platform has neither files nor IndexedDB. Pass a storage, or open with durability: "in-memory".',
  );
}

/** A name that nobody else uses, and what removes everything kept under it. */
export async function temporaryPlace(random: (bytes: Uint8Array) => void): Promise<{
  path: string;
  remove(): Promise<void>;
}> {
  if (hasFiles()) {
    const fs = process.getBuiltinModule("node:fs/promises");
    const os = process.getBuiltinModule("node:os");
    const { join } = process.getBuiltinModule("node:path");
    const path = await fs.mkdtemp(join(os.tmpdir(), "holdfast-"));
    return { path, remove: () => fs.rm(path, { recursive: true, force: true }) };
  }
  const bytes = new Uint8Array(8);
  random(bytes);
  const path = `holdfast-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return {
    path,
    remove: () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase(path);
        request.onsuccess = () => resolve();
        request.onerror = () => reject(request.error);
      }),
  };
}
