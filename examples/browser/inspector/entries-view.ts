/**
 * Key-values, searched in keys and values.
 */
import { el, keyed, say } from "./dom";
import type { Source } from "./questions";
import { plural, shortText, textOf } from "./text";
import { summary, table, type View } from "./view";

const SHOWN = 100;

export class EntriesView implements View {
  readonly id = "entries";
  readonly title = "Key-values";
  readonly panel: HTMLElement;
  readonly #search = el("input", {
    id: "hi-search",
    type: "search",
    placeholder: "keys and values",
    autocomplete: "off",
  });
  readonly #summary = summary();
  readonly #body: HTMLTableSectionElement;

  constructor(refresh: () => void) {
    const { box, body } = table("Key-values", ["Key", "Value", "Version"]);
    this.#body = body;
    box.classList.add("hi-even");
    this.#search.addEventListener("input", refresh);
    const tools = el(
      "div",
      { class: "hi-tools", role: "search" },
      el("label", { for: "hi-search" }, "Search"),
      this.#search,
    );
    this.panel = el("section", {}, tools, this.#summary, box);
  }

  reset(): void {
    this.#search.value = "";
  }

  async show(source: Source, at: number | undefined): Promise<void> {
    const search = this.#search.value;
    const { found, matching, total } = await source.ask("entries", { at, search, limit: SHOWN });
    if (search !== this.#search.value) return;
    const left = matching > found.length ? ` The first ${found.length} are shown.` : "";
    say(
      this.#summary,
      search === "" ? `${plural(total, "key")}.${left}` : `${matching} of ${plural(total, "key")} match.${left}`,
    );
    keyed(
      this.#body,
      found,
      ({ key }) => key,
      ({ key }) => el("tr", {}, el("th", { scope: "row" }, key), el("td"), el("td", { class: "hi-number" })),
      (row, { value, version }) => {
        const [, text, written] = row.children;
        if (text !== undefined) say(text, shortText(textOf(value), 180));
        if (written !== undefined) say(written, String(version));
      },
    );
  }
}
