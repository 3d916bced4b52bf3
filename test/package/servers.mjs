/**
 * The installed package on Node, Deno and Bun: all of the README's code, in its order and in one empty folder, and the core given
 * in every way.
 *
 * What it keeps true: the code is that of the packed README, compiled with the types of the package; what it says that it prints is
 * what each runtime prints.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run, runNode, StepError, tool } from "../../scripts/steps.mjs";
import { blocksOf, missingFrom } from "../support/code-blocks.mjs";
import { HERE } from "./project.mjs";

const RUN_MS_MAX = 60_000;
/** Where the compiled blocks are, and what each runtime gets a copy of. */
const COMPILED = "readme";

const COMPILER_OPTIONS = {
  target: "ES2022",
  lib: ["ES2024", "ESNext.Disposable", "DOM", "DOM.AsyncIterable"],
  module: "NodeNext",
  strict: true,
  typeRoots: [join(ROOT, "node_modules/@types")],
  types: ["node"],
  outDir: COMPILED,
  rootDir: "readme-source",
};

/** Compiles the README of the package that is installed. @returns `{ file, line, code }[]` */
export async function compileReadme(project) {
  const source = join(project, COMPILER_OPTIONS.rootDir);
  mkdirSync(source);
  const blocks = blocksOf(readFileSync(join(project, "node_modules/holdfast/README.md"), "utf8"));
  for (const { line, code, language } of blocks) writeFileSync(join(source, `line-${line}.${language}`), code);
  const configuration = { compilerOptions: COMPILER_OPTIONS, include: [COMPILER_OPTIONS.rootDir] };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify(configuration));
  const { code, output } = await runNode(tool("typescript/bin/tsc"), ["-p", "tsconfig.json"], { cwd: project });
  if (code !== 0) throw new StepError(output.trim());
  return blocks.map((block) => ({ ...block, file: `line-${block.line}.js` }));
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
  for (const { file, line, code } of blocks) {
    const name = `${runtime.name}: the README at line ${line}`;
    outcomes.push({ name, error: await tryScript(runtime, folder, file, code) });
  }
  const given = await tryScript(runtime, folder, "given.mjs", "");
  return [
    ...outcomes,
    { name: `${runtime.name}: every entry, and the core as URL, text, bytes and module`, error: given },
  ];
}
