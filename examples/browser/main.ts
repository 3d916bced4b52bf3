/**
 * The page around the agent. What it keeps true:
 *  - everything shown is read back from the database after each commit; the page has no state of its own to lose;
 *  - every failure is shown with its code and message, and with what can be done about it;
 *  - while a strict commit is in flight nothing else is written, since a synchronous write could not wait for it.
 */
import { Database, HoldfastError, type Run, type RunSnapshot, type TraceTree, type Value } from "holdfast";
import { approve, begin, RUN, startOver, stepsDone, TASK_TRACE, takeStep } from "./agent";
import agentSource from "./agent.ts?raw";
import { PLAN } from "./plan";

const DATABASE = "agent-sandbox";
/** How much of the end of the trace tree and of the event log is shown. */
const STEPS_SHOWN = 3;
const EVENTS_SHOWN = 4;
const HASH_DIGITS = 8;
/** How long to wait before asking again whether the other tab has let go. */
const LOCKED_RETRY_MS = 1_500;

interface Opened {
  readonly db: Database;
  run: Run;
}

let opened: Opened | undefined;
let opening = false;
let retryTimer: ReturnType<typeof setTimeout> | undefined;

// ---- The page's elements ---------------------------------------------------------------------------------------------

function find<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}.`);
  return element;
}

const page = {
  failure: find("failure", HTMLElement),
  failureTitle: find("failure-title", HTMLElement),
  failureCode: find("failure-code", HTMLElement),
  failureMessage: find("failure-message", HTMLElement),
  failureAdvice: find("failure-advice", HTMLElement),
  retry: find("retry", HTMLButtonElement),
  status: find("status", HTMLElement),
  main: find("opened", HTMLElement),
  progress: find("progress", HTMLProgressElement),
  progressText: find("progress-text", HTMLElement),
  plan: find("plan", HTMLOListElement),
  step: find("step", HTMLButtonElement),
  strict: find("strict", HTMLButtonElement),
  reload: find("reload", HTMLButtonElement),
  startOver: find("start-over", HTMLButtonElement),
  stepTime: find("step-time", HTMLOutputElement),
  strictTime: find("strict-time", HTMLOutputElement),
  cursor: find("cursor", HTMLElement),
  tree: find("tree", HTMLUListElement),
  chain: find("chain", HTMLElement),
  eventsTable: find("events-table", HTMLTableElement),
  events: find("events", HTMLTableSectionElement),
  entries: find("entries", HTMLTableSectionElement),
  facts: find("facts", HTMLElement),
  source: find("source", HTMLElement),
};

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text: string,
  className = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Setting the same text again would make a screen reader say it again. */
function say(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

// ---- Failures --------------------------------------------------------------------------------------------------------

interface Explanation {
  readonly title: string;
  readonly advice: string;
}

function explain(error: unknown): Explanation {
  if (HoldfastError.is(error, "LOCKED")) {
    return {
      title: "Another tab has this run open",
      advice: "A database has one owner at a time. Close the other tab, and the run goes on here by itself.",
    };
  }
  if (HoldfastError.is(error, "STORAGE_FULL")) {
    return { title: "There is no room left", advice: "Free some space on this device, then try again." };
  }
  if (HoldfastError.is(error, "CLOSED")) {
    return { title: "This page has lost its database", advice: "Try again to open what is there now." };
  }
  if (opened === undefined) {
    return { title: "The database could not be opened", advice: "What is stored was left as it is." };
  }
  if (HoldfastError.is(error, "STORE_FAILED") || HoldfastError.is(error, "COMMIT_INDETERMINATE")) {
    return {
      title: "The browser’s storage has failed",
      advice: "What is shown may be ahead of what is stored. Try again to open what is there.",
    };
  }
  return { title: "That did not work", advice: "What was stored before is still shown below." };
}

function showFailure(error: unknown): void {
  const { title, advice } = explain(error);
  say(page.failureTitle, title);
  say(page.failureCode, HoldfastError.is(error) ? error.code : error instanceof Error ? error.name : "Error");
  say(page.failureMessage, error instanceof Error ? error.message : String(error));
  say(page.failureAdvice, advice);
  if (!page.failure.hidden) return;
  page.failure.hidden = false;
  // On a small screen the button that was pressed is far below.
  page.failure.scrollIntoView({ block: "nearest" });
}

/** Runs what a click or an event asked for; whatever it throws is shown. */
async function attempt(work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
    page.failure.hidden = opened !== undefined;
  } catch (error) {
    showFailure(error);
  }
}

// ---- What is shown ---------------------------------------------------------------------------------------------------

function milliseconds(ms: number): string {
  // Browsers blur their clock to 0.1 ms on pages that are not isolated.
  return ms < 0.1 ? "< 0.1 ms" : `${ms.toFixed(1)} ms`;
}

function count(number: number): string {
  return number.toLocaleString("en");
}

function textOf(value: Value): string {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || Array.isArray(value)) {
    return typeof value === "string" ? `"${value}"` : String(value);
  }
  return Object.entries(value)
    .map(([name, field]) => `${name}: ${textOf(field)}`)
    .join(", ");
}

function showPlan(done: number): void {
  page.plan.replaceChildren(
    ...PLAN.map(({ task }, index) => {
      const state = index < done ? "done" : index === done ? "next" : "";
      const item = element("li", "", state);
      item.append(element("span", task), element("span", state, "state"));
      if (state === "next") item.setAttribute("aria-current", "step");
      return item;
    }),
  );
  page.progress.max = PLAN.length;
  page.progress.value = done;
  say(page.progressText, `${done} of ${PLAN.length} steps`);
}

function showCursor({ state }: RunSnapshot): void {
  const cursor = state.read("cursor");
  page.cursor.replaceChildren(
    element("code", "cursor"),
    element("span", ` ${textOf(cursor?.value ?? null)}, at version ${cursor?.version ?? 0}`),
  );
}

function traceText({ trace: { entry } }: TraceTree): string {
  if (entry.type === "thought") return entry.content;
  if (entry.type === "tool-call") return `${entry.name} ${textOf(entry.args)} → ${textOf(entry.result ?? null)}`;
  return entry.type === "custom" && typeof entry.data === "string" ? entry.data : "";
}

function traceItem(tree: TraceTree): HTMLLIElement {
  const item = element("li", "");
  const { entry } = tree.trace;
  const kind = entry.type === "custom" ? entry.name : entry.type;
  item.append(element("span", kind, "kind"), element("span", traceText(tree)));
  if (tree.children.length > 0) item.append(traceList(tree.children));
  return item;
}

function traceList(trees: readonly TraceTree[]): HTMLUListElement {
  const list = document.createElement("ul");
  list.append(...trees.map(traceItem));
  return list;
}

/** The root, how many steps are left out, and the last ones with all that belongs to them. */
function showTree({ traces }: RunSnapshot): void {
  const tree = traces.tree(TASK_TRACE);
  if (tree === undefined) return;
  const shown = tree.children.slice(-STEPS_SHOWN);
  const leftOut = tree.children.length - shown.length;
  const root = traceItem({ ...tree, children: [] });
  const steps = traceList(shown);
  if (leftOut > 0) steps.prepend(element("li", `Earlier steps: ${leftOut}`, "left-out"));
  steps.lastElementChild?.classList.add("newest");
  root.append(steps);
  page.tree.replaceChildren(root);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function showEvents({ events }: RunSnapshot): void {
  const { valid, length, reason } = events.verify();
  const summary = length === 0 ? "None yet." : `${length} in a chain of hashes, verified just now.`;
  say(page.chain, valid ? summary : `The chain is broken. ${reason}`);
  const last = [...events.range(Math.max(0, length - EVENTS_SHOWN))].reverse();
  page.events.replaceChildren(
    ...last.map(({ sequence, type, payload, hash }, index) => {
      const row = element("tr", "", index === 0 ? "newest" : "");
      const number = element("th", String(sequence), "number");
      number.scope = "row";
      const seal = `${hex(hash).slice(0, HASH_DIGITS)}…`;
      row.append(number, element("td", type, "word"), element("td", textOf(payload)), element("td", seal, "word"));
      return row;
    }),
  );
  page.eventsTable.hidden = length === 0;
}

function showEntries({ kv }: RunSnapshot): void {
  const entries = kv.list().map(([key, value]) => ({
    key,
    text: textOf(value),
    version: kv.getVersioned(key)?.version ?? 0,
  }));
  const newest = Math.max(...entries.map(({ version }) => version));
  page.entries.replaceChildren(
    ...entries.map(({ key, text, version }) => {
      const row = element("tr", "", version === newest ? "newest" : "");
      const name = element("th", key);
      name.scope = "row";
      row.append(name, element("td", text), element("td", count(version), "number"));
      return row;
    }),
  );
  if (entries.length > 0) return;
  const nothing = element("td", "Nothing yet. Let the agent take a step.", "nothing");
  nothing.colSpan = 3;
  const row = element("tr", "");
  row.append(nothing);
  page.entries.append(row);
}

function factsOf(db: Database): [name: string, value: string, about: string][] {
  const { kind, mechanism, persisted, fresh, recovered } = db.storageInfo;
  const { mode } = db.durability;
  const { logBytes } = db.stats();
  const keeping = {
    true: ["yes", "The browser promises not to evict it."],
    false: ["no", "The browser may evict it when the disk is full, unless the page asks it not to."],
    undefined: ["unknown", "This browser does not say."],
  } as const;
  const [kept, keptAbout] = keeping[`${persisted}`];
  const info = db.runs.get(RUN);
  return [
    ["Run", info?.status ?? "unknown", `${RUN}, in the index of runs, tagged ${info?.tags.join(", ")}.`],
    ["Mode", mode, `The strongest that ${kind} can keep in a synchronous call.`],
    ["Storage", kind, `Made durable by: ${mechanism}.`],
    ["Persisted", kept, keptAbout],
    ["Fresh", fresh ? "yes" : "no", fresh ? "Nothing was there before." : "It was there already when the page opened."],
    [
      "Recovered",
      recovered === undefined ? "no need" : `${count(recovered.commits)} commits`,
      recovered === undefined
        ? "It was new, or had been closed."
        : `Found at opening: ${recovered.reason}. Bytes cut off: ${count(recovered.droppedBytes)}.`,
    ],
    [
      "Version",
      count(db.version),
      `Of the newest commit. It leaps after a reload, so that none is given twice. The log has ${count(logBytes)} bytes.`,
    ],
  ];
}

function showFacts({ db }: Opened): void {
  page.facts.replaceChildren(
    ...factsOf(db).map(([name, value, about]) => {
      const fact = element("div", "");
      fact.append(element("dt", name), element("dd", value), element("dd", about, "about"));
      return fact;
    }),
  );
}

function show(now: Opened): void {
  const snapshot = now.db.snapshot();
  const run = snapshot.run(RUN);
  const done = stepsDone(run);
  showPlan(done);
  showCursor(run);
  showTree(run);
  showEvents(run);
  showEntries(run);
  snapshot.dispose();
  showFacts(now);
  page.step.disabled = done >= PLAN.length;
}

// ---- What the buttons do ---------------------------------------------------------------------------------------------

function current(): Opened {
  if (opened === undefined) throw new Error("The database is not open.");
  return opened;
}

function step(): void {
  const now = current();
  const start = performance.now();
  const decided = takeStep(now.db, now.run);
  const ms = performance.now() - start;
  page.stepTime.value = milliseconds(ms);
  show(now);
  // A button that can no longer be pressed would lose the keyboard's place on the page.
  if (page.step.disabled) page.startOver.focus();
  say(
    page.status,
    `Step ${stepsDone(now.run)} is event ${decided?.sequence}: cursor, traces and note, all in one transaction.`,
  );
}

async function commitStrictly(): Promise<void> {
  const now = current();
  const buttons = [page.step, page.strict, page.startOver];
  for (const button of buttons) button.disabled = true;
  try {
    const start = performance.now();
    const { sequence } = await approve(now.run);
    const ms = performance.now() - start;
    page.strictTime.value = milliseconds(ms);
    say(page.status, `The approval, event ${sequence}, is durable, and so is every step before it.`);
  } finally {
    for (const button of buttons) button.disabled = false;
    if (now.db.isOpen) show(now);
    page.strict.focus();
  }
}

function forget(): void {
  const now = current();
  now.run = startOver(now.db);
  show(now);
  say(page.status, "The run was deleted as a whole, and begun anew. Versions go on growing.");
}

// ---- Opening ---------------------------------------------------------------------------------------------------------

function lose(db: Database, reason: string): void {
  opened = undefined;
  // Only closing gives the lock back. What it could not write any more is part of the loss that is shown here.
  db.close().catch(() => {});
  page.main.hidden = true;
  say(page.status, "");
  showFailure(new HoldfastError("CLOSED", `The database was taken away: ${reason}.`));
}

async function open(): Promise<void> {
  clearTimeout(retryTimer);
  if (opening || opened !== undefined) return;
  opening = true;
  try {
    const db = await Database.open(DATABASE);
    db.on("error", showFailure);
    db.on("locked-out", (reason) => lose(db, reason));
    opened = { db, run: begin(db) };
    const done = stepsDone(opened.run);
    show(opened);
    page.main.hidden = false;
    say(page.status, done === 0 ? "Ready for the first step." : `Found the run again, after step ${done}.`);
  } catch (error) {
    say(page.status, "");
    if (HoldfastError.is(error, "LOCKED")) retryTimer = setTimeout(() => attempt(open), LOCKED_RETRY_MS);
    throw error;
  } finally {
    opening = false;
  }
}

/** Writes again what could not be written, or where nothing can be written any more, opens what there is. */
async function retry(): Promise<void> {
  if (opened !== undefined) {
    const { db } = opened;
    try {
      return await db.flush();
    } catch (error) {
      // The commits that found no room are still waiting for it; closing would give them up.
      if (HoldfastError.is(error, "STORAGE_FULL")) throw error;
    }
    opened = undefined;
    // It fails for the reason that is shown already, and gives the lock back all the same.
    await db.close().catch(() => {});
  }
  await open();
}

page.source.textContent = agentSource.trim();
page.step.addEventListener("click", () => attempt(step));
page.strict.addEventListener("click", () => attempt(commitStrictly));
page.startOver.addEventListener("click", () => attempt(forget));
page.reload.addEventListener("click", () => location.reload());
page.retry.addEventListener("click", () => attempt(retry));
addEventListener("error", ({ error, message }) => showFailure(error ?? message));
addEventListener("unhandledrejection", ({ reason }) => showFailure(reason));
// A page that comes back from the back-forward cache had to give its database up when it was put there.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) void attempt(open);
});
// A hidden tab can be killed without another word.
addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") void opened?.db.flush().catch(showFailure);
});

void attempt(open);
