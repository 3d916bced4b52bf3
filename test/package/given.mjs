/**
 * Run beside an installed package: imports every entry that is none of a worker and needs no peer, which has to leave the platform alone, and gives the
 * core in every way.
 */
import { readFile } from "node:fs/promises";

/** What an import may not even look at. */
const PLATFORM = [
  "fetch",
  "navigator",
  "location",
  "crypto",
  "indexedDB",
  "caches",
  "Worker",
  "SharedArrayBuffer",
  "WebAssembly",
];

const url = (name) => new URL(import.meta.resolve(`holdfast/${name}`));

/** Calls `work` while these globals throw where they are looked at. */
async function without(names, work) {
  const taken = [];
  for (const name of names) {
    const property = Object.getOwnPropertyDescriptor(globalThis, name);
    if (property?.configurable === false) continue;
    const get = () => {
      throw new Error(`${name} was looked at by an import`);
    };
    Object.defineProperty(globalThis, name, { get, configurable: true });
    taken.push([name, property]);
  }
  try {
    return await work();
  } finally {
    for (const [name, property] of taken) {
      if (property === undefined) delete globalThis[name];
      else Object.defineProperty(globalThis, name, property);
    }
  }
}

async function importAll() {
  const { exports } = JSON.parse(await readFile(url("package.json"), "utf8"));
  const entries = Object.keys(exports).filter(
    (entry) => !/-worker$|\/(langgraph|nats|fleet)$|\.(wasm|json)$/.test(entry),
  );
  const globals = Reflect.ownKeys(globalThis).length;
  for (const entry of entries) await import(`holdfast${entry.slice(1)}`);
  if (Reflect.ownKeys(globalThis).length !== globals) throw new Error("an import has made a global");
  if (entries.length < 7) throw new Error(`only ${entries.join(", ")} can be imported`);
}

async function tryCore({ Database }, wasm, shared) {
  const db = await Database.open({ durability: "in-memory", shared, wasm });
  db.run("given").kv.put("key", "value");
  if (db.run("given").kv.get("key") !== "value") throw new Error("what was put is not there");
  await db.close();
}

await without(PLATFORM, importAll);
const holdfast = await import("holdfast");
for (const shared of [false, true]) {
  const at = url(shared ? "shared.wasm" : "single.wasm");
  const bytes = await readFile(at);
  const copy = new Uint8Array(bytes).buffer;
  for (const wasm of [undefined, at, at.href, bytes, copy, await WebAssembly.compile(bytes)]) {
    await tryCore(holdfast, wasm, shared);
  }
}
