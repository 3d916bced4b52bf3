/**
 * What docs/INTEGRATIONS.md shows does work: each of its blocks has right types against the built package and runs, in a folder as
 * a user would have it. A comment `expect: text` on a line of its own makes the output contain the text.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "hf-integrations-docs-"));
symlinkSync(join(import.meta.dirname, "node_modules"), join(folder, "node_modules"), "junction");
writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = readFileSync(join(ROOT, "docs/INTEGRATIONS.md"), "utf8");
const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);

function runNode(...args: string[]): { ok: boolean; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  return { ok: status === 0, output: stdout + stderr };
}

test("every block of code is checked", () => {
  expect(blocks).toHaveLength((text.match(/^ *```\w/gm) ?? []).length);
  expect(blocks.length).toBeGreaterThanOrEqual(2);
});

// All at once takes little longer than one.
beforeAll(() => {
  for (const [at, code] of blocks.entries()) writeFileSync(join(folder, `block-${at}.ts`), code);
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const flags = ["--target", "ES2022", "--lib", "ES2024,ESNext.Disposable,DOM", "--module", "NodeNext", "--strict"];
  const types = ["--typeRoots", join(ROOT, "node_modules/@types"), "--types", "node", "--skipLibCheck"];
  const { ok, output } = runNode(
    tsc,
    ...flags,
    ...types,
    "--outDir",
    "out",
    ...blocks.map((_, at) => `block-${at}.ts`),
  );
  expect(ok, output).toBe(true);
});

test.each([...blocks.entries()])("block %i runs", (at, code) => {
  const { ok, output } = runNode(join("out", `block-${at}.js`));
  expect(ok, output).toBe(true);
  const wanted = [...code.matchAll(/^\s*\/\/ expect: (.*)$/gm)].map(([, line = ""]) => line);
  expect(wanted.length).toBeGreaterThan(0);
  for (const line of wanted) expect(output).toContain(line);
});
