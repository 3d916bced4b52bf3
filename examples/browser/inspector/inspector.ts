/**
 * The inspector: everything that a run keeps, at any version that is held, in tabs below a slider.
 *
 * What it keeps true: it knows the database only through a {@link Source}, and may be given another one at any time, or none, and
 * then goes on showing what it has shown last, and says so to whoever asks for something else. There is one refresh at a time, and a pause after it.
 */
import "./inspector.css";
import { CellsView } from "./cells-view";
import { CostsView } from "./costs-view";
import { el, say } from "./dom";
import { EntriesView } from "./entries-view";
import { GraphView } from "./graph-view";
import type { Overview, Source } from "./questions";
import { Tabs } from "./tabs";
import { TimeSlider } from "./time";
import { Timeline } from "./timeline";
import { TracesView } from "./traces-view";
import { VersionsView } from "./versions-view";
import type { View } from "./view";

const REFRESH_PAUSE_MS = 120;

/** Told after each refresh what is looked at. */
export type OnShown = (overview: Overview, at: number | undefined, source: Source) => void | Promise<void>;

export class Inspector {
  readonly #views: readonly View[];
  readonly #tabs: Tabs;
  readonly #time: TimeSlider;
  readonly #root: HTMLElement;
  readonly #onShown: OnShown;
  /** Shown where something is asked for while there is no source. */
  readonly #note = el("p", { class: "hi-note", role: "status" });
  #source: Source | undefined;
  #stop: () => void = () => {};
  #wanted = false;
  #busy = false;

  constructor(root: HTMLElement, onShown: OnShown = () => {}) {
    this.#root = root;
    this.#onShown = onShown;
    this.#time = new TimeSlider(() => this.refresh());
    this.#views = [
      new Timeline(() => this.refresh()),
      new TracesView(),
      new CellsView(),
      new EntriesView(() => this.refresh()),
      new GraphView(),
      new VersionsView((version) => this.#time.look(version)),
      new CostsView(),
    ];
    this.#tabs = new Tabs("What is stored", this.#views, () => this.refresh());
    root.classList.add("hi");
    root.append(
      this.#time.element,
      this.#tabs.list,
      this.#note,
      el("div", { class: "hi-panels" }, ...this.#views.map(({ panel }) => panel)),
    );
    this.#tabs.select(this.#views[0]?.id ?? "");
    say(this.#note, "");
  }

  /** Shows another source, or with none what was shown last, for as long as there is none. */
  connect(source: Source | undefined): void {
    this.#stop();
    this.#source = source;
    this.#stop = source?.onChange(() => this.refresh()) ?? (() => {});
    this.#root.classList.toggle("hi-gone", source === undefined);
    if (source !== undefined) say(this.#note, "");
    this.#time.hasSource = source !== undefined;
  }

  /** Goes back to now, and to all that there is: what was looked for is of a run that is gone. */
  reset(): void {
    for (const view of this.#views) view.reset?.();
    this.#time.look(undefined);
  }

  /** Brings what is shown up to date, soon. */
  refresh(): void {
    if (this.#source === undefined) say(this.#note, "There is no worker; resume to look.");
    this.#wanted = true;
    if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#wanted && this.#source !== undefined) {
      this.#wanted = false;
      const source = this.#source;
      try {
        await this.#show(source);
      } catch (error) {
        // A source that is gone says so in each of its answers; what comes after it is asked anew.
        if (source === this.#source) this.#root.dispatchEvent(new CustomEvent("failure", { detail: error }));
      }
      await new Promise((resolve) => setTimeout(resolve, REFRESH_PAUSE_MS));
    }
    this.#busy = false;
  }

  async #show(source: Source): Promise<void> {
    const overview = await source.ask("overview", {});
    this.#time.update(overview.held, overview.heldMax);
    const at = this.#time.at;
    await this.#views.find(({ id }) => id === this.#tabs.selected)?.show(source, at);
    await this.#onShown(overview, at, source);
  }
}
