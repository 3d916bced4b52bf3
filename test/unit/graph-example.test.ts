/**
 * The example that walks traces and nodes as one graph: what it prints is compared with the folder that it reads.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const FOLDER = fileURLToPath(new URL("../../examples/agent/", import.meta.url));

test("the graph example sees one instant of traces and nodes", () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(FOLDER, "graph.mjs")], { encoding: "utf8" });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(".mjs"));
  const looked = files.slice(0, Math.ceil(files.length / 2));
  const lines = stdout.split("\n");
  const shown = (kind: string) => lines.filter((line) => line.trimStart().startsWith(kind));
  expect(shown("trace").map((line) => line.trim().split(" ").at(-1))).toEqual(["here?", ...looked]);
  const about = new Map(shown("file").map((line) => [line.trim().split(/\s+|,/)[1] ?? "", line] as const));
  for (const file of looked) {
    expect(about.get(file)).toContain(`, ${readFileSync(join(FOLDER, file), "utf8").split("\n").length} lines`);
    about.delete(file);
  }
  // What is left was only met as an import of what was looked at.
  const text = looked.map((file) => readFileSync(join(FOLDER, file), "utf8")).join("\n");
  expect(about.size).toBeGreaterThan(0);
  for (const [file, line] of about) {
    expect(line).toContain("not looked at");
    expect(text).toContain(`from "./${file}"`);
  }
  expect(stdout).toContain(`in the snapshot  ${looked.length + 1} traces and ${shown("file").length} files`);
  expect(stdout).toContain(`by now           ${files.length + 1} traces`);
});
