/**
 * The browsers of these tests: started on a profile that outlives them, and ended in the ways in which browsers end.
 *
 * What it keeps true: only processes that were started here are ended, each by its id: the browser's own, and those below it.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { launch, within } from "../support/browsers.mjs";

const START_ATTEMPTS = 4;
const PAUSE_MS = 500;
const ENDED_POLL_MS = 5;
const CLEARED_POLLS_MAX = 200;
/** A new page, or the end of one, that takes longer will not come: the page's process was killed meanwhile. */
const PAGE_MS_MAX = 10_000;
const CALL_MS_MAX = 40_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Children and their children of a process, by what the system says. */
function descendants(pid) {
  const parents = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [pid];
  for (let i = 0; i < found.length; i += 1) {
    for (const [child, parent] of parents) if (parent === found[i]) found.push(child);
  }
  return found.slice(1);
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

function end(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export class Browser {
  #browser;
  #private;
  #profile;
  #executablePath;
  #url;

  constructor(name, executablePath, profile, url) {
    this.name = name;
    this.#executablePath = executablePath;
    this.#profile = profile;
    this.#url = url;
  }

  /** Starts it, unless it runs. The one that was killed may hold its profile for a moment. */
  async start() {
    for (let attempt = 1; this.#browser === undefined; attempt += 1) {
      try {
        this.#browser = await launch(this.name, {
          executablePath: this.#executablePath,
          profile: this.#profile,
          callMsMax: CALL_MS_MAX,
        });
      } catch (error) {
        if (attempt === START_ATTEMPTS) throw error;
        await pause(PAUSE_MS * attempt);
      }
    }
  }

  /** A page that is ready to be told something. */
  async page() {
    await this.start();
    const page = await this.#newPage();
    await page.open(this.#url, "holdfastDo");
    return {
      call: (where, call, settings) => page.call(where, call, settings ?? {}),
      /** Begins something whose end is not waited for. */
      begin: (where, call, settings) => page.begin(where, call, settings ?? {}),
      close: () => within(PAGE_MS_MAX, page.close()).catch(() => {}),
      reload: () => page.reload(),
      devtools: () => page.devtools(),
    };
  }

  /** A browser may give a new page a process that was ready for one, and has been killed with those of the pages. */
  async #newPage() {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await within(PAGE_MS_MAX, (this.#private ?? this.#browser).newPage(), "a new page");
      } catch (error) {
        if (attempt === START_ATTEMPTS || !/crashed|did not end/.test(error.message)) throw error;
        await pause(PAUSE_MS);
      }
    }
  }

  /** Until {@link leavePrivate}, pages are those of a window that keeps nothing. */
  async enterPrivate() {
    await this.start();
    this.#private = await this.#browser.openPrivate();
  }

  async leavePrivate() {
    const window = this.#private;
    this.#private = undefined;
    await window?.close().catch(() => {});
  }

  /** Kills the processes that pages live in, and waits until the browser has cleared them away. @returns how many they were */
  async killPages() {
    const isOfPage = (command) =>
      this.name === "firefox" ? / tab\s*$/.test(command) : command.includes("--type=renderer");
    const pids = descendants(this.#browser.pid).filter((pid) => isOfPage(commandOf(pid)));
    for (const pid of pids) end(pid);
    for (let polls = 0; polls < CLEARED_POLLS_MAX && pids.some(isAlive); polls += 1) await pause(ENDED_POLL_MS);
    return pids.length;
  }

  /** Kills the browser, its main process first, and whatever of it is left. */
  async kill() {
    const { pid } = this.#browser;
    this.#browser = undefined;
    const pids = descendants(pid);
    end(pid);
    while (isAlive(pid)) await pause(ENDED_POLL_MS);
    for (const below of pids) end(below);
    rmSync(join(this.#profile, "SingletonLock"), { force: true });
  }

  async close() {
    const browser = this.#browser;
    this.#browser = undefined;
    await browser?.close().catch(() => {});
  }
}
