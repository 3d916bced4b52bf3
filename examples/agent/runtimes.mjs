/**
 * Finds what the agent is to run on: this Node, or a Deno or Bun that the runtime tests have installed or that is on the
 * PATH.
 */
import { execFileSync } from "node:child_process";
import { serverRuntimes } from "../../test/runtimes/install.mjs";
import { UsageError } from "./options.mjs";

const INSTALL = "npm ci --ignore-scripts --prefix test/runtimes";

/** @returns `{ name, command, args }`, `args` being what goes before the script */
export function findRuntime(name) {
  if (name === "node") return { name: `Node ${process.versions.node}`, command: process.execPath, args: [] };
  const found = serverRuntimes().find((runtime) => runtime.name === name && runtime.command !== undefined);
  if (found === undefined) throw new UsageError(`--runtime ${name}: there is none; to install it: ${INSTALL}`);
  const version = execFileSync(found.command, ["--version"], { encoding: "utf8" }).match(/\d+\.\d+\.\d+/)?.[0] ?? "";
  return { ...found, name: `${name === "deno" ? "Deno" : "Bun"} ${version}`.trim() };
}
