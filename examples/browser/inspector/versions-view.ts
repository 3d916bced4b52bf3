/**
 * The versions that are held, and what the one that is looked at has changed.
 */
import { el, keyed, say } from "./dom";
import type { Source } from "./questions";
import { plural, timeText } from "./text";
import { summary, table, type View } from "./view";

export class VersionsView implements View {
  readonly id = "versions";
  readonly title = "Versions";
  readonly panel: HTMLElement;
  readonly #summary = summary();
  readonly #list = el("ol", { class: "hi-versions", "aria-label": "Versions that are held, the newest first" });
  readonly #changed = el("h3");
  readonly #body: HTMLTableSectionElement;
  readonly #box: HTMLElement;
  readonly #nothing = el(
    "p",
    { class: "hi-fine" },
    "No key, cell, event, trace or node differs: it was the index of runs that was written, or the same value again.",
  );

  #shown = 0;

  /** @param choose is told which version is to be looked at */
  constructor(choose: (version: number) => void) {
    const { box, body } = table("What this version changed", ["Kind", "What", "How"]);
    this.#body = body;
    this.#box = box;
    this.#list.addEventListener("click", ({ target }) => {
      const version = target instanceof Element ? target.closest("button")?.dataset["version"] : undefined;
      if (version !== undefined) choose(Number(version));
    });
    this.panel = el(
      "section",
      {},
      this.#summary,
      el("div", { class: "hi-split" }, this.#list, el("div", {}, this.#changed, this.#nothing, box)),
    );
  }

  async show(source: Source, at: number | undefined): Promise<void> {
    const [{ held, heldMax, version: newest }, { stats }] = await Promise.all([
      source.ask("overview", {}),
      source.ask("costs", {}),
    ]);
    const version = at ?? newest;
    const changes = await source.ask("changes", { version });
    say(
      this.#summary,
      `A snapshot is held of each of the newest ${heldMax} versions since the database was opened: ${plural(held.length, "version")} at the moment, ` +
        `which keep ${plural(stats.deadBytes, "byte")} of older values in memory. What lies further back is only in the log of events. Numbers leap by 1,048,576 where the database had not been closed, so that none is given twice.`,
    );
    keyed(
      this.#list,
      [...held].reverse(),
      (each) => String(each.version),
      (each) => {
        const button = el(
          "button",
          { type: "button", "data-version": String(each.version) },
          el("span", { class: "hi-number" }, String(each.version)),
          el("strong", {}, each.event ?? "no event"),
          el("span", { class: "hi-fine" }, timeText(each.takenAt)),
        );
        return el("li", {}, button);
      },
      (item, each) => item.firstElementChild?.setAttribute("aria-pressed", String(each.version === changes.version)),
    );
    if (this.#shown !== changes.version) this.#scrollTo(changes.version);
    const { since, lines } = changes;
    say(
      this.#changed,
      since === undefined
        ? `Version ${changes.version} is the oldest that is held`
        : `Version ${changes.version}, compared with ${since}`,
    );
    this.#box.hidden = lines.length === 0;
    this.#nothing.hidden = since === undefined || lines.length > 0;
    keyed(
      this.#body,
      lines.map((line, index) => ({ ...line, key: `${changes.version} ${index}` })),
      ({ key }) => key,
      ({ kind, what, how }) =>
        el("tr", {}, el("td", { class: "hi-word" }, kind), el("th", { scope: "row" }, what), el("td", {}, how)),
    );
  }

  /** Brings a version into the list's own window; the page stays where it is. */
  #scrollTo(version: number): void {
    this.#shown = version;
    const item = this.#list.querySelector(`[data-key="${version}"]`);
    if (!(item instanceof HTMLElement)) return;
    const top = item.getBoundingClientRect().top - this.#list.getBoundingClientRect().top;
    const isSeen = top >= 0 && top + item.offsetHeight <= this.#list.clientHeight;
    if (!isSeen) this.#list.scrollTop += top - this.#list.clientHeight / 3;
  }
}
