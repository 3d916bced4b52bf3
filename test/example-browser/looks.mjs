/**
 * Whether the sandbox can be used by everybody: by keyboard alone, and by whoever needs contrast, labels and a phone's width; and how
 * much has to be loaded before.
 */
import { check, pauseAt, untilState } from "./cases.mjs";

/** Gzipped, all that is loaded until the database is open. */
const FIRST_LOAD_BYTES_MAX = 100_000;

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
    await sandbox.page.evaluate(() => document.getElementById("kill").focus());
    await keyboard.press("Enter");
    await untilState(sandbox, "killed");
    check((await activeId(sandbox)) === "go", "after a kill the focus is not at what resumes");
    await keyboard.press("Enter");
    await untilState(sandbox, "active");
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
  const phone = { width: 390, height: 844 };
  return [
    { title: "axe, light", inAll: true, run: (sandbox) => audit(sandbox, axe) },
    { title: "axe, dark", options: { dark: true }, run: (sandbox) => audit(sandbox, axe) },
    { title: "axe, light, phone", options: phone, run: (sandbox) => audit(sandbox, axe) },
    {
      title: "axe, dark, phone",
      inAll: true,
      options: { ...phone, dark: true },
      run: (sandbox) => audit(sandbox, axe),
    },
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
