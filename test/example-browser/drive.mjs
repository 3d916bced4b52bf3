/**
 * The sandbox, built and served, and a page of it in Chromium or Firefox. What it keeps true: the page is driven by what playwright
 * and puppeteer call alike, with keys and clicks as a person's; which library drives which browser is known here alone.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { ROOT } from "../../scripts/steps.mjs";
import { serve } from "../support/browsers.mjs";

export const EXAMPLE = join(ROOT, "examples/browser");
const SITE = join(ROOT, "build/example-browser");
const RUNTIMES = join(ROOT, "test/runtimes/node_modules");
const PUPPETEER = join(RUNTIMES, "puppeteer-core/lib/esm/puppeteer/puppeteer-core.js");
const WAIT_MS_MAX = 30_000;
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  // Letters in grey make pictures smaller, and the same on every screen.
  "--disable-lcd-text",
];

/** Bundles the sandbox as its own configuration says. */
export async function buildSandbox() {
  const { build } = await import("vite");
  await build({ root: EXAMPLE, logLevel: "error" });
}

/** Serves what was bundled; `sent` has the bytes of each file that was asked for, gzipped. */
export async function serveSandbox({ isolated }) {
  const sent = new Map();
  const onSent = (file, content) => sent.set(file, gzipSync(content, { level: 9 }).length);
  return { ...(await serve(SITE, undefined, { isolated, onSent })), sent };
}

async function launchChromium({ executablePath, profile, width, height, dark }) {
  const { chromium } = await import("playwright");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: CHROMIUM_FLAGS,
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
  });
  return { newPage: () => context.newPage(), close: () => context.close() };
}

async function launchFirefox({ executablePath, profile, width, height, dark }) {
  const { launch } = await import(pathToFileURL(PUPPETEER));
  const browser = await launch({
    browser: "firefox",
    executablePath,
    userDataDir: profile,
    headless: true,
    defaultViewport: { width, height },
    extraPrefsFirefox: { "layout.css.prefers-color-scheme.content-override": dark ? 0 : 1 },
  });
  return { newPage: () => browser.newPage(), close: () => browser.close() };
}

/** A page of the sandbox, and what a person does to it. */
class Sandbox {
  /** What nothing in the page has caught. */
  errors = [];

  #newPage;

  constructor(page, newPage) {
    this.page = page;
    this.#newPage = newPage;
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
  }

  async open(url) {
    await this.page.goto(url);
    await this.ready();
  }

  /** The same in another tab. */
  async besides() {
    const other = new Sandbox(await this.#newPage(), this.#newPage);
    await other.page.goto(this.page.url());
    return other;
  }

  /** Waits until the database is open. */
  ready() {
    return this.until("the database to be open", () => !document.getElementById("kill").disabled);
  }

  /** Waits until `test(argument)`, a function in the page, is true. */
  async until(what, test, argument) {
    const end = Date.now() + WAIT_MS_MAX;
    while (Date.now() < end) {
      if (await this.page.evaluate(test, argument)) return;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    const notice = await this.text("notice").catch(() => "?");
    throw new Error(`waited in vain for ${what}; the page says: ${notice}; ${this.errors.join("; ")}`);
  }

  click(id) {
    return this.page.click(`[id="${id}"]`);
  }

  text(id) {
    return this.page.evaluate((of) => document.getElementById(of).textContent, id);
  }

  /** Chooses of a select, or moves a slider, as a person would. */
  choose(id, value) {
    return this.page.evaluate(
      ([of, to]) => {
        const control = document.getElementById(of);
        control.value = to;
        control.dispatchEvent(new Event("input", { bubbles: true }));
        control.dispatchEvent(new Event("change", { bubbles: true }));
      },
      [id, value],
    );
  }

  async tab(name) {
    await this.click(`tab-${name}`);
    await this.until(`the panel ${name}`, (of) => document.getElementById(`panel-${of}`).hidden === false, name);
  }

  /** The number of the last step, as the page says it; -1 while there is no worker. */
  step() {
    return this.page.evaluate(() => Number(/step (\d+)/.exec(document.getElementById("state").textContent)?.[1] ?? -1));
  }

  untilStep(least) {
    return this.until(
      `step ${least}`,
      (to) => Number(/step (\d+)/.exec(document.getElementById("state").textContent)?.[1] ?? -1) >= to,
      least,
    );
  }

  untilNotice(pattern) {
    return this.until(
      `“${pattern}”`,
      (of) => new RegExp(of).test(document.getElementById("notice").textContent),
      pattern,
    );
  }
}

/**
 * A browser on a profile of its own, whose windows look as `options` say, and if they say nothing as those of a desk.
 * @param options `name`, `executablePath`, and where it matters `width`, `height`, `dark`
 * @returns `open(url)`, which gives a page of the sandbox, and all that ends its tabs; `close()`
 */
export async function startBrowser({ name, executablePath, width = 1280, height = 900, dark = false }) {
  const profile = mkdtempSync(join(tmpdir(), `holdfast-sandbox-${name}-`));
  const launch = name === "firefox" ? launchFirefox : launchChromium;
  const forget = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  try {
    const { newPage, close } = await launch({ executablePath, profile, width, height, dark });
    return {
      open: (url) => openSandbox(newPage, url),
      close: () => close().finally(forget),
    };
  } catch (error) {
    forget();
    throw error;
  }
}

async function openSandbox(newTab, url) {
  const tabs = [];
  const newPage = async () => {
    const tab = await newTab();
    tabs.push(tab);
    return tab;
  };
  const sandbox = new Sandbox(await newPage(), newPage);
  const close = async () => {
    for (const tab of tabs) if (!tab.isClosed()) await tab.close();
  };
  try {
    await sandbox.open(url);
  } catch (error) {
    await close();
    throw error;
  }
  return { sandbox, close };
}
