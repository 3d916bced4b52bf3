/**
 * A temporary place on the platform's own storage.
 *
 * Loaded only where one is asked for.
 */
import { loaded } from "./loading.js";
import { hasFiles, isOpfsName } from "./platform.js";

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
  return { path, remove: () => removeFromBrowser(path) };
}

async function removeFromBrowser(path: string): Promise<void> {
  if (await isOpfsName(path)) {
    const { removeOpfs } = await loaded(import("../adapters/opfs-place.js"));
    return removeOpfs(path);
  }
  const { removeIndexedDb } = await loaded(import("../adapters/indexeddb.js"));
  return removeIndexedDb(path);
}
