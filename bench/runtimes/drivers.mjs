// How each kind of runtime is made to run the benchmark, and its reports are had.
//
// Keeps true: one process, page or server at a time, which is ended whatever becomes of it; what falls silent is given up. A driver
// takes what was found and `{ size, folder, onLine(report) }`, and gives the name with the version where only the running thing
// knows it.

import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { boundToThis, ROOT } from "../../scripts/steps.mjs";
import { bundle, launch, serve } from "../../test/support/browsers.mjs";
import { bundleForWorkerd, serveWorkerd } from "../../test/support/workerd.mjs";

const entry = (name) => fileURLToPath(new URL(`./entries/${name}.mjs`, import.meta.url));
const SITE = path.join(ROOT, "build/bench-runtimes");
const EDGE_SITE = path.join(ROOT, "build/bench-workerd");
const SILENCE_MS_MAX = 60_000;
const CALL_MS_MAX = 900_000;

/** Rejects once nothing was heard for too long. */
function silence() {
  let timer;
  let give;
  const over = new Promise((_, reject) => {
    give = reject;
  });
  over.catch(() => {});
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => give(new Error(`nothing for ${SILENCE_MS_MAX / 1000} s`)), SILENCE_MS_MAX);
  };
  heard();
  return { over, heard, end: () => clearTimeout(timer) };
}

export async function onServer({ command, args }, { size, folder, onLine }) {
  const given = [...args, entry("server"), JSON.stringify({ size, folder })];
  const env = { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  const child = boundToThis(spawn(command, given, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], env }));
  const watch = silence();
  let isDone = false;
  let noise = "";
  child.stderr.setEncoding("utf8").on("data", (chunk) => {
    noise += chunk;
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    watch.heard();
    const report = JSON.parse(line);
    if (report.done) isDone = true;
    else onLine(report);
  });
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (isDone && code === 0) resolve();
      else reject(new Error(`ended with ${signal ?? `exit code ${code}`}\n${noise}`.trim()));
    });
  });
  try {
    await Promise.race([ended, watch.over]);
  } finally {
    watch.end();
    child.kill("SIGKILL");
  }
}

/** The pages, bundled and served; they post what they report. */
export async function withSite(onLine, use) {
  const watch = silence();
  await bundle(entry("page"), SITE);
  const site = await serve(SITE, (_path, body) => {
    watch.heard();
    onLine(JSON.parse(body));
  });
  try {
    return await Promise.race([use(site.url), watch.over]);
  } finally {
    watch.end();
    site.close();
  }
}

export async function inBrowser(name, { executablePath }, { size, folder, onLine }) {
  const browser = await launch(name, { executablePath, profile: folder, callMsMax: CALL_MS_MAX });
  try {
    await withSite(onLine, async (url) => {
      for (const where of ["page", "worker"]) {
        const page = await browser.newPage();
        await page.open(url, "holdfastDo");
        await page.call(where, "measure", { size });
        await page.close();
      }
    });
    return browser.version.replace("/", " ").toLowerCase();
  } finally {
    await browser.close();
  }
}

export async function inWorkerd({ command }, { size, onLine }) {
  await bundleForWorkerd(entry("edge"), EDGE_SITE);
  const server = await serveWorkerd(command, EDGE_SITE);
  const watch = silence();
  try {
    const response = await fetch(server.url, { method: "POST", body: JSON.stringify({ size }) });
    await Promise.race([read(response, onLine, watch.heard), watch.over]);
  } catch (error) {
    throw new Error(`${error.message}\n${server.noise()}`.trim());
  } finally {
    watch.end();
    await server.close();
  }
}

async function read(response, onLine, heard) {
  let isDone = false;
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    heard();
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const report = JSON.parse(line);
      if (report.done) isDone = true;
      else onLine(report);
    }
  }
  if (!isDone) throw new Error(`it answered ${response.status} and ended before it was done`);
}
