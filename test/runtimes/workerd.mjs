/**
 * The contract suites on workerd, as an edge function would run them: over memory in the isolate, and over the storage of Durable
 * Objects; one request for each suite, so that no request is a long one. The reload cases live through the reset of their object,
 * and through the death of the process by SIGKILL.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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
  const state = mkdtempSync(join(tmpdir(), "holdfast-objects-"));
  let server;
  const start = async () => {
    server = await serveWorkerd(command, SITE, state);
  };
  const post = (path, settings) => ask(server.url + path, settings, collector);
  try {
    mkdirSync(SITE, { recursive: true });
    await bundleForWorkerd(ENTRY, SITE, "Suites");
    await start();
    const suites = await (await fetch(server.url)).json();
    for (const suite of suites) await post("", { phase: "cases", only: `memory/${suite}` });
    for (const suite of suites) await post(suite, { phase: "cases", only: `durable-object/${suite}` });
    await runReloads(post, "over a reset", () => reset(server.url));
    await runReloads(post, "in a new process", async () => {
      await server.close();
      await start();
    });
  } catch (error) {
    collector.noise += server?.noise() ?? "";
    collector.fail(error.message);
  } finally {
    await server?.close();
    rmSync(state, { recursive: true, force: true });
  }
  return collector.outcomes;
}

const RELOADS = "reloads";

/** Both phases of the reload cases in one object, from which `takeGround` takes everything between them but its storage. */
async function runReloads(post, variant, takeGround) {
  const before = await post(RELOADS, { phase: "before", variant });
  await takeGround();
  const failedBefore = before.filter(({ ok }) => !ok).map(({ place }) => place);
  await post(RELOADS, { phase: "after", variant, failedBefore });
}

/** The request that resets an object fails with it. */
async function reset(url) {
  const response = await fetch(url + RELOADS, { method: "DELETE" });
  if (response.ok) throw new Error("the object was not reset");
}

/** Has suites run. @returns their outcomes */
async function ask(url, asked, collector) {
  const settings = { variant: "", root: "", failedBefore: [], ...asked };
  const signal = AbortSignal.timeout(SUITE_MS_MAX);
  const from = collector.outcomes.length;
  collector.running = `${settings.phase} ${settings.only ?? settings.variant}`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(settings), signal });
  const answer = await response.text();
  for (const line of answer.trim().split("\n")) collector.line(line);
  if (!response.ok || !collector.done) throw new Error(`${collector.running}: answered ${response.status}`);
  collector.done = false;
  return collector.outcomes.slice(from);
}
