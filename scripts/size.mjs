/**
 * The size budget: what a user downloads, gzipped, against named limits.
 *
 * The browser bundle is the public entry with everything it imports, built as an application would build it, in memory.
 * The wasm is counted apart, and so is what a browser never fetches: the adapter for files, behind a dynamic import.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { isMain, ROOT } from "./steps.mjs";

const KIB = 1024;
const GZIP_LEVEL = 9;
// Gzipped bytes that each thing may have.

/** The goal is 16 KiB; walking a graph, telling its ids, and keys that the host finds by itself take what is above it. */
export const SINGLE_WASM_BYTES_GOAL = 16 * KIB;
export const SINGLE_WASM_BYTES_MAX = 17.25 * KIB;
/** Locks, reading without them and clearing up behind the dead come on top; only who shares a memory loads it. */
export const SHARED_WASM_BYTES_MAX = 24 * KIB;
/**
 * The goal is 24 KiB. Two libraries take 4.3 KiB of what there is (hashes 2.3, the loader 2), six primitives 12, the rest is the
 * store's own host; until it is there, this is what would be too many. What only asynchronous methods need is loaded where it is
 * asked for, and counted in rows of its own below.
 */
export const BROWSER_BUNDLE_BYTES_GOAL = 24 * KIB;
export const BROWSER_BUNDLE_BYTES_MAX = 46 * KIB;

/** The adapter for the origin private file system, which a page only fetches where it asks for it; its worker is apart. */
export const OPFS_BYTES_MAX = 10 * KIB;

/** The adapter for Durable Objects with the errors that it throws, which only the edge loads. */
export const DURABLE_OBJECT_BYTES_MAX = 4.25 * KIB;

/** The adapter for JetStream and the fleet over it, without the clients, which whoever uses it has, and the store. */
export const FLEET_BYTES_MAX = 14 * KIB;

/** What many workers over one memory need, loaded where memory is shared: a log of another's writing, too. */
export const SHARING_BYTES_MAX = 7 * KIB;

/** What reads a checkpoint and the log behind it back, loaded where a storage has either. */
export const READING_BYTES_MAX = 5.5 * KIB;

/** What writes a checkpoint or an export, takes an import, or rebuilds a run, loaded where that is asked for. */
export const CHECKPOINTS_BYTES_MAX = 4 * KIB;

/** What writes a log and keeps the promises of modes, loaded where a storage keeps one. */
export const KEEPING_BYTES_MAX = 8 * KIB;

/** A temporary place and its removal, loaded where one is asked for. */
export const TEMPORARY_BYTES_MAX = 1 * KIB;

/** Modules that only servers load. */
const SERVER_ONLY = /[\\/]adapters[\\/]node-fs/;
/** Modules that are loaded where a database is opened in the origin private file system, or, the proxy, where one is shared. */
const OPFS_ONLY = /[\\/]adapters[\\/](opfs|shared-proxy)/;
/** Modules that are loaded where memory is shared. */
const SHARING_ONLY =
  /[\\/]host[\\/](apart|attaching|core-instance|core-workers|entering|evidence|handle|joining|log-post|remote-log|sharing)\.js/;
/** Modules that are loaded where a storage keeps a log. */
const KEEPING_ONLY =
  /[\\/]host[\\/](durability|flusher|group-commit|keeping|log|log-files|log-place|log-state|log-writer)\.js/;
/** Modules that are loaded where there is something to read back. */
const READING_ONLY = /[\\/]host[\\/](core-reading|header-reader|recovery|restore)\.js/;
/** Modules that are loaded where one of these is asked for. */
const CHECKPOINTS_ONLY = /[\\/]host[\\/](byte-stream|checkpoint|core-checkpoint|healing|importing)\.js/;
/** The module that is loaded where a temporary place is asked for. */
const TEMPORARY_ONLY = /[\\/]host[\\/]temporary\.js/;

const gzipBytes = (content) => gzipSync(content, { level: GZIP_LEVEL }).length;

function sizeOfFile(path, limits) {
  const content = readFileSync(join(ROOT, path));
  return { name: path, rawBytes: content.length, gzipBytes: gzipBytes(content), ...limits };
}

/** Bundles a module for browsers, but for what is `external`, without writing anything. @returns its JavaScript chunks */
export async function bundleForBrowser(entry, external = []) {
  const { build } = await import("vite");
  const output = await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      write: false,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: false,
      rollupOptions: { input: entry, external, preserveEntrySignatures: "allow-extension" },
    },
  });
  return [output].flat().flatMap((result) => result.output.filter((item) => item.type === "chunk"));
}

function sizeOfChunks(name, chunks, limits) {
  const sum = (measure) => chunks.reduce((total, chunk) => total + measure(chunk.code), 0);
  return { name, rawBytes: sum((code) => Buffer.byteLength(code)), gzipBytes: sum(gzipBytes), ...limits };
}

async function sizesOfBundle() {
  const chunks = await bundleForBrowser(join(ROOT, "dist/index.js"));
  const isOf = (modules) => (chunk) => chunk.moduleIds.some((id) => modules.test(id));
  const opfs = chunks.filter(isOf(OPFS_ONLY));
  const sharing = chunks.filter(isOf(SHARING_ONLY));
  const keeping = chunks.filter(isOf(KEEPING_ONLY));
  const reading = chunks.filter(isOf(READING_ONLY));
  const checkpoints = chunks.filter(isOf(CHECKPOINTS_ONLY));
  const temporary = chunks.filter(isOf(TEMPORARY_ONLY));
  const apart = [...opfs, ...sharing, ...keeping, ...reading, ...checkpoints, ...temporary];
  const fetched = chunks.filter((chunk) => !apart.includes(chunk) && !isOf(SERVER_ONLY)(chunk));
  return [
    sizeOfChunks(`browser bundle (${fetched.length} of ${chunks.length} chunks)`, fetched, {
      bytesMax: BROWSER_BUNDLE_BYTES_MAX,
      bytesGoal: BROWSER_BUNDLE_BYTES_GOAL,
    }),
    sizeOfChunks("a log, where a storage keeps one", keeping, { bytesMax: KEEPING_BYTES_MAX }),
    sizeOfChunks("reading back, where there is something", reading, { bytesMax: READING_BYTES_MAX }),
    sizeOfChunks("checkpoints, exports, imports", checkpoints, { bytesMax: CHECKPOINTS_BYTES_MAX }),
    sizeOfChunks("temporary places, where asked for", temporary, { bytesMax: TEMPORARY_BYTES_MAX }),
    sizeOfChunks("sharing, where it is asked for", sharing, { bytesMax: SHARING_BYTES_MAX }),
    sizeOfChunks("opfs, where it is asked for", opfs, { bytesMax: OPFS_BYTES_MAX }),
  ];
}

/** Measures everything that has a limit. */
export async function measure() {
  return [
    sizeOfFile("dist/single.wasm", { bytesMax: SINGLE_WASM_BYTES_MAX, bytesGoal: SINGLE_WASM_BYTES_GOAL }),
    sizeOfFile("dist/shared.wasm", { bytesMax: SHARED_WASM_BYTES_MAX }),
    ...(await sizesOfBundle()),
    sizeOfChunks(
      "the edge: durable-object by itself",
      await bundleForBrowser(join(ROOT, "dist/adapters/durable-object.js")),
      {
        bytesMax: DURABLE_OBJECT_BYTES_MAX,
      },
    ),
    sizeOfChunks(
      "a fleet on JetStream by itself",
      await bundleForBrowser(join(ROOT, "dist/fleet/fleet.js"), [/^@nats-io\//, join(ROOT, "dist/index.js")]),
      { bytesMax: FLEET_BYTES_MAX },
    ),
  ];
}

const NAME_CHARS = 40;

export function sizeTable(rows) {
  const kib = (bytes) => `${(bytes / KIB).toFixed(1)} KiB`.padStart(10);
  const lines = rows.map((row) => {
    const short = row.bytesGoal !== undefined && row.gzipBytes > row.bytesGoal;
    const verdict = row.gzipBytes > row.bytesMax ? "  OVER BUDGET" : short ? `  goal ${kib(row.bytesGoal).trim()}` : "";
    return `${row.name.padEnd(NAME_CHARS)}${kib(row.rawBytes)} ${kib(row.gzipBytes)} ${kib(row.bytesMax)}${verdict}`;
  });
  return [
    `${"".padEnd(NAME_CHARS)}${"raw".padStart(10)} ${"gzip".padStart(10)} ${"limit".padStart(10)}`,
    ...lines,
  ].join("\n");
}

if (isMain(import.meta.url)) {
  const rows = await measure();
  console.log(sizeTable(rows));
  process.exitCode = rows.every((row) => row.gzipBytes <= row.bytesMax) ? 0 : 1;
}
