/**
 * The contract suites on workerd, as an edge function would run them: over memory alone, one request for each suite, so that no
 * request is a long one.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/steps.mjs";
import { bundleForWorkerd, serveWorkerd } from "../support/workerd.mjs";
import { Collector } from "./collect.mjs";

const ENTRY = join(ROOT, "build/runtimes/test/runtimes/workerd-entry.js");
const SITE = join(ROOT, "build/workerd");
const SUITE_MS_MAX = 60_000;

/** Runs all suites. @returns the outcomes */
export async function runInWorkerd({ name, command }) {
  const collector = new Collector(name);
  let server;
  try {
    mkdirSync(SITE, { recursive: true });
    await bundleForWorkerd(ENTRY, SITE);
    server = await serveWorkerd(command, SITE);
    const suites = await (await fetch(server.url)).json();
    for (const suite of suites) await runSuite(server.url, suite, collector);
  } catch (error) {
    collector.noise += server?.noise() ?? "";
    collector.fail(error.message);
  } finally {
    await server?.close();
  }
  return collector.outcomes;
}

async function runSuite(url, suite, collector) {
  const settings = { phase: "cases", only: `memory/${suite}`, variant: "", root: "", failedBefore: [] };
  const signal = AbortSignal.timeout(SUITE_MS_MAX);
  collector.running = suite;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(settings), signal });
  const answer = await response.text();
  for (const line of answer.trim().split("\n")) collector.line(line);
  if (!response.ok || !collector.done) throw new Error(`${suite}: answered ${response.status}`);
  collector.done = false;
}
