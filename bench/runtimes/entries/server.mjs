// Where Node, Deno and Bun start: settings as the first argument, one line of JSON for each report.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { memory } from "../../../dist/adapters/memory.js";
import { Database } from "../../../dist/index.js";
import { measure } from "../program.mjs";
import { holdfast } from "../subjects/holdfast.mjs";

const { size, folder } = JSON.parse(process.argv[2]);
const report = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

await measure(await groups(), { size, report });
report({ done: true });

/** What else there is in this runtime, as functions to subjects: in memory, and in files in a mode. */
async function peers() {
  if ("Deno" in globalThis) {
    const { denoKv } = await import("../subjects/deno-kv.mjs");
    // By its calls of the system: it syncs each commit, so that it stands beside what does.
    const inFiles = (at) => (at.mode === "strict" ? [denoKv({ ...at, note: "syncs each commit" })] : []);
    return { inMemory: () => [denoKv({ mode: "in-memory" })], inFiles };
  }
  const isBun = "Bun" in globalThis;
  if (!isBun && process.getBuiltinModule("node:sqlite") === undefined) return { inMemory: () => [], inFiles: () => [] };
  const { nativeSqlite } = await import(isBun ? "../subjects/bun-sqlite.mjs" : "../subjects/node-sqlite.mjs");
  return { inMemory: () => [nativeSqlite({ mode: "in-memory" })], inFiles: (at) => [nativeSqlite(at)] };
}

async function groups() {
  const { inMemory, inFiles } = await peers();
  return [
    {
      storage: "memory",
      mode: "in-memory",
      subjects: [holdfast({ Database, mode: "in-memory", make: () => ({ storage: memory() }) }), ...inMemory()],
    },
    ...["buffered", "strict"].map((mode) => {
      const own = join(folder, `holdfast-${mode}`);
      const others = join(folder, `others-${mode}`);
      mkdirSync(others, { recursive: true });
      return {
        storage: "files",
        mode,
        subjects: [
          holdfast({
            Database,
            mode,
            make: () => ({ path: own }),
            remove: () => rmSync(own, { recursive: true, force: true }),
          }),
          ...inFiles({
            mode,
            path: join(others, "bench.db"),
            remove: () => rmSync(others, { recursive: true, force: true }),
          }),
        ],
      };
    }),
  ];
}
