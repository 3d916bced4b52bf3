/**
 * State cells: their value, and the counter that compare-and-swap goes by.
 */
import { el, keyed, say } from "./dom";
import type { Source } from "./questions";
import { plural, shortText, textOf, timeText } from "./text";
import { summary, table, type View } from "./view";

export class CellsView implements View {
  readonly id = "cells";
  readonly title = "State";
  readonly panel: HTMLElement;
  readonly #summary = summary();
  readonly #body: HTMLTableSectionElement;

  constructor() {
    const { box, body } = table("State cells", ["Cell", "Value", "Its version", "Written"]);
    this.#body = body;
    box.classList.add("hi-even");
    this.panel = el("section", {}, this.#summary, box);
  }

  async show(source: Source, at: number | undefined): Promise<void> {
    const cells = await source.ask("cells", { at });
    say(
      this.#summary,
      `${plural(cells.length, "cell")}. Each counts its own writes; a stale compare-and-swap never succeeds.`,
    );
    keyed(
      this.#body,
      cells,
      ([name]) => name,
      ([name]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, name),
          el("td"),
          el("td", { class: "hi-number" }),
          el("td", { class: "hi-word" }),
        ),
      (row, [, { value, version, updatedAt }]) => {
        const [, held, counter, written] = row.children;
        if (held !== undefined) say(held, shortText(textOf(value), 400));
        if (counter !== undefined) say(counter, String(version));
        if (written !== undefined) say(written, timeText(updatedAt));
      },
    );
  }
}
