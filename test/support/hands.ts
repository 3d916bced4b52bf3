/**
 * Workers for tests that run on the sources: their entry is bundled from the sources too, since a thread of Node's does not
 * go through the test runner.
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "vite";
import type { WorkerPort } from "../contract/hand.js";
import { threadAt } from "../runtimes/hire.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles the entry into a folder of this name; returns what starts a worker there. */
export async function buildHands(name: string): Promise<() => WorkerPort> {
  const folder = join(ROOT, "build/hands", name);
  await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      outDir: folder,
      emptyOutDir: true,
      ssr: join(ROOT, "test/runtimes/hand-entry.ts"),
      target: "node20",
      minify: false,
      rollupOptions: { output: { entryFileNames: "hand-entry.mjs" } },
    },
  });
  const entry = pathToFileURL(join(folder, "hand-entry.mjs"));
  return () => threadAt(entry);
}
