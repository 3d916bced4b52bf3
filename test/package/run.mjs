/**
 * The packed package, installed from its tarball into an empty project.
 *
 *   node test/package/run.mjs               everything
 *   node test/package/run.mjs vite deno     what begins so: a bundler, a runtime, `core`, `installed`
 *
 * Each bundler builds one page, which is tried in Chromium and Firefox; each runtime does what the README and the guides show; the core is compiled
 * anew and compared.
 */
import { isMain, step } from "../../scripts/steps.mjs";
import { runAlone } from "../runtimes/alone.mjs";
import { missing } from "../runtimes/collect.mjs";
import { findChromium, findFirefox, installRuntimes, serverRuntimes } from "../runtimes/install.mjs";
import { BUNDLER_NAMES, buildPage, developPage } from "./bundlers.mjs";
import { tryInstalled } from "./installed.mjs";
import { tryBuilt, tryServed } from "./pages.mjs";
import { installBundlers, makeProject } from "./project.mjs";
import { rebuild } from "./rebuilt.mjs";
import { compilePages, tryServer } from "./servers.mjs";

const AT_ONCE = 2;
const BROWSERS = [
  { runtime: "chromium", find: findChromium },
  { runtime: "firefox", find: findFirefox },
];
/** Between two releases of Node that are run. */
const BETWEEN = "node 22";

/** Does one part and prints its line. What ends it is a failure of its own. @returns outcomes, as the suites on runtimes have them */
async function outcomesOf(name, storage, work) {
  let found = [];
  const done = await step(name, async () => {
    found = await work();
    const failed = found.filter(({ ok, error }) => ok === false || error !== "").length;
    return failed > 0 ? `${failed} FAILED` : `${found.length} passed`;
  });
  if (!done.ok) found = [{ name, error: done.output }];
  return found.map(({ name: what, ok, error, skipped }) =>
    skipped
      ? { runtime: "package", suite: name, storage, name: what, ok: true, skipped, ms: 0 }
      : { runtime: "package", suite: name, storage, name: what, ok: ok ?? error === "", error, ms: 0 },
  );
}

/** Does the work in each browser that there is. */
async function inBrowsers(work) {
  const outcomes = [];
  for (const { runtime, find } of BROWSERS) {
    const executablePath = await find();
    if (executablePath === undefined) {
      outcomes.push(missing(runtime, "none was found; install it, or name one with CHROME_PATH or FIREFOX_PATH"));
      continue;
    }
    const found = await work({ runtime, executablePath });
    outcomes.push(...found.map(({ name, error }) => ({ name: `${runtime}: ${name}`, error })));
  }
  return outcomes;
}

async function onServer(runtime, project, blocks) {
  if (runtime.command === undefined) return [missing(runtime.name, "npm has no build of it for this platform")];
  return tryServer(runtime, project, blocks);
}

/** What there is to try whose name begins with one of `wanted`, or everything, longest first. @returns functions to outcomes */
export async function packageRuns(wanted = []) {
  const isWanted = (name) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix));
  const servers = serverRuntimes().filter(({ name }) => name !== BETWEEN && isWanted(name));
  const bundlers = BUNDLER_NAMES.filter(isWanted);
  let made;
  const prepared = await outcomesOf("package: packed and installed", "installed", async () => {
    await Promise.all([installBundlers(), installRuntimes()]);
    made = await makeProject();
    made.blocks = servers.length > 0 ? await compilePages(made.project) : [];
    return [{ name: "is packed and installed", error: "" }];
  });
  if (made?.blocks === undefined) return [() => prepared];
  const { project, blocks } = made;
  const installed = () => outcomesOf("package: as installed", "installed", () => tryInstalled(project));
  const core = () => outcomesOf("package: core compiled anew", "core", () => rebuild(project));
  const served = () =>
    outcomesOf("package: vite, served", "bundled", () =>
      inBrowsers((browser) => tryServed(browser, developPage(project))),
    );
  const bundled = (name) => () =>
    outcomesOf(`package: ${name}`, "bundled", async () => {
      const site = await buildPage(project, name);
      return inBrowsers((browser) => tryBuilt(browser, site));
    });
  const imported = (runtime) => () =>
    outcomesOf(`package: ${runtime.name}`, "imported", () => onServer(runtime, project, blocks));
  return [
    () => prepared,
    ...(isWanted("core") ? [core] : []),
    ...(isWanted("installed") ? [installed] : []),
    ...bundlers.map(bundled),
    ...(isWanted("vite") ? [served] : []),
    ...servers.map(imported),
  ];
}

if (isMain(import.meta.url)) await runAlone(packageRuns, AT_ONCE);
