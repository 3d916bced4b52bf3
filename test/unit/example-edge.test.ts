/**
 * The example for the edge keeps up with the library: it type-checks, it is bundled without a warning, its README names the workerd
 * that the tests run, and the guide shows nothing else. That it does what it says, `test/crash/edge.test.ts` sees in a workerd.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { BESIDE, buildExample, EXAMPLE } from "../support/edge-example.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

test("the example for the edge type-checks against the built package", () => {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "-p", EXAMPLE], { encoding: "utf8" });
  expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
});

test("it is bundled without a warning, and leaves the core for workerd to give", async () => {
  expect(await buildExample()).toEqual([]);
  expect(readFileSync(join(BESIDE, "worker.js"), "utf8")).toMatch(/from\s*"holdfast\/single\.wasm"/);
});

test("the guide for the edge shows what stands in the example, line by line", () => {
  const unindented = (text: string): string => text.replaceAll(/^ +/gm, "");
  const example = ["agent.ts", "worker.ts"].map((file) => unindented(readFileSync(join(EXAMPLE, file), "utf8")));
  const guide = readFileSync(join(ROOT, "docs/EDGE.md"), "utf8");
  const blocks = Array.from(guide.matchAll(/^```ts\n(.*?)^```$/gms), ([, block = ""]) => unindented(block));
  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks)
    expect(
      example.some((text) => text.includes(block)),
      block,
    ).toBe(true);
});

test("its README names the workerd that the tests run", () => {
  const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, "test/runtimes/package.json"), "utf8"));
  expect(readFileSync(join(EXAMPLE, "README.md"), "utf8")).toContain(
    `npx workerd@${optionalDependencies.workerd} serve`,
  );
});
