/**
 * What a view is: a panel, and how it is brought up to date.
 */
import { el } from "./dom";
import type { Source } from "./questions";

export interface View {
  readonly id: string;
  readonly title: string;
  readonly panel: HTMLElement;
  /** Shows what there is at a version that is held; without one, now. */
  show(source: Source, at: number | undefined): Promise<void>;
  /** Forgets what is looked for in it. */
  reset?(): void;
}

/** A table in a box of its own to scroll in, with a body for rows. */
export function table(label: string, columns: readonly string[]): { box: HTMLElement; body: HTMLTableSectionElement } {
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)));
  const body = el("tbody");
  const box = el(
    "div",
    { class: "hi-scroll", role: "group", "aria-label": label, tabindex: "0" },
    el("table", { "aria-label": label }, el("thead", {}, head), body),
  );
  return { box, body };
}

/** The line above a view that says how much of what is shown. */
export function summary(): HTMLParagraphElement {
  return el("p", { class: "hi-summary" });
}
