/**
 * The slider through time: which of the versions that are held is looked at. At its right end it follows what is new.
 */
import { el, say } from "./dom";
import type { HeldVersion } from "./questions";
import { timeText } from "./text";

export class TimeSlider {
  readonly element: HTMLElement;
  readonly #onMove: () => void;
  readonly #range = el("input", { id: "hi-time", type: "range", min: "0", max: "0", value: "0", step: "1" });
  readonly #now = el("button", { type: "button", class: "hi-now" }, "Back to now");
  /** Said with the slider, as its value: aloud at each step it would be too much. */
  readonly #label = el("output", { for: "hi-time", class: "hi-moment", "aria-live": "off" });
  readonly #about = el("p", { class: "hi-fine", id: "hi-time-about" });
  #held: readonly HeldVersion[] = [];
  /** The version that is looked at; `undefined` while it follows. */
  #at: number | undefined;
  #hasSource = false;

  constructor(onMove: () => void) {
    this.#onMove = onMove;
    this.#range.setAttribute("aria-describedby", "hi-time-about");
    this.#range.addEventListener("input", () => this.#moved());
    this.#now.addEventListener("click", () => {
      this.look(undefined);
      this.#range.focus();
    });
    const head = el("div", { class: "hi-time-head" }, el("label", { for: "hi-time" }, "Time"), this.#label, this.#now);
    this.element = el("div", { class: "hi-time" }, head, this.#range, this.#about);
    this.#show();
  }

  /** Without a source what is shown stays as it is; with another one it is what is there now. */
  set hasSource(hasSource: boolean) {
    this.#hasSource = hasSource;
    if (hasSource) this.look(undefined);
    else this.#show();
  }

  get at(): number | undefined {
    return this.#at;
  }

  /** Looks at a version that is held; without one, at what is there now. */
  look(version: number | undefined): void {
    this.#at = version === this.#held.at(-1)?.version ? undefined : version;
    this.#show();
    this.#onMove();
  }

  /** Takes what is held now. A version that is looked at and not held any more gives way to the oldest that is. */
  update(held: readonly HeldVersion[], heldMax: number): void {
    this.#held = held;
    const oldest = held[0]?.version;
    if (this.#at !== undefined && (oldest === undefined || held.every(({ version }) => version !== this.#at))) {
      this.#at = oldest !== undefined && this.#at < oldest ? oldest : undefined;
    }
    say(
      this.#about,
      `Snapshots of the newest ${heldMax} versions are held in memory since the database was opened; a version goes with the oldest of them, and all of them with the worker.`,
    );
    this.#show();
  }

  #moved(): void {
    this.look(this.#held[Number(this.#range.value)]?.version);
  }

  #show(): void {
    const last = Math.max(0, this.#held.length - 1);
    const found = this.#held.findIndex(({ version }) => version === this.#at);
    const index = found === -1 ? last : found;
    const moment = this.#held[index];
    // Where one version alone is held the thumb is at the right, which is now.
    this.#range.max = String(last || 1);
    this.#range.value = String(last === 0 ? 1 : index);
    this.#range.style.setProperty("--part", last === 0 ? "1" : String(index / last));
    this.#range.disabled = last === 0 || !this.#hasSource;
    this.#now.disabled = !this.#hasSource;
    this.#now.hidden = this.#at === undefined;
    this.element.classList.toggle("hi-past", this.#at !== undefined);
    const where = this.#at === undefined ? "now" : `${last - index} back`;
    const text =
      moment === undefined
        ? "nothing is held"
        : `version ${moment.version}, ${where} · ${moment.event ?? "no new event"} · ${timeText(moment.takenAt)}`;
    say(this.#label, text);
    this.#range.setAttribute("aria-valuetext", text);
  }
}
