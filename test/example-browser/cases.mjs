/**
 * The cases, each on a page that has just been opened for the first time. They look at what the page shows, never into it.
 */
const STEPS = 59;
const FLAT_OUT = "0";
const BRISK = "500";
/** Longer than a tab that waits needs to get what has become free. */
const SLOW_START_MS = 2_000;

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

const stateOf = (sandbox) => sandbox.page.evaluate(() => document.getElementById("state").dataset.state);
export const untilState = (sandbox, state) =>
  sandbox.until(`the state ${state}`, (to) => document.getElementById("state").dataset.state === to, state);

async function finish(sandbox) {
  await sandbox.choose("pace", FLAT_OUT);
  await untilState(sandbox, "completed");
  check((await sandbox.step()) === STEPS, `it ended at step ${await sandbox.step()}`);
  await sandbox.until("all tests to pass", () => /^12 of 12/.test(document.getElementById("tests-text").textContent));
}

/** Pauses at that step or a little later: the agent is slowed down first, so that it is not done before it hears of it. */
export async function pauseAt(sandbox, step) {
  await sandbox.choose("pace", FLAT_OUT);
  await sandbox.click("go");
  await sandbox.untilStep(step);
  await sandbox.choose("pace", BRISK);
  await sandbox.click("go");
  await untilState(sandbox, "paused");
}

/** Every event is there once, in order, and the chain holds: nothing was done twice, nothing was left out. */
async function verifyEvents(sandbox) {
  await sandbox.tab("events");
  await sandbox.until(
    "all events",
    (length) => document.querySelectorAll(".hi-events > li").length === length,
    STEPS + 2,
  );
  await sandbox.page.click("#panel-events button");
  await sandbox.until("the chain to hold", () =>
    /the chain holds/.test(document.querySelector(".hi-verdict").textContent),
  );
}

async function killAndReload(sandbox) {
  // A buffered step over IndexedDB may be lost with whoever made it; that is said, and is no subject of this case.
  await sandbox.choose("mode", "strict");
  await sandbox.untilNotice("strict");
  await sandbox.click("go");
  await sandbox.untilStep(2);
  await sandbox.click("go");
  await untilState(sandbox, "paused");
  const paused = await sandbox.step();
  await sandbox.page.reload();
  await sandbox.ready();
  check((await stateOf(sandbox)) === "paused", "it was not paused any more after a reload");
  check((await sandbox.step()) === paused, `paused at step ${paused}, it is at ${await sandbox.step()} after a reload`);
  await sandbox.untilNotice("nothing is lost");

  await sandbox.click("go");
  await sandbox.untilStep(paused + 2);
  await sandbox.click("kill");
  await untilState(sandbox, "killed");
  await sandbox.untilNotice("The worker is dead");
  await sandbox.click("go");
  await untilState(sandbox, "active");
  await sandbox.untilStep(paused + 2);

  await sandbox.choose("pace", FLAT_OUT);
  await sandbox.untilStep(20);
  await sandbox.page.reload();
  await sandbox.ready();
  check((await sandbox.step()) >= 20, "a reload took steps that had been seen");
  await finish(sandbox);
  await verifyEvents(sandbox);
}

async function killAgainAndAgain(sandbox) {
  await sandbox.choose("pace", FLAT_OUT);
  await sandbox.click("go");
  for (let kills = 0; kills < 4 && (await stateOf(sandbox)) !== "completed"; kills++) {
    await sandbox.untilStep(8 * (kills + 1));
    await sandbox.click("kill");
    await sandbox.click("go");
    await sandbox.ready();
  }
  await finish(sandbox);
  await verifyEvents(sandbox);
}

/** However often it is paused and resumed within its pace, there is one agent, and a step at each beat. */
async function pauseWithinPace(sandbox) {
  const paceMs = 1_400;
  await sandbox.choose("pace", String(paceMs));
  await sandbox.click("go");
  await sandbox.untilStep(1);
  for (let times = 0; times < 3; times++) {
    await sandbox.click("go");
    await untilState(sandbox, "paused");
    await sandbox.click("go");
    await untilState(sandbox, "active");
  }
  // Whoever wakes late has woken by then.
  await sandbox.untilStep((await sandbox.step()) + 2);
  const [from, startedAt] = [await sandbox.step(), Date.now()];
  await sandbox.untilStep(from + 3);
  const tookMs = Date.now() - startedAt;
  check(tookMs > 2 * paceMs, `three steps took ${tookMs} ms at a pace of ${paceMs} ms`);
}

async function modes(sandbox) {
  const strongest = await sandbox.page.evaluate(() => document.getElementById("mode").value);
  await sandbox.choose("pace", "500");
  await sandbox.choose("mode", "buffered");
  await sandbox.untilNotice("buffered");
  await sandbox.click("go");
  await sandbox.untilStep(3);
  await sandbox.choose("mode", "strict");
  await sandbox.untilNotice("strict");
  await sandbox.untilStep((await sandbox.step()) + 2);
  await sandbox.tab("costs");
  const modesShown = () =>
    [...document.querySelectorAll(".hi-mode h4")]
      .map((title) => title.textContent)
      .sort()
      .join(" ");
  await sandbox.until("the latency of both modes", new Function(`return (${modesShown})() === "buffered strict"`));
  // What is in memory only goes with the worker, and the page says so; the mode itself was made durable before.
  await sandbox.choose("mode", "in-memory");
  await sandbox.untilNotice("in-memory");
  const durable = await sandbox.step();
  await sandbox.untilStep(durable + 3);
  await sandbox.click("kill");
  await sandbox.click("go");
  await sandbox.untilNotice("later steps? had not been made durable");
  await sandbox.choose("mode", strongest);
  await finish(sandbox);
}

/** Keeps in the page what is exported, beside what the browser does with it. */
function keepExport(sandbox) {
  return sandbox.page.evaluate(() => {
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
      globalThis.exported = blob;
      return make.call(URL, blob);
    };
  });
}

/** Exports the run at that step or a little later; the step. */
async function exportAt(sandbox, least) {
  await keepExport(sandbox);
  await pauseAt(sandbox, least);
  await sandbox.click("export");
  await sandbox.untilNotice("^Exported");
  return sandbox.step();
}

/** Gives a file to be imported: what was exported, or other bytes; and kills before any of it is read. */
function give(sandbox, name, { bytes, andKill = false } = {}) {
  return sandbox.page.evaluate(
    ([called, content, kills]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([content ?? globalThis.exported], called));
      const input = document.getElementById("import-file");
      input.files = transfer.files;
      input.dispatchEvent(new Event("change"));
      if (kills) document.getElementById("kill").click();
    },
    [name, bytes, andKill],
  );
}

async function files(sandbox) {
  const step = await exportAt(sandbox, 15);
  await sandbox.choose("pace", FLAT_OUT);
  await sandbox.click("start-over");
  await sandbox.untilNotice("begun anew");
  check((await sandbox.step()) === 0, "a new run is not at step 0");
  await give(sandbox, "no-export.txt", { bytes: "what is no export" });
  await sandbox.untilNotice("^This is no exported run");
  check((await sandbox.step()) === 0, "a file that is no export has changed the run");
  await give(sandbox, "run.holdfast");
  await sandbox.untilNotice(`Imported run.holdfast: a run at step ${step}\\.`);
  await sandbox.page.reload();
  await sandbox.ready();
  check((await sandbox.step()) === step, "what was imported is not there after a reload");
  await sandbox.click("go");
  await finish(sandbox);
  await verifyEvents(sandbox);
}

/** Killed at any moment of an import it stays killed, and goes on from one run or the other; of what was cut off nothing stays. */
async function killImport(sandbox) {
  const step = await exportAt(sandbox, 10);
  for (const afterMs of ["no", 0, 5, 15, 30, 60, 100]) {
    const atOnce = afterMs === "no";
    await give(sandbox, "run.holdfast", { andKill: atOnce });
    if (!atOnce) {
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await sandbox.page.evaluate(() => document.getElementById("kill").click());
    }
    await new Promise((resolve) => setTimeout(resolve, 600));
    const state = await stateOf(sandbox);
    check(state === "killed", `killed ${afterMs} ms into an import, it is ${state}`);
    await sandbox.click("go");
    await untilState(sandbox, "active");
    await sandbox.click("go");
    await untilState(sandbox, "paused");
    check((await sandbox.step()) >= step, "a kill during an import took steps");
  }
  await sandbox.until("one place to be left", async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
    const names = [];
    for await (const name of folder.keys()) names.push(name);
    const named = localStorage.getItem("holdfast-sandbox-place-opfs") ?? "sandbox-opfs";
    return names.filter((name) => name.startsWith("sandbox-opfs")).join() === named;
  });
}

/** Where a worker does not start, the page says so, and tries again when it is asked; a second click changes nothing. */
async function workerThatDoesNotStart(sandbox) {
  await pauseAt(sandbox, 5);
  const step = await sandbox.step();
  await sandbox.click("kill");
  await sandbox.page.evaluate(() => {
    const Whole = globalThis.Worker;
    globalThis.Worker = class extends Whole {
      constructor(_url, options) {
        super("./there-is-none.js", options);
        globalThis.Worker = Whole;
      }
    };
  });
  await sandbox.click("go");
  await sandbox.untilNotice("could not be loaded");
  await untilState(sandbox, "closed");
  check((await sandbox.text("go")) === "Try again", `the button says ${await sandbox.text("go")}`);
  check(
    // Each browser complains of the script in its own words.
    sandbox.errors.every((error) => /404|there-is-none/.test(error)),
    sandbox.errors.join(),
  );
  sandbox.errors.length = 0;
  await sandbox.page.evaluate(() => {
    document.getElementById("go").click();
    document.getElementById("go").click();
  });
  await untilState(sandbox, "active");
  await sandbox.untilStep(step + 1);
  check(!/no database open/.test(await sandbox.text("notice")), "a second click was not ignored");
}

/**
 * A tab that waits for the run gets the one that was imported meanwhile, and takes nothing from whoever imports, slow as that may
 * be to start a worker.
 */
async function importBesideTab(sandbox) {
  const step = await exportAt(sandbox, 12);
  await sandbox.page.evaluate((pauseMs) => {
    globalThis.Worker = class extends globalThis.Worker {
      constructor(url, options) {
        for (const end = Date.now() + pauseMs; Date.now() < end; );
        super(url, options);
      }
    };
  }, SLOW_START_MS);
  await sandbox.click("start-over");
  await sandbox.untilNotice("begun anew");
  const other = await sandbox.besides();
  await other.untilNotice("Waiting for whoever|Another tab");
  await give(sandbox, "run.holdfast");
  await sandbox.untilNotice(`Imported run.holdfast: a run at step ${step}\\.`);
  await other.untilNotice("Another tab");
  check((await other.step()) === -1, "two tabs have a run open");
  await sandbox.page.close();
  await other.ready();
  check((await other.step()) === step, `the other tab is at step ${await other.step()} instead of ${step}`);
  check(other.errors.length === 0, other.errors.join());
}

async function time(sandbox) {
  await sandbox.choose("pace", FLAT_OUT);
  await sandbox.click("go");
  await finish(sandbox);
  await sandbox.tab("cells");
  const stepCell = (value) =>
    [...document.querySelectorAll("#panel-cells tbody tr")].some(
      (row) => row.children[0].textContent === "step" && row.children[1].textContent === String(value),
    );
  await sandbox.until("the cell of now", stepCell, STEPS);
  const last = await sandbox.page.evaluate(() => Number(document.getElementById("hi-time").max));
  check(last > STEPS / 2, `only ${last + 1} versions are held`);
  await sandbox.choose("hi-time", String(last - 20));
  const back = await sandbox.page.evaluate(() => document.getElementById("hi-time").getAttribute("aria-valuetext"));
  check(/20 back/.test(back), `the slider says: ${back}`);
  await sandbox.until("the cell of then", stepCell, STEPS - 20);
  await sandbox.until("the tests of then", () => /^9 of 12/.test(document.getElementById("tests-text").textContent));
  await sandbox.tab("entries");
  await sandbox.choose("hi-search", "shipping.js");
  await sandbox.until("what is found", () => document.querySelectorAll("#panel-entries tbody tr").length > 1);
  await sandbox.tab("graph");
  await sandbox.until("the graph", () => document.querySelectorAll(".hi-node").length === 11);
  await sandbox.tab("traces");
  await sandbox.until("the tree", () => document.querySelectorAll(".hi-tree li").length > 20);
  await sandbox.tab("versions");
  await sandbox.until("what has changed", () => document.querySelectorAll("#panel-versions tbody tr").length > 2);
  await sandbox.page.click(".hi-now");
  await sandbox.tab("cells");
  await sandbox.until("the cell of now, again", stepCell, STEPS);
}

export function runCases() {
  const idb = "?storage=indexeddb";
  return [
    { title: "pause, reload, kill, resume", inAll: true, run: killAndReload },
    { title: "pause, reload, kill, resume, in IndexedDB", query: idb, run: killAndReload },
    { title: "killed again and again", run: killAgainAndAgain },
    { title: "pause and resume within the pace", run: pauseWithinPace },
    { title: "modes, and what they lose", inAll: true, run: modes },
    { title: "export and import", run: files },
    { title: "export and import, in IndexedDB", query: idb, run: files },
    { title: "killed during an import", run: killImport },
    { title: "import beside a second tab", run: importBesideTab },
    { title: "import beside a second tab, in IndexedDB", query: idb, run: importBesideTab },
    { title: "a worker that does not start", run: workerThatDoesNotStart },
    { title: "back through time", inAll: true, run: time },
  ];
}
