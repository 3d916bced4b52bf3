/**
 * Run beside an installed package: imports every entry that is none of a worker, and gives the core in every way.
 */
import { readFile } from "node:fs/promises";
import { Database } from "holdfast";

async function tryCore(wasm, shared) {
  const db = await Database.open({ durability: "in-memory", shared, wasm });
  db.run("given").kv.put("key", "value");
  if (db.run("given").kv.get("key") !== "value") throw new Error("what was put is not there");
  await db.close();
}

const url = (name) => new URL(import.meta.resolve(`holdfast/${name}`));
const { exports } = JSON.parse(await readFile(url("package.json"), "utf8"));
for (const entry of Object.keys(exports)) {
  if (/-worker$|\.(wasm|json)$/.test(entry)) continue;
  const names = Object.keys(await import(`holdfast${entry.slice(1)}`));
  if (names.length === 0 && entry !== "./adapters/storage") throw new Error(`${entry} exports nothing`);
}

for (const shared of [false, true]) {
  const at = url(shared ? "shared.wasm" : "single.wasm");
  const bytes = await readFile(at);
  const copy = new Uint8Array(bytes).buffer;
  for (const wasm of [undefined, at, at.href, bytes, copy, await WebAssembly.compile(bytes)])
    await tryCore(wasm, shared);
}
