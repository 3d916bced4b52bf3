// Modules of the core for benchmarks only, compiled where they are not there yet.
//
// Keeps true: they have the flags of the release, from asconfig.json, and what the benchmark defines besides; a module is taken
// again only for the very sources and settings that it was made from, which its name says.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COMPILER = "node_modules/assemblyscript/bin/asc.js";

/** The module of `raw-table.ts`. Throws with what the compiler says. */
export function compileRawTable() {
  return compileForBenchmark({ name: "raw-table", entry: "bench/core/raw-table.ts", target: "single", use: [] });
}

/** A module of `entry` for one of asconfig.json's targets, with `use` defined. Throws with what the compiler says. */
export function compileForBenchmark({ name, entry, target, use }) {
  const file = path.join(ROOT, "bench/results", `${name}-${digestOf({ entry, target, use })}.wasm`);
  if (!fs.existsSync(file)) compileTo(file, { name, entry, target, use });
  return new WebAssembly.Module(fs.readFileSync(file));
}

function compileTo(file, { name, entry, target, use }) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const made = `${file}.${process.pid}`;
  const defined = ["abort=", ...use].flatMap((each) => ["--use", each]);
  const args = [COMPILER, entry, "--config", "asconfig.json", "--target", target, "--outFile", made, ...defined];
  const compiled = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  if (compiled.status !== 0)
    throw new Error(`asc could not compile ${entry}: ${compiled.stderr.trim().split("\n")[0]}`);
  fs.renameSync(made, file);
  removeOthers(file, name);
}

/** Modules of sources that are no more. */
function removeOthers(file, prefix) {
  const folder = path.dirname(file);
  const ofName = new RegExp(`^${prefix}-[0-9a-f]+\\.wasm$`);
  for (const name of fs.readdirSync(folder)) {
    if (ofName.test(name) && name !== path.basename(file)) fs.rmSync(path.join(folder, name));
  }
}

function digestOf(how) {
  const sources = fs.readdirSync(path.join(ROOT, "assembly")).map((name) => `assembly/${name}`);
  const hash = createHash("sha256").update(JSON.stringify(how));
  for (const source of [...new Set([...sources.sort(), how.entry, "asconfig.json"])])
    hash.update(fs.readFileSync(path.join(ROOT, source)));
  return hash.digest("hex").slice(0, 16);
}
