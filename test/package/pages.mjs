/**
 * The built pages in browsers, under the policy that docs/BUNDLERS.md shows, isolated so that they may share memory; and the page as
 * a development server gives it.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boundToThis, ROOT, StepError } from "../../scripts/steps.mjs";
import { launch, serve } from "../support/browsers.mjs";

const CALL_MS_MAX = 60_000;
/** A copy of the core that no bundler knows of. */
const CORE = "given.wasm";

/** The policy as documented. */
export function documentedPolicy() {
  const [, policy] =
    /^Content-Security-Policy: (.+)$/m.exec(readFileSync(join(ROOT, "docs/BUNDLERS.md"), "utf8")) ?? [];
  if (policy === undefined) throw new StepError("docs/BUNDLERS.md shows no Content-Security-Policy.");
  return policy;
}

/** The addresses of icons are the browser's idea, not the page's. */
const isOfPage = (text) => !text.includes("favicon.ico");

/**
 * Tries the page at an address in the browser of that name.
 * @returns `{ name, error }[]`: the cases of the page, and whether anything was complained of in it
 */
async function tryAt({ runtime, executablePath }, url, policy) {
  const profile = mkdtempSync(join(tmpdir(), "holdfast-packed-"));
  const complaints = [];
  let browser;
  try {
    browser = await launch(runtime, { executablePath, profile, callMsMax: CALL_MS_MAX });
    const page = await browser.newPage();
    page.onError((error) => complaints.push(error.stack ?? error.message));
    page.onConsole((type, text) => {
      if (type === "error") complaints.push(text);
    });
    await page.open(url, "holdfastTry");
    const outcomes = await page.call({ core: `/${CORE}`, refusesText: policy !== undefined });
    return [...outcomes, { name: "nothing is complained of", error: complaints.filter(isOfPage).join("\n") }];
  } catch (error) {
    return [{ name: "the page opens", error: [error.message, ...complaints].join("\n") }];
  } finally {
    await browser?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function addFiles(folder) {
  copyFileSync(join(ROOT, "dist/single.wasm"), join(folder, CORE));
  writeFileSync(join(folder, "favicon.ico"), "");
}

/** Tries a built page, served with a policy, which is the documented one if nothing else is said. */
export async function tryBuilt(browser, site, policy = documentedPolicy()) {
  addFiles(site);
  const server = await serve(site, undefined, { headers: { "Content-Security-Policy": policy } });
  try {
    return await tryAt(browser, server.url, policy);
  } finally {
    server.close();
  }
}

/** Tries the page as a development server gives it, which sets headers of its own and no policy. */
export async function tryServed(browser, { folder, script, args }) {
  addFiles(folder);
  const server = boundToThis(
    spawn(process.execPath, [script, ...args], { cwd: folder, env: { ...process.env, NO_COLOR: "1" } }),
  );
  try {
    return await tryAt(browser, await addressOf(server));
  } finally {
    server.kill("SIGKILL");
  }
}

/** The address that a development server says it has. */
function addressOf(server) {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (chunk) => {
      said += chunk;
      const [address] = /http:\/\/\S+:\d+\//.exec(said) ?? [];
      if (address !== undefined) resolve(address);
    };
    server.stdout.setEncoding("utf8").on("data", hear);
    server.stderr.setEncoding("utf8").on("data", hear);
    server.once("close", () => reject(new StepError(`the server ended: ${said}`)));
  });
}
