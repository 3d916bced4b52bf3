/**
 * The built cores, each compiled once, for tests that choose one: `Database.open({ wasm: await moduleOf(build), … })`.
 *
 * `HOLDFAST_BUILDS` names a directory with modules of the same names that are taken instead: that is how a fault is planted
 * to see that a test finds it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface Build {
  readonly name: string;
  readonly file: string;
  readonly shared: boolean;
  /** With asserts, and with `refuseGrowth`. */
  readonly debug: boolean;
}

const ROOT = join(import.meta.dirname, "../..");

function build(name: string, file: string, shared: boolean, debug: boolean): Build {
  return { name, file, shared, debug };
}

export const SINGLE = build("single release", "dist/single.wasm", false, false);
export const SINGLE_DEBUG = build("single debug", "build/single-debug.wasm", false, true);
export const SHARED = build("shared release", "dist/shared.wasm", true, false);
export const SHARED_DEBUG = build("shared debug", "build/shared-debug.wasm", true, true);
/** A release build in which rules can be switched off: `breakRule`. */
export const PLANTED = build("planted", "build/planted.wasm", false, false);
export const BUILDS: readonly Build[] = [SINGLE, SINGLE_DEBUG, SHARED, SHARED_DEBUG];

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** The bytes of a build. */
export function bytesOf({ file }: Build): Promise<Buffer> {
  return readFile(join(process.env["HOLDFAST_BUILDS"] ?? ROOT, file));
}

/** A build, compiled once for each test file. */
export function moduleOf(chosen: Build): Promise<WebAssembly.Module> {
  const known = modules.get(chosen.file) ?? bytesOf(chosen).then((bytes) => WebAssembly.compile(new Uint8Array(bytes)));
  modules.set(chosen.file, known);
  return known;
}
