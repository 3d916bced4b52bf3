/**
 * Installs the libraries that Holdfast is put into, by the lock file beside this one, and the built package among them, as a
 * user would have it: by copies, so that it finds the libraries from where it lies.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT, run, StepError } from "../../scripts/steps.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const STAMP = join(MODULES, ".installed-from.json");
/** What of the package the tests use. */
const FILES = ["package.json", "dist"];

/** The installation that has begun: whoever asks for it again waits for the same. */
let installed;

/** Installs the libraries from npm, unless they are there as the lock file wants them. */
export function installLibraries() {
  installed ??= installFromNpm();
  return installed;
}

async function installFromNpm() {
  const wanted = readFileSync(join(HERE, "package-lock.json"), "utf8");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  console.log("Installing LangGraph.js and Keyv from npm into test/integrations/node_modules (about 130 MB) …");
  const { code, output } = await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: HERE });
  if (code !== 0) throw new StepError(`npm ci in test/integrations failed:\n${output}`);
  writeFileSync(STAMP, wanted);
}

/** Puts the package beside the libraries as it was built last. */
export function layPackage() {
  const place = join(MODULES, "holdfast");
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  for (const name of FILES) cpSync(join(ROOT, name), join(place, name), { recursive: true });
}
