/**
 * What is installed with the package, and what of it reaches a bundle or a compiler that asks for little.
 *
 * - npm has put its dependencies there and nothing else, and has nothing to run;
 * - an import that nothing is used of adds nothing to a bundle, and the import of a worker's entry is not dropped;
 * - its types are whole where there are no types of Node's: in a page, and in a worker.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runNode, tool } from "../../scripts/steps.mjs";

const PARTS = ["holdfast", "holdfast/trace", "holdfast/adapters/memory", "holdfast/adapters/node-fs"];
const PAGE_PARTS = ["holdfast/adapters/indexeddb", "holdfast/adapters/opfs", "holdfast/adapters/storage"];
const WORKERS = ["holdfast/adapters/opfs-worker", "holdfast/adapters/indexeddb-worker"];
/** Less than any worker of the package takes. */
const WORKER_BYTES_MIN = 10_000;

function packagesInstalled(project) {
  const { packages } = JSON.parse(readFileSync(join(project, "node_modules/.package-lock.json"), "utf8"));
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const wanted = ["holdfast", ...Object.keys(dependencies)].map((name) => `node_modules/${name}`).sort();
  const found = Object.keys(packages).sort();
  const run = found.filter((path) => packages[path].hasInstallScript);
  const other = found.join() === wanted.join() ? [] : [`there are ${found.join(", ")}, not ${wanted.join(", ")}`];
  return [...other, ...run.map((path) => `${path} has a script that npm would run`)].join("\n");
}

/** Bytes of a bundle that only imports these. */
async function bytesOf(project, entries) {
  const { build } = await import("esbuild");
  const contents = entries.map((entry) => `import ${JSON.stringify(entry)};`).join("\n");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: project },
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0].text.trim().length;
}

async function sideEffects(project) {
  const faults = [];
  for (const entry of [...PARTS, ...PAGE_PARTS]) {
    const bytes = await bytesOf(project, [entry]);
    if (bytes > 0) faults.push(`${entry} adds ${bytes} bytes though nothing of it is used`);
  }
  for (const entry of WORKERS) {
    const bytes = await bytesOf(project, [entry]);
    if (bytes < WORKER_BYTES_MIN) faults.push(`${entry} is dropped: ${bytes} bytes are left of it`);
  }
  return faults.join("\n");
}

async function typesIn(project, lib) {
  const name = `types-${lib.toLowerCase()}`;
  const parts = [...PARTS, ...PAGE_PARTS].map((entry, i) => `export * as part${i} from ${JSON.stringify(entry)};`);
  writeFileSync(join(project, `${name}.ts`), parts.join("\n"));
  const compilerOptions = {
    target: "ES2022",
    module: "NodeNext",
    lib: ["ES2022", lib],
    types: [],
    strict: true,
    noEmit: true,
  };
  writeFileSync(join(project, `${name}.json`), JSON.stringify({ compilerOptions, files: [`${name}.ts`] }));
  const { code, output } = await runNode(tool("typescript/bin/tsc"), ["-p", `${name}.json`], { cwd: project });
  return code === 0 ? "" : output.trim();
}

/** @returns `{ name, error }[]` */
export async function tryInstalled(project) {
  return [
    { name: "its dependencies are installed, nothing else, and nothing is run", error: packagesInstalled(project) },
    { name: "an import without a use adds nothing, but a worker's is kept", error: await sideEffects(project) },
    { name: "its types are whole in a page", error: await typesIn(project, "DOM") },
    { name: "its types are whole in a worker", error: await typesIn(project, "WebWorker") },
  ];
}
