/**
 * The installed package on Node, Deno and Bun: all code that the README and the guides show, in its order and in one empty folder, and
 * the core given in every way.
 *
 * What it keeps true: the code is compiled with the types of the packed package; what it says that it prints is what each runtime
 * prints.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run, runNode, StepError, tool } from "../../scripts/steps.mjs";
import { blocksOf, missingFrom, TESTED_ELSEWHERE } from "../support/code-blocks.mjs";
import { HERE } from "./project.mjs";

const RUN_MS_MAX = 60_000;
/** Where the compiled blocks are, and what each runtime gets a copy of. */
const COMPILED = "shown";
const GUIDES = join(ROOT, "docs");

const COMPILER_OPTIONS = {
  target: "ES2022",
  lib: ["ES2024", "ESNext.Disposable", "DOM", "DOM.AsyncIterable"],
  module: "NodeNext",
  strict: true,
  typeRoots: [join(ROOT, "node_modules/@types")],
  types: ["node"],
  outDir: COMPILED,
  rootDir: "shown-source",
  allowJs: true,
  checkJs: true,
};

/** The pages that show code for servers: the packed README, and the guides beside it that no suite of their own runs. */
function pages(project) {
  const guides = readdirSync(GUIDES).filter((name) => name.endsWith(".md") && !(`docs/${name}` in TESTED_ELSEWHERE));
  const texts = guides.map((name) => ({ name, path: join(GUIDES, name) }));
  return [{ name: "README.md", path: join(project, "node_modules/holdfast/README.md") }, ...texts];
}

/** Compiles what the pages show. @returns `{ name, file, code }[]`: what can be run, in its order */
export async function compilePages(project) {
  const source = join(project, COMPILER_OPTIONS.rootDir);
  mkdirSync(source);
  const blocks = pages(project).flatMap(({ name, path }) =>
    blocksOf(readFileSync(path, "utf8")).map((block) => {
      const stem = `${name.replace(/\.md$/, "").toLowerCase()}-${block.line}`;
      writeFileSync(join(source, `${stem}.${block.language}`), block.code);
      return { ...block, name: `${name} at line ${block.line}`, file: `${stem}.js` };
    }),
  );
  const configuration = { compilerOptions: COMPILER_OPTIONS, include: [COMPILER_OPTIONS.rootDir] };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify(configuration));
  const { code, output } = await runNode(tool("typescript/bin/tsc"), ["-p", "tsconfig.json"], { cwd: project });
  if (code !== 0) throw new StepError(output.trim());
  return blocks.filter(({ runnable }) => runnable);
}

/** What is wrong with one script's run, or nothing. */
async function tryScript({ command, args }, folder, file, source) {
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", FORCE_COLOR: undefined };
  const { code, output } = await run(command, [...args, file], { cwd: folder, env, msMax: RUN_MS_MAX });
  if (code !== 0) return output.trim() || `ended with exit code ${code}`;
  const missing = missingFrom(output, source);
  return missing.length === 0 ? "" : `${output}\nnot printed: ${missing.join(", ")}`;
}

/** Tries the package on one runtime. @returns `{ name, error }[]` */
export async function tryServer(runtime, project, blocks) {
  const folder = join(project, runtime.name.replace(" ", "-"));
  mkdirSync(folder);
  for (const file of readdirSync(join(project, COMPILED)))
    copyFileSync(join(project, COMPILED, file), join(folder, file));
  copyFileSync(join(HERE, "given.mjs"), join(folder, "given.mjs"));
  const outcomes = [];
  for (const { name, file, code } of blocks) {
    outcomes.push({ name: `${runtime.name}: ${name}`, error: await tryScript(runtime, folder, file, code) });
  }
  const given = await tryScript(runtime, folder, "given.mjs", "");
  return [
    ...outcomes,
    { name: `${runtime.name}: every entry, and the core as URL, text, bytes and module`, error: given },
  ];
}
