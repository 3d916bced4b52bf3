/**
 * The cases, each on a page that has just been opened for the first time. They look at what the page shows, never into it.
 */
const STEPS = 59;
/** Gzipped, all that is loaded until the database is open. */
const FIRST_LOAD_BYTES_MAX = 100_000;
const FLAT_OUT = "0";
const BRISK = "500";

function check(holds, what) {
  if (!holds) throw new Error(what);
}

const stateOf = (sandbox) => sandbox.page.evaluate(() => document.getElementById("state").dataset.state);
const untilState = (sandbox, state) =>
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

async function files(sandbox) {
  await sandbox.page.evaluate(() => {
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
      globalThis.exported = blob;
      return make.call(URL, blob);
    };
  });
  await pauseAt(sandbox, 15);
  await sandbox.choose("pace", FLAT_OUT);
  const step = await sandbox.step();
  await sandbox.click("export");
  await sandbox.untilNotice("^Exported");
  await sandbox.click("start-over");
  await sandbox.untilNotice("begun anew");
  check((await sandbox.step()) === 0, "a new run is not at step 0");

  const give = (name, bytes) =>
    sandbox.page.evaluate(
      ([called, content]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([content ?? globalThis.exported], called));
        const input = document.getElementById("import-file");
        input.files = transfer.files;
        input.dispatchEvent(new Event("change"));
      },
      [name, bytes],
    );
  await give("no-export.txt", "what is no export");
  await sandbox.untilNotice("CORRUPTION|UNSUPPORTED");
  check((await sandbox.step()) === 0, "a file that is no export has changed the run");
  await give("run.holdfast");
  await sandbox.untilNotice(`Imported run.holdfast: a run at step ${step}\\.`);
  await sandbox.page.reload();
  await sandbox.ready();
  check((await sandbox.step()) === step, "what was imported is not there after a reload");
  await sandbox.click("go");
  await finish(sandbox);
  await verifyEvents(sandbox);
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
    { title: "pause, reload, kill, resume", run: killAndReload },
    { title: "pause, reload, kill, resume, in IndexedDB", query: idb, run: killAndReload },
    { title: "killed again and again", run: killAgainAndAgain },
    { title: "modes, and what they lose", run: modes },
    { title: "export and import", run: files },
    { title: "export and import, in IndexedDB", query: idb, run: files },
    { title: "back through time", run: time },
  ];
}

const activeId = (sandbox) => sandbox.page.evaluate(() => document.activeElement?.id ?? "");

/** Presses Tab until an element is reached. */
async function tabTo(sandbox, id) {
  for (let presses = 0; presses < 60; presses++) {
    if ((await activeId(sandbox)) === id) return;
    await sandbox.page.keyboard.press("Tab");
  }
  throw new Error(`the Tab key does not come to ${id}`);
}

export const keyboardCase = {
  title: "by keyboard alone",
  async run(sandbox) {
    const { keyboard } = sandbox.page;
    await keyboard.press("Tab");
    await tabTo(sandbox, "go");
    await keyboard.press("Enter");
    await sandbox.untilStep(2);
    await keyboard.press(" ");
    await untilState(sandbox, "paused");
    check((await activeId(sandbox)) === "go", "the focus was lost when it was paused");
    await tabTo(sandbox, "hi-time");
    await keyboard.press("ArrowLeft");
    await sandbox.until("the past", () => document.querySelector(".hi-past") !== null);
    await keyboard.press("End");
    await sandbox.until("now", () => document.querySelector(".hi-past") === null);
    await tabTo(sandbox, "tab-events");
    for (const id of ["traces", "cells", "entries"]) {
      await keyboard.press("ArrowRight");
      check((await activeId(sandbox)) === `tab-${id}`, `the arrow did not come to ${id}`);
    }
    await keyboard.press("End");
    check((await activeId(sandbox)) === "tab-costs", "End did not come to the last tab");
    await keyboard.press("ArrowRight");
    check((await activeId(sandbox)) === "tab-events", "the tabs do not go round");
    await keyboard.press("Tab");
    check((await activeId(sandbox)) === "panel-events", "behind a tab is not its panel");
  },
};

const TABS = ["events", "traces", "cells", "entries", "graph", "versions", "costs"];

async function audit(sandbox, axe) {
  await pauseAt(sandbox, 25);
  await sandbox.page.evaluate(axe);
  const found = [];
  const look = async (what) => {
    const violations = await sandbox.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
      );
    });
    found.push(...violations.map((violation) => `${what}: ${violation}`));
  };
  for (const tab of TABS) {
    await sandbox.tab(tab);
    await new Promise((resolve) => setTimeout(resolve, 250));
    await look(tab);
  }
  await sandbox.choose("hi-time", "3");
  await sandbox.until("the past", () => document.querySelector(".hi-past") !== null);
  await look("the past");
  await sandbox.click("kill");
  await look("killed");
  check(found.length === 0, `axe has found:\n${[...new Set(found)].join("\n")}`);
  const wide = await sandbox.page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  check(wide <= 0, `the page is ${wide} px wider than the window`);
}

export function lookCases(axe) {
  const desk = { width: 1280, height: 900 };
  const phone = { width: 390, height: 844 };
  return [
    { title: "axe, light", options: desk, run: (sandbox) => audit(sandbox, axe) },
    { title: "axe, dark", options: { ...desk, dark: true }, run: (sandbox) => audit(sandbox, axe) },
    { title: "axe, light, phone", options: phone, run: (sandbox) => audit(sandbox, axe) },
    { title: "axe, dark, phone", options: { ...phone, dark: true }, run: (sandbox) => audit(sandbox, axe) },
  ];
}

export const sizeCase = {
  title: "first load",
  async run(_sandbox, { sent }) {
    const bytes = [...sent.values()].reduce((sum, each) => sum + each, 0);
    console.log(`        first load: ${bytes} bytes gzipped, in ${sent.size} files`);
    check(sent.size > 5 && bytes < FIRST_LOAD_BYTES_MAX, `the first load is ${bytes} bytes`);
  },
};
