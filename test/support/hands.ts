/**
 * Workers for tests that run on the sources: their entry is bundled from the sources too, since a thread of Node's does not
 * go through the test runner.
 */
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "vite";
import type { WorkerPort } from "../contract/hand.js";
import { threadAt } from "../runtimes/hire.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Bundles an entry for a thread of Node's into one file in a folder, with all that it imports: threads are started by the hundred,
 * and would look for each file anew. Nothing there is compiled from a response; to look whether it is one, Node loads all that
 * it has for requests.
 */
export async function buildForThread(entry: string, folder: string, alias: Record<string, string> = {}): Promise<URL> {
  const name = `${basename(entry).replace(/\.\w+$/, "")}.mjs`;
  await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    publicDir: false,
    define: { Response: "undefined" },
    resolve: { alias },
    ssr: { noExternal: true },
    build: {
      outDir: folder,
      emptyOutDir: true,
      ssr: join(ROOT, entry),
      target: "node20",
      minify: false,
      rollupOptions: { output: { entryFileNames: name, codeSplitting: false } },
    },
  });
  return pathToFileURL(join(folder, name));
}

/** Bundles the hands' entry into a folder of this name; returns what starts a worker there, without the flags of the test runner's process. */
export async function buildHands(name: string): Promise<() => WorkerPort> {
  const entry = await buildForThread("test/runtimes/hand-entry.ts", join(ROOT, "build/hands", name));
  return () => threadAt(entry, { execArgv: [] });
}
