/**
 * The benchmark compiles a module of its own from the core's sources. A function of the core lost a parameter once and nothing
 * said so until somebody measured the layers, whose rows were then missing.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COMPILER = "node_modules/assemblyscript/bin/asc.js";
const FOLDER = "bench/core";
const TIMEOUT_MS = 60_000;

const sources = readdirSync(`${ROOT}${FOLDER}`).filter((name) => name.endsWith(".ts"));

test.each(sources)(
  "the benchmark's %s compiles with the core's sources",
  (source) => {
    const compiled = spawnSync(process.execPath, [COMPILER, `${FOLDER}/${source}`, "--noEmit"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(compiled.stderr).toBe("");
    expect(compiled.status).toBe(0);
  },
  TIMEOUT_MS,
);
