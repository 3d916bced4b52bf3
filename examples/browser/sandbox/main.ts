/**
 * The page: its buttons, and what it says. What it keeps true: it remembers nothing of the run but when it was begun and the number
 * of the last step that it has seen, to say truthfully after a kill or a reload whether any were lost.
 */
import type { DurabilityName } from "holdfast";
import type { Standing } from "../agent/agent";
import { el, keyed, say } from "../inspector/dom";
import { Inspector } from "../inspector/inspector";
import { CallError } from "../inspector/link";
import { plural } from "../inspector/text";
import { Desk } from "./desk";
import { page } from "./page";
import type { News, Opened } from "./protocol";
import { Session } from "./session";

const SEEN_KEY = "holdfast-sandbox-seen";
const LOCKED_RETRY_MS = 1_500;
const FILE_NAME = "agent-run.holdfast";

const MODES: { readonly [M in DurabilityName]: string } = {
  strict: "A step returns when it is synced: nothing that you have seen is lost, not even in a power cut.",
  buffered:
    "A step returns when it is handed over; syncs follow. A power cut may take the last moments. On IndexedDB a killed worker may, too.",
  "in-memory":
    "A step returns at once and waits in memory for the next durable commit. A killed worker takes those that wait with it.",
};

const STATES: { readonly [state: string]: string } = { active: "at work", completed: "done" };

/** What can only be used while there is a worker. */
const CONTROLS = [page.kill, page.export, page.import, page.startOver, page.mode];

/** `undefined` while there is no worker. */
let standing: Standing | undefined;
let retry: ReturnType<typeof setTimeout> | undefined;
/** While a worker is being started, a button that starts one has nothing to do. */
let isOpening = false;
/** Whether another tab has the run, as far as is known. */
let isLockedOut = false;

const desk = new Desk();
const inspector = new Inspector(page.inspector, (_overview, at, source) => {
  document.body.classList.toggle("past", at !== undefined);
  return desk.show(source, at, () => inspector.refresh());
});
page.inspector.addEventListener("failure", (event) => {
  if (!isGone((event as CustomEvent).detail)) showFailure((event as CustomEvent).detail);
});
const session = new Session({ onNews, onSource: (source) => inspector.connect(source) });

const isGone = (error: unknown): boolean => error instanceof CallError && error.code === "GONE";

function notice(text: string, tone: "" | "warning" | "good" = ""): void {
  page.notice.dataset["tone"] = tone;
  say(page.notice, text);
}

function showFailure(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  notice(error instanceof CallError && error.code !== "Error" ? `${error.code}: ${message}` : message, "warning");
}

function onNews(news: News): void {
  if ("waiting" in news) {
    if (!isLockedOut) notice("Waiting for whoever has the database to let go of it…");
  } else if ("failed" in news) {
    if (!session.isAlive) show(undefined, "closed");
    const advice = session.isAlive ? " Kill the worker, and resume from what is stored." : "";
    notice(`${news.failed.code ?? "Failed"}: ${news.failed.message}${advice}`, "warning");
  } else {
    const before = standing;
    show(news.standing);
    if (before?.status === "active" && news.standing.status === "completed") {
      notice(
        `Done after ${plural(news.standing.step, "step")}: every test passes. Start over, or drag the slider back through time.`,
        "good",
      );
    }
  }
}

/** @param without what is said where there is no worker */
function show(now: Standing | undefined, without: "killed" | "closed" = "killed"): void {
  standing = now;
  const state = now === undefined ? without : now.status === "paused" && now.step === 0 ? "ready" : now.status;
  page.state.dataset["state"] = state;
  say(page.state, now === undefined ? state : `${STATES[state] ?? state} · step ${now.step}`);
  const isOver = now !== undefined && now.status !== "active" && now.status !== "paused";
  say(page.go, goLabel(now, isOver, without));
  const focused = document.activeElement;
  page.go.disabled = isOver;
  for (const control of CONTROLS) control.disabled = now === undefined;
  // A button that was pressed and can do nothing more hands the focus to what can be done next.
  if (focused instanceof HTMLButtonElement && focused.disabled) (isOver ? page.startOver : page.go).focus();
  if (now === undefined) return;
  sessionStorage.setItem(SEEN_KEY, `${now.createdAt} ${now.step}`);
  page.mode.value = now.mode;
  say(page.modeAbout, MODES[now.mode]);
}

function goLabel(now: Standing | undefined, isOver: boolean, without: "killed" | "closed"): string {
  if (now === undefined) return without === "killed" ? "Resume" : "Try again";
  if (isOver) return "Done";
  return now.status === "active" ? "Pause" : now.step === 0 ? "Start" : "Resume";
}

function showFacts({ storage: { kind, mechanism, persisted } }: Opened): void {
  const name = { opfs: "OPFS", indexeddb: "IndexedDB" }[kind] ?? kind;
  const facts = [
    name,
    `made durable by ${mechanism}`,
    crossOriginIsolated ? "isolated page" : "page not isolated",
    persisted === true ? "kept for good" : "may be evicted",
  ];
  keyed(
    page.facts,
    facts,
    (fact) => fact,
    (fact) => el("li", {}, fact),
  );
}

/** The last step that was seen of the run that was begun then, from what `show` has kept; `undefined` where none was. */
function seenOf(kept: string | null, { createdAt }: Standing): number | undefined {
  const [begun, step] = (kept ?? "").split(" ");
  return begun === String(createdAt) ? Number(step) : undefined;
}

/** What has become of the steps that were seen before. */
function account({ storage }: Opened, now: Standing, seen: number | undefined): string {
  const { step, status } = now;
  if (status === "paused" && step === 0 && (seen ?? 0) === 0)
    return "Ready. Start the agent; then kill it, reload, and see it go on where it was.";
  const recovered =
    storage.recovered === undefined ? "" : `, ${plural(storage.recovered.commits, "commit")} read back from the log`;
  const goes = status === "active" ? "It goes on" : status === "paused" ? "It waits" : "It ended";
  if (seen === undefined) return `Opened${recovered}. ${goes} at step ${step}.`;
  const lost = seen - step;
  if (lost <= 0) return `Opened${recovered}. ${goes} at step ${step}; nothing is lost.`;
  return `Opened${recovered}. ${goes} at step ${step}: ${plural(lost, "later step")} had not been made durable, and went with the worker.`;
}

/** @param resume whether a run that is paused goes on at once */
async function open({ resume }: { resume: boolean }): Promise<void> {
  clearTimeout(retry);
  setOpening(true);
  // The worker says where it stands before it is open.
  const kept = sessionStorage.getItem(SEEN_KEY);
  try {
    const opened = await session.start();
    isLockedOut = false;
    const seen = seenOf(kept, opened.standing);
    const now = resume && opened.standing.status === "paused" ? await session.go() : opened.standing;
    showFacts(opened);
    show(now);
    notice(account(opened, now, seen));
  } catch (error) {
    if (isGone(error)) return;
    showFailure(error);
    show(undefined, "closed");
    isLockedOut = error instanceof CallError && error.code === "LOCKED";
    if (isLockedOut) {
      notice("Another tab has this run open. Close it, and the run goes on here by itself.", "warning");
      retry = setTimeout(() => void open({ resume: false }), LOCKED_RETRY_MS);
    }
  } finally {
    setOpening(false);
  }
}

/** The button keeps the focus: it is needed again in a moment. */
function setOpening(isSo: boolean): void {
  isOpening = isSo;
  page.go.setAttribute("aria-disabled", String(isSo));
}

/** Does what a button asks for; whatever it throws is shown. */
function on(target: HTMLElement, type: "click" | "change", work: () => Promise<void> | void): void {
  target.addEventListener(type, async () => {
    try {
      await work();
    } catch (error) {
      if (isGone(error)) return;
      if (!session.isAlive) show(undefined, "closed");
      showFailure(error);
    }
  });
}

on(page.go, "click", async () => {
  if (isOpening) return;
  if (!session.isAlive) {
    await open({ resume: true });
  } else if (standing?.status === "active") {
    show(await session.pause());
    notice(`Paused at step ${standing.step}. That stands in the store: reload, and it is still paused.`);
  } else {
    show(await session.go());
    notice("At work.");
  }
});
on(page.kill, "click", () => {
  const step = standing?.step ?? 0;
  session.kill();
  show(undefined);
  notice(`The worker is dead, after step ${step} was seen. Resume starts another, from the store alone.`, "warning");
});
on(page.reload, "click", () => location.reload());
on(page.mode, "change", async () => {
  show(await session.setMode(page.mode.value as DurabilityName));
  notice(`From the next step on: ${page.mode.value}.`);
});
on(page.pace, "change", () => session.setPace(Number(page.pace.value)));
on(page.startOver, "click", async () => {
  show(await session.startOver());
  inspector.reset();
  notice("The run was deleted as a whole, and begun anew.");
});
on(page.export, "click", async () => {
  const url = URL.createObjectURL(await session.export());
  el("a", { href: url, download: FILE_NAME }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  notice(
    `Exported as ${FILE_NAME}, at step ${standing?.step ?? 0}. Every platform that Holdfast runs on opens it.`,
    "good",
  );
});
on(page.import, "click", () => page.importFile.click());
on(page.importFile, "change", async () => {
  const file = page.importFile.files?.[0];
  page.importFile.value = "";
  if (file === undefined) return;
  const opened = await session.import(file);
  inspector.reset();
  showFacts(opened);
  show(opened.standing);
  notice(`Imported ${file.name}: a run at step ${opened.standing.step}.`, "good");
});

session.paceMs = Number(page.pace.value);
void open({ resume: false });
