/**
 * Finds what the conformance suites run on, and installs what is missing: runtimes from npm by the lock file beside this
 * one, Chromium and Firefox by apt where that is possible. Says what it installs before it does.
 *
 * Install scripts are left out, because npm may hold them back and Bun's moves its binary: the executables are those of
 * the platform packages, wherever the launchers around them would look.
 * Where npm has none for this platform, a Deno or Bun on the PATH will do.
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, StepError } from "../../scripts/steps.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, "node_modules");
const LOCK = join(HERE, "package-lock.json");
const STAMP = join(MODULES, ".installed-from.json");
const APT_LOCK_TIMEOUT_S = 300;
const CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FIREFOX_NAMES = ["firefox", "firefox-esr"];

/** The installation that has begun: whoever asks for it again waits for the same. */
let installed;

/** Installs the runtimes from npm, unless they are there as the lock file wants them. */
export function installRuntimes() {
  installed ??= installFromNpm();
  return installed;
}

async function installFromNpm() {
  const wanted = readFileSync(LOCK, "utf8");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  console.log(
    "Installing Node 22, Node 24, Deno, Bun and workerd from npm into test/runtimes/node_modules (about 650 MB) …",
  );
  const { code, output } = await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: HERE });
  if (code !== 0) throw new StepError(`npm ci in test/runtimes failed:\n${output}`);
  writeFileSync(STAMP, wanted);
}

/** The one executable below a scope of platform packages, of which npm installs those that fit. */
function platformBinary(scope, packagePrefix, paths) {
  const directory = join(MODULES, scope);
  if (!existsSync(directory)) return undefined;
  const candidates = readdirSync(directory)
    .filter((name) => name.startsWith(packagePrefix))
    .flatMap((name) => paths.map((path) => join(directory, name, path)));
  return candidates.find(starts);
}

/** Packages for another C library are installed too where npm cannot tell: only what answers is of use. */
function starts(path) {
  try {
    execFileSync(path, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function nodeBinary(name) {
  const path = join(MODULES, name, "bin/node");
  return starts(path) ? path : undefined;
}

/**
 * All server runtimes, those that are missing on this platform without `command`.
 * @returns `{ name, command, args }[]`, `args` being what goes before the script
 */
export function serverRuntimes() {
  const plain = [];
  return [
    { name: `node ${process.versions.node}`, command: process.execPath, args: plain },
    { name: "node 22", command: nodeBinary("n22"), args: plain },
    { name: "node 24", command: nodeBinary("n24"), args: plain },
    {
      name: "deno",
      command: platformBinary("@deno", "", ["deno"]) ?? onPath("deno"),
      args: ["run", "-A", "--no-lock", "--no-prompt"],
    },
    { name: "bun", command: platformBinary("@oven", "bun-", ["bin/bun", "bin/bun.exe"]) ?? onPath("bun"), args: plain },
  ];
}

/** The edge runtime, without `command` where it is missing on this platform. */
export function edgeRuntime() {
  return { name: "workerd", command: platformBinary("@cloudflare", "workerd-", ["bin/workerd", "bin/workerd.exe"]) };
}

/**
 * Path of a Chromium: the one named by `CHROME_PATH`, the system's, Playwright's own, or one installed here and now.
 * @returns `undefined` where there is none and none can be installed
 */
export async function findChromium() {
  return (
    process.env.CHROME_PATH ??
    anyOnPath(CHROMIUM_NAMES) ??
    (await playwrightChromium()) ??
    (await byApt("chromium", CHROMIUM_NAMES))
  );
}

/**
 * Path of a Firefox: the one named by `FIREFOX_PATH`, the system's, or one installed here and now.
 * @returns `undefined` where there is none and none can be installed
 */
export async function findFirefox() {
  return process.env.FIREFOX_PATH ?? anyOnPath(FIREFOX_NAMES) ?? (await byApt("firefox-esr", FIREFOX_NAMES));
}

/**
 * Path of a server of NATS: the one that is on the PATH, or one installed here and now.
 * @returns `undefined` where there is none and none can be installed
 */
export async function findNatsServer() {
  return anyOnPath(["nats-server"]) ?? (await byApt("nats-server", ["nats-server"]));
}

function anyOnPath(names) {
  return names.map(onPath).find((path) => path !== undefined);
}

/** Where a command is, or `undefined`. */
export function onPath(name) {
  const directories = (process.env.PATH ?? "").split(delimiter).filter((directory) => directory !== "");
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function playwrightChromium() {
  const { chromium } = await import("playwright");
  const path = chromium.executablePath();
  return existsSync(path) ? path : undefined;
}

/** The installation under way: they take turns. */
let installing = Promise.resolve();

/** Installs a package of Debian's as root, and looks for its command again. */
function byApt(name, executables) {
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return undefined;
  const installed = installing.then(() => aptInstall(name, executables));
  installing = installed.catch(() => {});
  return installed;
}

async function aptInstall(name, executables) {
  console.log(`Installing ${name} by apt-get …`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const lock = ["-o", `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`];
  await run("apt-get", [...lock, "update"], { env });
  const { code, output } = await run("apt-get", [...lock, "install", "-y", "--no-install-recommends", name], { env });
  if (code !== 0) console.error(`apt-get install ${name} failed:\n${output}`);
  return anyOnPath(executables);
}
