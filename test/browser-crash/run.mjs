/**
 * Browsers and tabs that are killed, and what of a database is there afterwards.
 *
 *   node test/browser-crash/run.mjs             Chromium and Firefox
 *   node test/browser-crash/run.mjs chromium    one of them
 *   HOLDFAST_ONLY="no room" node …              the cases whose name has that in it
 *   HOLDFAST_SEED=7 node …                      the same moments again, as far as browsers allow
 *
 * The figures go to `build/durability/browsers.json`, in the form of all suites about durability; the last line counts. The
 * exit code is 1 if anything failed. A browser that is not there is skipped aloud, and a failure where CI=true.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../../scripts/build.mjs";
import { explainFailures, isMain, ROOT, seconds } from "../../scripts/steps.mjs";
import { missing } from "../runtimes/collect.mjs";
import { findChromium, findFirefox, installRuntimes } from "../runtimes/install.mjs";
import { Browser } from "./browsers.mjs";
import { casesOf } from "./cases.mjs";
import { Ledger, serve } from "./site.mjs";

const REPORTS = join(ROOT, "build/durability");
const CASES_GOAL = 60;
const CASE_MS_MAX = 90_000;
const BROWSERS = { chromium: findChromium, firefox: findFirefox };
const SEED = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Mulberry32: small, and the same everywhere. */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function withinTime(work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error("did not end in time"), { hung: true })), CASE_MS_MAX);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

const UNTYPED = /TypeError|RangeError|RuntimeError|ReferenceError|unreachable/;

async function runCase(it, number, site, findings) {
  const { browser, what, place } = it;
  const id = `${browser.name}-${number}${it.again ? "-again" : ""}`;
  const ledger = new Ledger();
  site.ledgers.set(id, ledger);
  const settings = { id, name: `crash-${id}`, ...place };
  const name = `${browser.name}: ${what}, ${place.storage} in a ${place.where}, ${place.durability ?? "strict"} ${place.how}`;
  const context = { ...it, ledger, settings, findings, random: randomOf(SEED + number), url: site.url };
  const start = performance.now();
  let error;
  try {
    await withinTime(it.run(context));
  } catch (thrown) {
    error = thrown;
  }
  site.ledgers.delete(id);
  const took = seconds(performance.now() - start);
  console.log(
    `${error === undefined ? "ok    " : "FAILED"} ${name.padEnd(90)} ${String(ledger.count).padStart(5)} acknowledged ${took.padStart(7)} ${context.detail ?? ""}`,
  );
  if (error === undefined) return { ok: true };
  if (error.hung) findings.hung += 1;
  if (UNTYPED.test(error.message)) findings.untyped += 1;
  console.error(`    ${error.message}`);
  await browser.kill().catch(() => {});
  return { ok: false, browserLost: error.browserLost === true };
}

/** A case, and once more where the browser has lost its own data beside Holdfast's: that shows nothing of Holdfast. */
async function runWithControl(it, number, site, findings) {
  const { ok, browserLost } = await runCase(it, number, site, findings);
  if (ok || !browserLost) return ok;
  console.log("AGAIN  the browser has lost all that it kept; the case is made once more");
  await it.browser.start();
  const again = await runCase({ ...it, again: true }, number, site, findings);
  return again.ok;
}

async function onBrowser(name, executablePath, site, findings) {
  const profile = mkdtempSync(join(tmpdir(), `holdfast-crash-${name}-`));
  const browser = new Browser(name, executablePath, profile, site.url);
  let failed = 0;
  const cases = casesOf(name).filter(({ what }) => what.includes(process.env.HOLDFAST_ONLY ?? ""));
  try {
    for (const [number, it] of cases.entries()) {
      await browser.start();
      if (!(await runWithControl({ ...it, browser }, number, site, findings))) failed += 1;
    }
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  return { passed: cases.length - failed, failed };
}

function writeReport(findings, start, cases, skipped) {
  const report = {
    suite: "browsers",
    what: "a tab or browser killed, closed, without room, or meddled with",
    cases,
    goal: CASES_GOAL,
    ...findings,
    seed: SEED,
    seconds: Math.round((performance.now() - start) / 1000),
    ...(skipped.length > 0 ? { skipped: `${skipped.join(", ")}: not there` } : {}),
  };
  mkdirSync(REPORTS, { recursive: true });
  writeFileSync(join(REPORTS, "browsers.json"), `${JSON.stringify(report, null, 2)}\n`);
}

async function main(wanted) {
  const start = performance.now();
  if (explainFailures(await build({ debug: false, quiet: true })) > 0) return 1;
  await installRuntimes();
  const site = await serve();
  console.log(`seed ${SEED}`);
  const findings = { acknowledged: 0, lost: 0, partial: 0, reordered: 0, silentlyCorrupt: 0, untyped: 0, hung: 0 };
  const total = { passed: 0, failed: 0 };
  const skipped = [];
  for (const [name, find] of Object.entries(BROWSERS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const executablePath = await find();
    if (executablePath === undefined) {
      const { ok } = missing(name, "none was found; install it, or name one");
      skipped.push(name);
      if (!ok) total.failed += 1;
      continue;
    }
    const { passed, failed } = await onBrowser(name, executablePath, site, findings);
    total.passed += passed;
    total.failed += failed;
  }
  site.close();
  writeReport(findings, start, total.passed + total.failed, skipped);
  console.log(
    `${total.passed} passed, ${total.failed} failed, ${skipped.length} skipped; ${findings.acknowledged} acknowledged, ${findings.lost} lost, ${findings.partial} partial; ${seconds(performance.now() - start)}`,
  );
  return total.failed > 0 ? 1 : 0;
}

if (isMain(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
