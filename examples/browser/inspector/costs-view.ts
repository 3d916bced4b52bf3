/**
 * What it costs: how long commits take in each mode, and what memory and log have come to.
 */
import type { DatabaseStats } from "holdfast";
import { el, keyed, say, svg } from "./dom";
import { LATENCIES_KEPT, type Latency } from "./meter";
import type { Source } from "./questions";
import { bytesText, countText, millisecondsText, plural } from "./text";
import { summary, type View } from "./view";

const CHART_WIDTH = 320;
const CHART_HEIGHT = 56;
/** The scale is logarithmic, and the same for every mode: from 10 µs to 100 ms. */
const DECADES = [-2, -1, 0, 1, 2] as const;

function heightOf(ms: number): number {
  const [lowest, highest] = [DECADES[0], 2];
  const decade = Math.min(highest, Math.max(lowest, Math.log10(Math.max(ms, 1e-9))));
  return ((highest - decade) / (highest - lowest)) * CHART_HEIGHT;
}

function chart({ recentMs }: Latency): SVGElement {
  const lines = DECADES.map((decade) => {
    const y = heightOf(10 ** decade);
    return svg("line", { x1: 0, x2: CHART_WIDTH, y1: y, y2: y, class: "hi-rule" });
  });
  const step = CHART_WIDTH / LATENCIES_KEPT;
  const left = CHART_WIDTH - recentMs.length * step;
  const bars = recentMs.map((ms, index) => {
    const y = Math.min(heightOf(ms), CHART_HEIGHT - 2);
    return svg("rect", { x: left + index * step, y, width: step * 0.75, height: CHART_HEIGHT - y, class: "hi-bar" });
  });
  const view = `0 -1 ${CHART_WIDTH} ${CHART_HEIGHT + 2}`;
  return svg(
    "svg",
    { viewBox: view, class: "hi-chart", "aria-hidden": "true", preserveAspectRatio: "none" },
    ...lines,
    ...bars,
  );
}

const FACTS: readonly (readonly [string, (stats: DatabaseStats) => string])[] = [
  [
    "Memory of the core",
    ({ memoryBytes, memoryFreeBytes }) => `${bytesText(memoryBytes)}, ${bytesText(memoryFreeBytes)} of it free`,
  ],
  [
    "Newest values and keys",
    ({ liveBytes, entries }) => `${bytesText(liveBytes)} in ${plural(entries, "entry", "entries")}`,
  ],
  ["Older values, held by snapshots", ({ deadBytes }) => bytesText(deadBytes)],
  ["Snapshots held", ({ snapshotsHeld }) => countText(snapshotsHeld)],
  ["Log, since it began", ({ logBytes }) => bytesText(logBytes)],
  ["Commits, with those read back from the log", ({ commits }) => countText(commits)],
  [
    "Syncs",
    ({ syncs, commitsPerSync }) =>
      commitsPerSync === undefined
        ? countText(syncs)
        : `${countText(syncs)}, for ${commitsPerSync.toFixed(1)} commits each`,
  ],
];

export class CostsView implements View {
  readonly id = "costs";
  readonly title = "Costs";
  readonly panel: HTMLElement;
  readonly #summary = summary();
  readonly #modes = el("div", { class: "hi-modes" });
  readonly #facts = el("dl", { class: "hi-facts" });

  constructor() {
    const scale = el(
      "p",
      { class: "hi-fine" },
      "A bar for each commit, the newest at the right, on one scale: lines at 0.01, 0.1, 1, 10 and 100 ms.",
    );
    const sizes = el("h3", {}, "Memory and log");
    this.panel = el(
      "section",
      {},
      this.#summary,
      el("h3", {}, "Commit latency by mode"),
      scale,
      this.#modes,
      sizes,
      this.#facts,
    );
  }

  async show(source: Source): Promise<void> {
    const { stats, latency, clockMs } = await source.ask("costs", {});
    say(
      this.#summary,
      `Measured by holdfast/trace around the core and the storage, since the database was opened. The clock moves in steps of ${millisecondsText(clockMs, clockMs)} here. This view is always of now.`,
    );
    keyed(
      this.#modes,
      latency,
      ({ mode }) => mode,
      ({ mode }) => el("section", { class: "hi-mode" }, el("h4", {}, mode), el("p"), el("div")),
      (section, each) => {
        const [, text, drawing] = section.children;
        const { commits, medianMs, p99Ms, maxMs, syncMedianMs } = each;
        const ms = (value: number) => millisecondsText(value, clockMs);
        const line = `${plural(commits, "commit")}: median ${ms(medianMs)} (sync ${ms(syncMedianMs)}), p99 ${ms(p99Ms)}, most ${ms(maxMs)}`;
        if (text !== undefined && text.textContent !== line) {
          say(text, line);
          drawing?.replaceChildren(chart(each));
        }
      },
    );
    keyed(
      this.#facts,
      FACTS,
      ([name]) => name,
      ([name]) => el("div", {}, el("dt", {}, name), el("dd")),
      (pair, [, text]) => say(pair.lastElementChild as Element, text(stats)),
    );
  }
}
