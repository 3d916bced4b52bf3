/**
 * Tabs, as the ARIA practices have them: one stop for the Tab key, arrows, Home and End go between them, and the panel follows.
 */
import { el } from "./dom";

export interface TabSpec {
  readonly id: string;
  readonly title: string;
  readonly panel: HTMLElement;
}

export class Tabs {
  readonly list: HTMLElement;
  readonly #tabs: readonly TabSpec[];
  readonly #buttons: HTMLButtonElement[];
  readonly #onSelect: (id: string) => void;
  #selected = "";

  constructor(label: string, tabs: readonly TabSpec[], onSelect: (id: string) => void) {
    this.#tabs = tabs;
    this.#onSelect = onSelect;
    this.#buttons = tabs.map(({ id, title, panel }) => {
      const attributes = { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}` };
      const button = el("button", attributes, title);
      panel.id = `panel-${id}`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", button.id);
      panel.tabIndex = 0;
      button.addEventListener("click", () => this.select(id));
      return button;
    });
    this.list = el("div", { role: "tablist", "aria-label": label, class: "hi-tabs" }, ...this.#buttons);
    this.list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get selected(): string {
    return this.#selected;
  }

  select(id: string): void {
    this.#selected = id;
    this.#tabs.forEach((tab, index) => {
      const isSelected = tab.id === id;
      tab.panel.hidden = !isSelected;
      const button = this.#buttons[index];
      button?.setAttribute("aria-selected", String(isSelected));
      if (button !== undefined) button.tabIndex = isSelected ? 0 : -1;
    });
    this.#onSelect(id);
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.#tabs.length - 1;
    const at = this.#tabs.findIndex(({ id }) => id === this.#selected);
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[
      event.key
    ];
    const tab = to === undefined ? undefined : this.#tabs[to];
    if (to === undefined || tab === undefined) return;
    event.preventDefault();
    this.select(tab.id);
    this.#buttons[to]?.focus();
    this.#buttons[to]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
