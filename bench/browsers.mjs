/**
 * The measurements that need a browser, in Chromium and in Firefox.
 *
 *   node bench/browsers.mjs                        all of them, in both
 *   node bench/browsers.mjs --only group-commit    this one; may be given more than once
 *   node bench/browsers.mjs --in chromium          in this browser alone
 *   node bench/browsers.mjs --at opfs-worker       at this place alone: see PLACES
 *   node bench/browsers.mjs --quick                fewer and shorter rounds: to see that it works, not to quote
 *   node bench/browsers.mjs --json FILE            the figures as JSON too
 *
 * A browser that is not there is installed where that can be, and otherwise said to be missing; the exit code is 1 if anything
 * failed, 2 for a flag that is not known. The profile lies beside the benchmark's files, never in memory.
 */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "../scripts/build.mjs";
import { explainFailures, ROOT } from "../scripts/steps.mjs";
import { findChromium, findFirefox, installRuntimes } from "../test/runtimes/install.mjs";
import { bundle, launch, serve } from "../test/support/browsers.mjs";
import { machineFacts } from "./machine.mjs";
import { openScratch } from "./scratch.mjs";
import { renderMachine, renderMeasurement } from "./table.mjs";
import { judge } from "./verdict.mjs";
import { KINDS, rowsOf } from "./work/group-commit.mjs";

const ENTRY = fileURLToPath(new URL("./browser/page.mjs", import.meta.url));
const SITE = path.join(ROOT, "build/bench-browsers");
const BROWSERS = { chromium: findChromium, firefox: findFirefox };
const CALL_MS_MAX = 600_000;

/** Where a database of a browser can be, and in whose hands. */
const PLACES = {
  "indexeddb-page": { title: "IndexedDB in a page", where: "page", storage: "indexeddb" },
  "opfs-page": { title: "OPFS in a page, through the adapter's worker", where: "page", storage: "opfs" },
  "opfs-worker": { title: "OPFS in a dedicated worker", where: "worker", storage: "opfs" },
};

const MEASUREMENTS = {
  "group-commit": {
    title: "strict asynchronous transactions: one after another, and 64 in flight",
    unit: "µs",
    per: "per transaction",
    goals: [
      { of: "different keys, one after another ÷ in flight", atLeast: 30 },
      { of: "events of one run, one after another ÷ in flight", atLeast: 30 },
      { of: "events of one run, attempts ÷ commits", atMost: 2 },
    ],
    rounds: { full: 7, quick: 2 },
    operations: { full: { alone: 200, together: 6400 }, quick: { alone: 50, together: 1280 } },
    async measure(call, { where, storage }, sizes) {
      const rows = [];
      for (const kind of Object.keys(KINDS)) {
        const passes = await call(where, "groupCommit", { storage, kind, ...sizes });
        rows.push(...rowsOf(kind, passes.alone, passes.together));
      }
      return rows;
    },
  },
};
const WARM_UPS = 2;

const say = (line) => process.stderr.write(`${line}\n`);

process.exitCode = await main(process.argv.slice(2));

function readFlags(args) {
  const many = { type: "string", multiple: true, default: [] };
  const { values } = parseArgs({
    args,
    options: { only: many, in: many, at: many, quick: { type: "boolean", default: false }, json: { type: "string" } },
  });
  const chosen = (given, all) => {
    for (const name of given) if (!(name in all)) throw new Error(`${name}: there are ${Object.keys(all).join(", ")}`);
    return Object.keys(all).filter((name) => given.length === 0 || given.includes(name));
  };
  return {
    ...values,
    measurements: chosen(values.only, MEASUREMENTS),
    browsers: chosen(values.in, BROWSERS),
    places: chosen(values.at, PLACES),
  };
}

async function main(args) {
  let options;
  try {
    options = readFlags(args);
  } catch (error) {
    say(error.message);
    return 2;
  }
  if (explainFailures(await build({ debug: false, quiet: true })) > 0) return 1;
  await installRuntimes();
  await bundle(ENTRY, SITE);
  const scratch = openScratch();
  const site = await serve(SITE);
  const machine = machineFacts();
  process.stdout.write(renderMachine(machine, scratch));
  if (options.quick) process.stdout.write("quick: few and short rounds, not to be quoted\n");
  const measured = [];
  try {
    for (const name of options.browsers) measured.push(...(await inBrowser(name, options, site.url, scratch)));
  } finally {
    site.close();
    scratch.remove();
  }
  const { quick, json } = options;
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify({ machine, quick, measured }, null, 2)}\n`);
  return measured.some(({ rows }) => rows.some((row) => row.failure !== undefined)) ? 1 : 0;
}

async function inBrowser(name, options, url, scratch) {
  const executablePath = await BROWSERS[name]();
  if (executablePath === undefined) {
    say(`${name} is not there: nothing measured in it`);
    return [];
  }
  const browser = await launch(name, { executablePath, profile: scratch.folder(name), callMsMax: CALL_MS_MAX });
  try {
    process.stdout.write(`\n${browser.version}\n`);
    const measured = [];
    for (const measurement of options.measurements) {
      for (const place of options.places) {
        const one = await measureAt(browser, url, measurement, place, options.quick);
        process.stdout.write(renderMeasurement(one));
        measured.push({ browser: name, place, ...one });
      }
    }
    return measured;
  } finally {
    await browser.close();
  }
}

/** In a page of its own, which is closed afterwards. One that fails becomes a row that says why. */
async function measureAt(browser, url, name, placeName, quick) {
  const entry = MEASUREMENTS[name];
  const place = PLACES[placeName];
  const size = quick ? "quick" : "full";
  const rounds = entry.rounds[size];
  const page = await browser.newPage();
  let rows;
  try {
    await page.open(url, "holdfastDo");
    const call = (...given) => page.call(...given);
    rows = await entry.measure(call, place, { rounds, warmUps: WARM_UPS, operations: entry.operations[size] });
  } catch (error) {
    rows = [{ name: placeName, failure: error.message }];
  } finally {
    await page.close().catch(() => {});
  }
  const { unit, per } = entry;
  return { name, title: `${place.title}: ${entry.title}`, unit, per, rounds, ...judge(entry, rows) };
}
