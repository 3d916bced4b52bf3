// The core with the benchmark's own entry, compiled where it is not there yet.
//
// Keeps true: it has the flags of the release, from asconfig.json; a module is taken again only for the very sources that it
// was made from, which its name says.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ENTRY = "bench/core/raw-table.ts";
const COMPILER = "node_modules/assemblyscript/bin/asc.js";

/** The module of `raw-table.ts`. Throws with what the compiler says. */
export function compileRawTable() {
  const file = path.join(ROOT, "bench/results", `raw-table-${digestOfSources()}.wasm`);
  if (!fs.existsSync(file)) compileTo(file);
  return new WebAssembly.Module(fs.readFileSync(file));
}

function compileTo(file) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const made = `${file}.${process.pid}`;
  const args = [COMPILER, ENTRY, "--config", "asconfig.json", "--target", "single", "--outFile", made];
  const compiled = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  if (compiled.status !== 0)
    throw new Error(`asc could not compile ${ENTRY}: ${compiled.stderr.trim().split("\n")[0]}`);
  fs.renameSync(made, file);
  removeOthers(file);
}

/** Modules of sources that are no more. */
function removeOthers(file) {
  const folder = path.dirname(file);
  for (const name of fs.readdirSync(folder)) {
    if (/^raw-table-[0-9a-f]+\.wasm$/.test(name) && name !== path.basename(file)) fs.rmSync(path.join(folder, name));
  }
}

function digestOfSources() {
  const sources = fs.readdirSync(path.join(ROOT, "assembly")).map((name) => `assembly/${name}`);
  const hash = createHash("sha256");
  for (const source of [...sources.sort(), ENTRY, "asconfig.json"])
    hash.update(fs.readFileSync(path.join(ROOT, source)));
  return hash.digest("hex").slice(0, 16);
}
