/**
 * A small page, which every bundler builds: it opens a database in each place that a browser has, writes, opens it again and reads.
 *
 * What it keeps true: it knows no bundler, and says nothing of where the package's files are. Each case returns what it found, and
 * throws where that is wrong.
 */
import { Database } from "holdfast";
import { indexedDb } from "holdfast/adapters/indexeddb";
import { opfs } from "holdfast/adapters/opfs";

function same(found, wanted) {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`found ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }
}

async function write(db, text) {
  const run = db.run("page");
  await run.transactionAsync(async (tx) => {
    tx.kv.put("text", text);
    tx.events.append("written", { text });
  });
  same([run.kv.get("text"), run.events.verify().valid], [text, true]);
}

async function inMemory(options) {
  const db = await Database.open({ durability: "in-memory", ...options });
  await write(db, "in memory");
  await db.close();
}

/** Writes, and reads in a database that was opened anew, with a checkpoint in between and an export behind it. */
async function kept(options) {
  const db = await Database.open(options());
  await write(db, "kept");
  await db.checkpoint();
  await db.close();
  const again = await Database.open(options());
  same([again.run("page").kv.get("text"), again.run("page").events.length], ["kept", 1]);
  const copy = await Database.import(again.export(), { durability: "in-memory" });
  same(copy.run("page").kv.get("text"), "kept");
  await copy.close();
  await again.close();
}

function askWorker(message, db) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(`the worker could not be started: ${event.message}`));
    worker.onmessage = ({ data }) => (data.error === undefined ? resolve(data.added) : reject(new Error(data.error)));
    worker.postMessage({ ...message, handle: db.share(worker) });
  }).finally(() => worker.terminate());
}

/** Two threads over one memory. */
async function shared(options) {
  const db = await Database.open({ ...options(), shared: true });
  const before = db.run("page").state.read("n")?.value ?? 0;
  same(await askWorker({ run: "page" }, db), before + 1);
  same(db.run("page").state.read("n")?.value, before + 1);
  await db.flush();
  await db.close();
}

/** The core as it can be given: `at` is the address of a copy that no bundler knows of. */
async function given(at) {
  const bytes = await (await fetch(at)).arrayBuffer();
  const { pathname } = new URL(at, location.href);
  const ways = [new URL(at, location.href), pathname, pathname.slice(1), bytes, new Uint8Array(bytes)];
  for (const wasm of [...ways, await WebAssembly.compile(bytes)]) await inMemory({ wasm });
}

/** Whether text is refused as code, as the policy that the page is served with has it. */
function isTextRefused() {
  try {
    return new Function("return false")();
  } catch {
    return true;
  }
}

const CASES = {
  "in memory": () => inMemory(),
  "the browser's files, by the adapter's worker": () => kept(() => ({ storage: opfs("files") })),
  IndexedDB: () => kept(() => ({ storage: indexedDb("database") })),
  "the platform's own": () => kept(() => ({ path: "own" })),
  "a temporary place": async () => (await Database.builder().openTemp()).close(),
  "memory shared with a worker": () => shared(() => ({ durability: "in-memory" })),
  "the browser's files, shared with a worker": () => shared(() => ({ storage: opfs("shared-files") })),
  "IndexedDB, shared with a worker": () => shared(() => ({ storage: indexedDb("shared-database") })),
  "the core as URL, text, bytes and module": ({ core }) => given(core),
  "text is code where no policy says otherwise": ({ refusesText }) => same(isTextRefused(), refusesText),
};

/** Runs all cases. @returns `{ name, error }[]`, `error` being empty where a case holds */
globalThis.holdfastTry = async (settings) => {
  const outcomes = [];
  for (const [name, work] of Object.entries(CASES)) {
    let error = "";
    try {
      await work(settings);
    } catch (thrown) {
      error = `${thrown?.code ?? ""} ${thrown?.stack ?? thrown}`.trim();
    }
    outcomes.push({ name, error });
  }
  return outcomes;
};
