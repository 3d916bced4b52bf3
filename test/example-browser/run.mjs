/**
 * What a person does to the sandbox, in Chromium and Firefox, on pages that are isolated and not, with the database in the origin
 * private file system and in IndexedDB: run, pause, kill, resume, reload, switch the mode, export, import, go back through time; by
 * keyboard alone; and what axe finds, in dark and in light, at the width of a desk and of a phone. The last line says how many of
 * the cases have passed.
 *
 *     node test/example-browser/run.mjs [chromium] [firefox]
 *     HOLDFAST_ONLY=kill node test/example-browser/run.mjs      those whose title has it in it
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inParallel, ROOT } from "../../scripts/steps.mjs";
import { findChromium, findFirefox, installRuntimes } from "../runtimes/install.mjs";
import { runCases } from "./cases.mjs";
import { buildSandbox, serveSandbox, startBrowser } from "./drive.mjs";
import { keyboardCase, lookCases, sizeCase } from "./looks.mjs";

const AXE = join(ROOT, "test/runtimes/node_modules/axe-core/axe.min.js");
const named = process.argv.slice(2);
const wanted = (name) => named.length === 0 || named.includes(name);

const counted = { passed: 0, failed: 0, skipped: 0 };

/**
 * Performs cases in one browser, each on an origin of its own, for which everything is as on a profile of its own. It is started
 * anew where a case wants other windows, and where one has failed, whatever that left of it.
 */
class Performer {
  #executable;
  #running;

  constructor(executable) {
    this.#executable = executable;
  }

  async perform(title, { isolated, options = {}, query = "", run }) {
    if (!title.includes(process.env.HOLDFAST_ONLY ?? "")) return;
    const started = Date.now();
    const server = await serveSandbox({ isolated });
    try {
      const browser = await this.#browser(options);
      const { sandbox, close } = await browser.open(server.url + query);
      await run(sandbox, server);
      if (sandbox.errors.length > 0) throw new Error(`the console: ${sandbox.errors.join("\n")}`);
      await close();
      counted.passed++;
      console.log(`ok      ${title} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    } catch (error) {
      counted.failed++;
      console.log(`FAILED  ${title}\n        ${error.stack ?? error}`);
      await this.close();
    } finally {
      server.close();
    }
  }

  async #browser(options) {
    const windows = JSON.stringify(options);
    if (this.#running?.windows !== windows) {
      await this.close();
      this.#running = { windows, browser: await startBrowser({ ...this.#executable, ...options }) };
    }
    return this.#running.browser;
  }

  async close() {
    const running = this.#running;
    this.#running = undefined;
    await running?.browser.close().catch(() => {});
  }
}

/** All cases of a browser. */
function casesOf(browser, axe) {
  const runs = [false, true].flatMap((isolated) => {
    const where = `${browser}, ${isolated ? "isolated" : "not isolated"}`;
    // Nothing is shared, so that an isolated page differs by its clock alone.
    const cases = runCases().filter(({ inAll }) => inAll || !isolated);
    return cases.map((each) => ({ ...each, isolated, title: `${where}: ${each.title}` }));
  });
  const looks = lookCases(axe).filter(({ inAll }) => inAll || browser === "chromium");
  const others = [keyboardCase, ...(browser === "chromium" ? [sizeCase] : []), ...looks];
  return [...runs, ...others.map((each) => ({ ...each, isolated: false, title: `${browser}: ${each.title}` }))];
}

async function inBrowser({ name, executablePath }, axe) {
  if (executablePath === undefined) {
    console.log(`skipped ${name}: there is none, and none can be installed`);
    counted[process.env.CI === "true" ? "failed" : "skipped"]++;
    return;
  }
  const performer = new Performer({ name, executablePath });
  try {
    for (const each of casesOf(name, axe)) await performer.perform(each.title, each);
  } finally {
    await performer.close();
  }
}

async function main() {
  if (!existsSync(AXE)) await installRuntimes();
  await buildSandbox();
  const axe = readFileSync(AXE, "utf8");
  const browsers = [
    { name: "firefox", executablePath: await findFirefox() },
    { name: "chromium", executablePath: await findChromium() },
  ];
  // Side by side: in every case a person waits, for an agent that takes its time.
  const performed = browsers.filter(({ name }) => wanted(name));
  await inParallel(performed, performed.length, (browser) => inBrowser(browser, axe));
  console.log(`${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped`);
  return counted.failed > 0 ? 1 : 0;
}

process.exitCode = await main();
