/**
 * The tree of traces: branches that open and close, the newest marked.
 */
import type { Trace, TraceEntry, TraceTree } from "holdfast";
import { el, keyed, say } from "./dom";
import type { Source } from "./questions";
import { plural, shortText, textOf } from "./text";
import { summary, type View } from "./view";

/** What a trace says in one line. */
function contentOf(entry: TraceEntry): string {
  if (entry.type === "thought") return entry.content;
  if (entry.type === "decision") return `${entry.question} ${entry.chosen}`;
  if (entry.type === "query") return `${entry.query}: ${plural(entry.resultsCount, "result")}`;
  if (entry.type === "error") return entry.message;
  if (entry.type === "custom") return `${entry.name}: ${textOf(entry.data)}`;
  return `${entry.name} ${typeof entry.args === "string" ? entry.args : textOf(entry.args)}`;
}

function line({ entry, tags }: Trace): HTMLElement[] {
  const parts = [
    el("span", { class: `hi-kind hi-kind-${entry.type}` }, entry.type),
    el("span", { class: "hi-content" }, shortText(contentOf(entry), 200)),
  ];
  if (entry.type === "tool-call" && entry.result !== undefined) {
    const result = typeof entry.result === "string" ? entry.result : textOf(entry.result);
    parts.push(el("span", { class: "hi-result" }, shortText(result, 200)));
  }
  if (tags.length > 0) parts.push(el("span", { class: "hi-fine" }, tags.map((tag) => `#${tag}`).join(" ")));
  return parts;
}

function branch({ trace, children }: TraceTree): HTMLLIElement {
  if (children.length === 0) return el("li", { "data-leaf": "" }, el("div", { class: "hi-trace" }, ...line(trace)));
  const inside = el("ul", {});
  const details = el("details", { open: "" }, el("summary", { class: "hi-trace" }, ...line(trace)), inside);
  return el("li", {}, details);
}

function fill(list: Element, trees: readonly TraceTree[]): void {
  keyed(
    list,
    trees,
    // A leaf that gets its first child is made anew, as a branch.
    ({ trace, children }) => `${trace.id} ${children.length > 0}`,
    branch,
    (item, { children }) => {
      const inside = item.querySelector(":scope > details > ul");
      if (inside !== null) fill(inside, children);
    },
  );
}

export class TracesView implements View {
  readonly id = "traces";
  readonly title = "Traces";
  readonly panel: HTMLElement;
  readonly #tree = el("ul", { class: "hi-tree", "aria-label": "Tree of traces" });
  readonly #summary = summary();

  constructor() {
    this.panel = el("section", {}, this.#summary, this.#tree);
  }

  async show(source: Source, at: number | undefined): Promise<void> {
    const { trees, total } = await source.ask("traces", { at });
    say(
      this.#summary,
      `${plural(total, "trace")}: what was thought, asked, decided and done, each below what it belongs to.`,
    );
    fill(this.#tree, trees);
  }
}
