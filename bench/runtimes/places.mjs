// Which runtimes there are, how each is found, and what installs one that is missing.
//
// Keeps true: nothing is looked for or installed before it is wanted; those of the conformance suites are the same ones, from the same
// place.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { edgeRuntime, findChromium, findFirefox, onPath, serverRuntimes } from "../../test/runtimes/install.mjs";
import { inBrowser, inWorkerd, onServer } from "./drivers.mjs";
import { findWebKit, inWebKit } from "./webkitgtk.mjs";

const HERE = fileURLToPath(new URL("./", import.meta.url));
const FROM_NPM = "npm ci --ignore-scripts --prefix test/runtimes";
const FROM_NPM_HERE = "npm ci --ignore-scripts --prefix bench/runtimes";
const byApt = (packages) => `apt-get install -y --no-install-recommends ${packages}`;

/** A release of Node: this very one where it is that. */
function node(major, pinned, install) {
  const name = `node ${major}`;
  const isThis = process.versions.node.startsWith(`${major}.`);
  const find = () => (isThis ? { command: process.execPath, args: [] } : pinned());
  return { name, install, find, run: onServer };
}

/** One that the conformance suites run on. */
const shared = (name) => () => {
  const found = serverRuntimes().find((runtime) => runtime.name === name);
  return found?.command === undefined ? undefined : found;
};

function withKv(deno) {
  return deno === undefined ? undefined : { ...deno, args: [...deno.args, "--unstable-kv"] };
}

function node26() {
  const command = path.join(HERE, "node_modules/n26/bin/node");
  return fs.existsSync(command) ? { command, args: [] } : undefined;
}

function node20() {
  const command = process.env.NODE20_PATH ?? onPath("node20");
  return command === undefined ? undefined : { command, args: [] };
}

/** What a command says of itself may have its name before the version. */
function versionOf(command) {
  return execFileSync(command, ["--version"], { encoding: "utf8" }).match(/\d+([.-]\d+)+/)?.[0];
}

const inOne = (name) => (found, options) => inBrowser(name, found, options);
const asPath = async (find) => {
  const executablePath = await find();
  return executablePath === undefined ? undefined : { executablePath };
};

/**
 * All of them: `find()` gives what `run(found, options)` takes, or `undefined` where it is missing; `install` is what to type then.
 */
export const RUNTIMES = [
  node(20, node20, "run the benchmark by a Node 20, or name one with NODE20_PATH"),
  node(22, shared("node 22"), FROM_NPM),
  node(24, shared("node 24"), FROM_NPM),
  node(26, node26, FROM_NPM_HERE),
  { name: "deno", install: FROM_NPM, find: () => withKv(shared("deno")()), run: onServer },
  { name: "bun", install: FROM_NPM, find: shared("bun"), run: onServer },
  { name: "chromium", install: byApt("chromium"), find: () => asPath(findChromium), run: inOne("chromium") },
  { name: "firefox", install: byApt("firefox-esr"), find: () => asPath(findFirefox), run: inOne("firefox") },
  { name: "workerd", onDemand: true, install: FROM_NPM, find: workerd, run: inWorkerd },
  { name: "webkitgtk", onDemand: true, install: byApt("webkit2gtk-driver xvfb"), find: findWebKit, run: inWebKit },
].map((runtime) => ({ onDemand: false, ...runtime, find: async () => named(runtime.name, await runtime.find()) }));

function workerd() {
  const { command } = edgeRuntime();
  return command === undefined ? undefined : { command };
}

/** With the version in its name, where the command itself says it; a browser does so when it runs. */
function named(name, found) {
  if (found?.command === undefined) return found;
  return { ...found, title: `${name.split(" ")[0]} ${versionOf(found.command)}` };
}
