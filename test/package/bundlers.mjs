/**
 * How each bundler builds the page: by the configuration that docs/BUNDLERS.md shows, written to the file that its first line names.
 *
 * What it keeps true: no option is set here that the documentation does not show, and every configuration there is used.
 */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runNode, StepError } from "../../scripts/steps.mjs";
import { pageIn } from "./project.mjs";

const DOCUMENT = join(ROOT, "docs/BUNDLERS.md");
const CONFIGURATION = /^```js\n\/\/ (\S+)\n([\s\S]*?)^```$/gm;

/** Runs webpack without its command line, on the configuration as that would find it. */
const WEBPACK = `import webpack from "webpack";
import configuration from "./webpack.config.js";
webpack({ context: import.meta.dirname, ...configuration }, (error, stats) => {
  console.log(error ?? stats.toString("errors-warnings"));
  process.exitCode = error || stats.hasErrors() || stats.hasWarnings() ? 1 : 0;
});
`;

const above = (folder, path) => join(folder, "../../node_modules", path);
const VITE = (folder) => above(folder, "vite/bin/vite.js");

/** What is run in the folder, and the file that it reads. Vite makes the page's HTML itself. */
const BUNDLERS = {
  vite: { script: VITE, args: ["build", "--logLevel", "warn"], reads: "vite.config.js", makesHtml: true },
  webpack: { script: (folder) => join(folder, "run-webpack.mjs"), args: [], reads: "webpack.config.js" },
  esbuild: { script: (folder) => join(folder, "build.mjs"), args: [], reads: "build.mjs" },
  rollup: {
    script: (folder) => above(folder, "rollup/dist/bin/rollup"),
    args: ["--config", "rollup.config.mjs", "--silent", "--failAfterWarnings"],
    reads: "rollup.config.mjs",
  },
};

export const BUNDLER_NAMES = Object.keys(BUNDLERS);

/** The configurations of the documentation by the names of their files. @throws StepError where one is of no bundler here */
export function documented() {
  const found = new Map(
    [...readFileSync(DOCUMENT, "utf8").matchAll(CONFIGURATION)].map(([, name, code]) => [name, code]),
  );
  const wanted = Object.values(BUNDLERS).map(({ reads }) => reads);
  if ([...found.keys()].sort().join() !== wanted.sort().join()) {
    throw new StepError(
      `docs/BUNDLERS.md shows ${[...found.keys()].join(", ")}, and what is tried is ${wanted.join(", ")}.`,
    );
  }
  return found;
}

/** Builds the page in a folder of the project. @returns the folder to serve */
export async function buildPage(project, name) {
  const { script, args, reads, makesHtml = false } = BUNDLERS[name];
  const folder = pageIn(project, name);
  writeFileSync(join(folder, reads), documented().get(reads));
  if (name === "webpack") writeFileSync(join(folder, "run-webpack.mjs"), WEBPACK);
  const { code, output } = await runNode(script(folder), args, { cwd: folder });
  if (code !== 0) throw new StepError(output.trim());
  const site = join(folder, "dist");
  if (!makesHtml) copyFileSync(join(folder, "index.html"), join(site, "index.html"));
  return site;
}

/** The page in a folder of the project, and what serves it to who develops it. */
export function developPage(project) {
  const folder = pageIn(project, "vite-serve");
  writeFileSync(join(folder, "vite.config.js"), documented().get("vite.config.js"));
  return { folder, script: VITE(folder), args: ["--host", "127.0.0.1", "--port", "0"] };
}
