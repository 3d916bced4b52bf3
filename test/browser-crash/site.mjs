/**
 * The page of these tests, and the ledger that stands outside of the browser. What was told to it outlives whatever happens to
 * the browser.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../../scripts/steps.mjs";
import * as browsers from "../support/browsers.mjs";

const SITE = join(ROOT, "build/browser-crash");
const ENTRY = fileURLToPath(new URL("./page.mjs", import.meta.url));

/** What one case has told, in the order in which it came. */
export class Ledger {
  /** The highest commit below which every one was acknowledged, and the highest at all. */
  acknowledged = 0;
  count = 0;
  events = [];
  #waiting = [];

  note(path, about) {
    if (path === "/ack") {
      this.acknowledged = Math.max(this.acknowledged, about.i);
      this.count += 1;
    } else this.events.push(about);
    this.#waiting = this.#waiting.filter((it) => !it());
  }

  /** Returns when `condition` holds; throws after `msMax`. */
  until(condition, what, msMax = 20_000) {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited ${msMax} ms for ${what}; told: ${JSON.stringify(this.events)}`)),
        msMax,
      );
      this.#waiting.push(() => {
        if (!condition()) return false;
        clearTimeout(timer);
        resolve();
        return true;
      });
    });
  }
}

/** Bundles and serves the page. @returns its URL, the ledgers by case, and what ends it */
export async function serve() {
  await browsers.bundle(ENTRY, SITE);
  const ledgers = new Map();
  const site = await browsers.serve(SITE, (path, body) => {
    const about = JSON.parse(body);
    ledgers.get(about.id)?.note(path, about);
  });
  return { ...site, ledgers };
}
