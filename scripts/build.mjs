/**
 * Builds `dist/`: the two wasm modules with asc, then the host with tsc. With `--debug` (or `--all`) also the debug and
 * test modules under `build/`. With `--quiet` it is silent unless it fails.
 *
 * What it keeps true:
 * - a module gets its final name only after the checks below, and by a rename, so nobody loads half of one;
 * - a module imports one thing, the memory: the core has no other way out;
 * - a release module has no data section: over a shared memory every instantiation would write it again;
 * - `dist/` holds nothing whose source is gone;
 * - a step whose inputs and outputs are what they were is skipped (by content, see `build/stamps.json`).
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { explainFailures, inParallel, isMain, ROOT, runNode, StepError, step, tool } from "./steps.mjs";

const STAMPS = join(ROOT, "build/stamps.json");
const COMPILERS_AT_ONCE = 2;
const DATA_SECTION_ID = 11;

const ENTRY = "assembly/index.ts";
const SHARED_ENTRY = "assembly/shared.ts";
/** The same interfaces, and what only tests call. */
const DEBUG_ENTRY = "assembly/debug.ts";
const SHARED_DEBUG_ENTRY = "assembly/shared-debug.ts";
const PLANTED_ENTRY = "assembly/planted.ts";
/** The modules that are shipped. */
export const RELEASE = [
  { target: "single", entry: ENTRY, outFile: "dist/single.wasm", dataAllowed: false },
  { target: "shared", entry: SHARED_ENTRY, outFile: "dist/shared.wasm", dataAllowed: false },
];
const DEBUG = [
  { target: "single-debug", entry: DEBUG_ENTRY, outFile: "build/single-debug.wasm", dataAllowed: true },
  { target: "shared-debug", entry: SHARED_DEBUG_ENTRY, outFile: "build/shared-debug.wasm", dataAllowed: true },
  // A release build in which tests can switch the rules of assembly/rules.ts off.
  // It asks its host before each access to what workers share, so that a test decides who goes on.
  { target: "stepped", entry: SHARED_DEBUG_ENTRY, outFile: "build/stepped.wasm", dataAllowed: true, asksHost: true },
  { target: "planted", entry: PLANTED_ENTRY, outFile: "build/planted.wasm", dataAllowed: false },
];

function filesUnder(directory, accept) {
  const root = join(ROOT, directory);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter(accept)
    .sort();
}

function digest(paths) {
  const hash = createHash("sha256");
  for (const path of paths) {
    const content = existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path)) : Buffer.from("absent");
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

function readStamps() {
  try {
    return JSON.parse(readFileSync(STAMPS, "utf8"));
  } catch {
    return {};
  }
}

/** Stamps are read again before each write: two builds may run in parallel lanes, or two shells. */
function writeStamp(name, stamp) {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const temporary = `${STAMPS}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify({ ...readStamps(), [name]: stamp }, null, 2)}\n`);
  renameSync(temporary, STAMPS);
}

const isAssembly = (path) => path.endsWith(".ts");
const isHostOutput = (path) => /\.(d\.ts|js|js\.map|d\.ts\.map)$/.test(path);
const hostOutputs = () => filesUnder("dist", isHostOutput);

function assemblyInputs() {
  return [
    ...filesUnder("assembly", isAssembly),
    "asconfig.json",
    "scripts/build.mjs",
    "node_modules/assemblyscript/package.json",
  ];
}

function hostInputs() {
  return [...filesUnder("src", () => true), "tsconfig.json", "package.json", "package-lock.json", "scripts/build.mjs"];
}

function isUpToDate(name, inputs, outputs) {
  const stamp = readStamps()[name];
  return (
    stamp !== undefined && outputs.length > 0 && stamp.inputs === digest(inputs) && stamp.outputs === digest(outputs)
  );
}

/** What keeps a module from being a core, as sentences; none if it is one. */
export function faultsOfModule(bytes, dataAllowed, asksHost = false) {
  const faults = [];
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).map(
    (i) => `${i.module}.${i.name} (${i.kind})`,
  );
  const expected = asksHost ? "env.memory (memory), step.step (function)" : "env.memory (memory)";
  if (imports.sort().join(", ") !== expected) {
    faults.push(`It must import env.memory and nothing else, but it imports: ${imports.join(", ") || "nothing"}.`);
  }
  if (!dataAllowed && hasSection(bytes, DATA_SECTION_ID)) {
    faults.push(
      "It has a data section (11), which every instantiation would write into the memory again. " +
        "Look for strings, static arrays or assert messages that reach the release build.",
    );
  }
  return faults;
}

/** Walks the sections of a module: after the 8 bytes of magic and version, each is an id, a LEB128 length and content. */
function hasSection(bytes, wanted) {
  let offset = 8;
  while (offset < bytes.length) {
    if (bytes[offset++] === wanted) return true;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++];
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    offset += length;
  }
  return false;
}

/** Passes on what asc warns of, but for the one line that nobody can do anything about. */
function warn(output) {
  const lines = output
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("Last converge was suboptimal"));
  if (lines.length > 0) console.warn(lines.join("\n"));
}

/** Compiles one module in `place`, which holds what the tree does, to a file there. @returns what asc wrote */
export async function compileModule({ target, entry }, outFile, place = ROOT) {
  const args = [entry, "--config", "asconfig.json", "--target", target, "--outFile", outFile];
  const { code, output } = await runNode(tool("assemblyscript/bin/asc.js"), args, { cwd: place });
  if (code !== 0 || !existsSync(join(place, outFile))) throw new StepError(output.trim() || "asc wrote no module.");
  return output;
}

async function buildModule({ target, entry, outFile, dataAllowed, asksHost }) {
  const inputs = assemblyInputs();
  if (isUpToDate(target, inputs, [outFile])) return "unchanged";
  const stampOfInputs = digest(inputs);
  const temporary = `build/${target}.${process.pid}.wasm`;
  try {
    const output = await compileModule({ target, entry }, temporary);
    const faults = faultsOfModule(readFileSync(join(ROOT, temporary)), dataAllowed, asksHost);
    if (faults.length > 0) throw new StepError(`${outFile} was not written.\n${faults.join("\n")}`);
    mkdirSync(join(ROOT, "dist"), { recursive: true });
    renameSync(join(ROOT, temporary), join(ROOT, outFile));
    warn(output);
  } finally {
    rmSync(join(ROOT, temporary), { force: true });
  }
  writeStamp(target, { inputs: stampOfInputs, outputs: digest([outFile]) });
}

async function buildHost() {
  const inputs = hostInputs();
  if (isUpToDate("host", inputs, hostOutputs())) return "unchanged";
  const stampOfInputs = digest(inputs);
  const { code, output } = await runNode(tool("typescript/bin/tsc"), ["-p", "tsconfig.json", "--noEmitOnError"]);
  if (code !== 0) throw new StepError(output.trim());
  removeOrphans();
  writeStamp("host", { inputs: stampOfInputs, outputs: digest(hostOutputs()) });
}

/** Removes what was compiled from a source file that is no longer there. */
function removeOrphans() {
  for (const path of hostOutputs()) {
    const source = path.replace(/^dist\//, "src/").replace(/(\.d\.ts|\.js)(\.map)?$/, ".ts");
    if (!existsSync(join(ROOT, source))) rmSync(join(ROOT, path));
  }
}

/** Builds everything, or with `debug: false` what is shipped. @returns the results of the steps */
export async function build({ debug, quiet }) {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const modules = debug ? [...RELEASE, ...DEBUG] : RELEASE;
  const results = await inParallel(modules, COMPILERS_AT_ONCE, (module) =>
    step(`asc ${module.target}`, () => buildModule(module), { quiet }),
  );
  results.push(await step("tsc src", buildHost, { quiet }));
  return results;
}

if (isMain(import.meta.url)) {
  const flags = new Set(process.argv.slice(2));
  const results = await build({ debug: flags.has("--debug") || flags.has("--all"), quiet: flags.has("--quiet") });
  process.exitCode = explainFailures(results) > 0 ? 1 : 0;
}
