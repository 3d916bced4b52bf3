/**
 * The log of events: the newest first, by type if one is chosen, and whether its chain of hashes holds.
 */
import { el, keyed, say } from "./dom";
import type { Source } from "./questions";
import { hashText, plural, shortText, textOf, timeText } from "./text";
import { summary, type View } from "./view";

const SHOWN = 80;

export class Timeline implements View {
  readonly id = "events";
  readonly title = "Events";
  readonly panel: HTMLElement;
  readonly #list = el("ol", { class: "hi-events", "aria-label": "Events, the newest first" });
  readonly #summary = summary();
  readonly #types = el("select", { id: "hi-event-type" }, el("option", { value: "" }, "all types"));
  readonly #verdict = el("span", { class: "hi-verdict", role: "status" });
  #source: Source | undefined;
  /** What is shown; a verdict goes with it. */
  #shown = "";

  /** @param refresh is called where something else is to be shown */
  constructor(refresh: () => void) {
    const verify = el("button", { type: "button" }, "Verify the chain");
    verify.addEventListener("click", () => void this.#verify());
    this.#types.addEventListener("change", refresh);
    const label = el("label", { for: "hi-event-type" }, "Show");
    const tools = el("div", { class: "hi-tools" }, label, this.#types, verify, this.#verdict);
    this.panel = el("section", {}, this.#summary, tools, this.#list);
  }

  reset(): void {
    this.#types.value = "";
    say(this.#verdict, "");
  }

  async show(source: Source, at: number | undefined): Promise<void> {
    this.#source = source;
    const type = this.#types.value === "" ? undefined : this.#types.value;
    const shown = `${at} ${type}`;
    if (shown !== this.#shown) say(this.#verdict, "");
    this.#shown = shown;
    const { events, length, types } = await source.ask("events", { at, limit: SHOWN, type });
    say(
      this.#summary,
      `${plural(length, "event")}, each sealed with the hash of the one before. ${shownText(events.length, length, type)}`,
    );
    keyed(
      this.#types,
      // The type that is chosen stays where a version has none of it.
      [...new Set(["", ...types, type ?? ""])],
      (each) => each,
      (each) => el("option", { value: each }, each === "" ? "all types" : each),
    );
    keyed(
      this.#list,
      events,
      ({ sequence, hash }) => `${sequence} ${hashText(hash)}`,
      ({ sequence, type, payload, timestamp, hash }) =>
        el(
          "li",
          {},
          el("span", { class: "hi-sequence" }, String(sequence)),
          el("strong", { class: "hi-type" }, type),
          el("span", { class: "hi-payload" }, shortText(textOf(payload), 220)),
          el("span", { class: "hi-fine" }, `${timeText(timestamp)} · hash ${hashText(hash)}`),
        ),
    );
  }

  async #verify(): Promise<void> {
    try {
      const answer = await this.#source?.ask("verify", {});
      if (answer === undefined) return;
      const { valid, length, reason } = answer;
      say(this.#verdict, valid ? `All ${length} hashes computed again: the chain holds.` : `Broken: ${reason}`);
    } catch {
      say(this.#verdict, "There is no worker; resume to verify.");
    }
  }
}

function shownText(shown: number, length: number, type: string | undefined): string {
  if (type === undefined) return length > shown ? `The newest ${shown} are shown.` : "";
  return shown === 0 ? "None is of this type." : `The newest ${shown} of this type are shown.`;
}
