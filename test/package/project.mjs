/**
 * The package as a user gets it: packed, and installed from that file into an empty project.
 *
 * The bundlers stand one folder above the project, where Node looks next: in the project's own `node_modules` is what npm made of the
 * tarball and nothing else.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runOrThrow } from "../../scripts/steps.mjs";

export const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const LOCK = join(HERE, "package-lock.json");
const STAMP = join(MODULES, ".installed-from.json");
const QUIET = ["--ignore-scripts", "--no-audit", "--no-fund"];

/** Installs the bundlers from npm, unless they are there as the lock file wants them. */
export async function installBundlers() {
  const wanted = readFileSync(LOCK, "utf8");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  console.log("Installing Vite, webpack, esbuild and Rollup from npm into test/package/node_modules (about 90 MB) …");
  await runOrThrow("npm", ["ci", ...QUIET], { cwd: HERE });
  writeFileSync(STAMP, wanted);
}

/** Packs the built package and installs it, until this process ends. @returns the folder of the project, and the tarball */
export async function makeProject() {
  const top = mkdtempSync(join(tmpdir(), "holdfast-packed-"));
  process.once("exit", () => rmSync(top, { recursive: true, force: true }));
  const project = join(top, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await runOrThrow("npm", ["pack", "--silent", "--pack-destination", top]);
  const tarball = join(
    top,
    readdirSync(top).find((name) => name.endsWith(".tgz")),
  );
  await runOrThrow("npm", ["install", ...QUIET, "--prefer-offline", tarball], { cwd: project });
  symlinkSync(MODULES, join(top, "node_modules"), "junction");
  return { project, tarball };
}

/** A folder of the project with a copy of the page in it. */
export function pageIn(project, name) {
  const folder = join(project, name);
  cpSync(join(HERE, "site"), folder, { recursive: true });
  return folder;
}
