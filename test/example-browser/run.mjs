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
import { ROOT } from "../../scripts/steps.mjs";
import { findChromium, findFirefox, installRuntimes } from "../runtimes/install.mjs";
import { runCases } from "./cases.mjs";
import { buildSandbox, openSandbox, serveSandbox } from "./drive.mjs";
import { keyboardCase, lookCases, sizeCase } from "./looks.mjs";

const AXE = join(ROOT, "test/runtimes/node_modules/axe-core/axe.min.js");
const named = process.argv.slice(2);
const wanted = (name) => named.length === 0 || named.includes(name);

const counted = { passed: 0, failed: 0, skipped: 0 };

/** One case in a browser of its own, on a profile of its own. */
async function perform(title, place, { options = {}, query = "", run }) {
  if (!title.includes(process.env.HOLDFAST_ONLY ?? "")) return;
  const started = Date.now();
  const server = await serveSandbox(place);
  try {
    const opened = await openSandbox({ ...place, ...options, url: server.url + query });
    try {
      await run(opened.sandbox, server);
      if (opened.sandbox.errors.length > 0) throw new Error(`the console: ${opened.sandbox.errors.join("\n")}`);
    } finally {
      await opened.close();
    }
    counted.passed++;
    console.log(`ok      ${title} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    counted.failed++;
    console.log(`FAILED  ${title}\n        ${error.stack ?? error}`);
  } finally {
    server.close();
  }
}

async function main() {
  if (!existsSync(AXE)) await installRuntimes();
  await buildSandbox();
  const axe = readFileSync(AXE, "utf8");
  const browsers = [
    { name: "chromium", executablePath: await findChromium() },
    { name: "firefox", executablePath: await findFirefox() },
  ];
  for (const browser of browsers.filter(({ name }) => wanted(name))) {
    if (browser.executablePath === undefined) {
      console.log(`skipped ${browser.name}: there is none, and none can be installed`);
      counted[process.env.CI === "true" ? "failed" : "skipped"]++;
      continue;
    }
    for (const isolated of [false, true]) {
      const place = { ...browser, isolated };
      const where = `${browser.name}, ${isolated ? "isolated" : "not isolated"}`;
      // Nothing is shared, so that an isolated page differs by its clock alone.
      const cases = runCases().filter(({ inAll }) => inAll || !isolated);
      for (const each of cases) await perform(`${where}: ${each.title}`, place, each);
    }
    const place = { ...browser, isolated: false };
    await perform(`${browser.name}: ${keyboardCase.title}`, place, keyboardCase);
    for (const each of lookCases(axe).filter(({ inAll }) => inAll || browser.name === "chromium"))
      await perform(`${browser.name}: ${each.title}`, place, each);
    if (browser.name === "chromium") await perform(`${browser.name}: ${sizeCase.title}`, place, sizeCase);
  }
  console.log(`${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped`);
  return counted.failed > 0 ? 1 : 0;
}

process.exitCode = await main();
