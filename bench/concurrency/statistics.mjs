// From windows to figures: what was measured in each round, set beside one worker and beside the yardstick.
//
// Keeps true: a ratio is taken inside a round, where both sides met the same machine, and its median is shown with its range.

import { ratioByRound, spread } from "../statistics.mjs";

/** The windows of all rounds, by workload, design and count of workers. */
export class Measured {
  #cells = new Map();

  add(workload, design, workers, window) {
    const key = keyOf(workload, design, workers);
    if (!this.#cells.has(key)) this.#cells.set(key, { workload, design, workers, windows: [] });
    this.#cells.get(key).windows.push(window);
  }

  /** Each with its spreads, for the JSON. */
  cells() {
    return [...this.#cells.values()].map((cell) => ({
      ...cell,
      perSecond: this.perSecond(cell.workload, cell.design, cell.workers),
      cpuNs: this.cpuNs(cell.workload, cell.design, cell.workers),
    }));
  }

  #all(workload, design, workers, field) {
    return this.#cells.get(keyOf(workload, design, workers))?.windows.map((window) => window[field]);
  }

  #spread(workload, design, workers, field) {
    const all = this.#all(workload, design, workers, field);
    return all === undefined ? undefined : spread(all);
  }

  perSecond(workload, design, workers) {
    return this.#spread(workload, design, workers, "perSecond");
  }

  cpuNs(workload, design, workers) {
    return this.#spread(workload, design, workers, "cpuNs");
  }

  /** Throughput, or processor time for each operation, over that of another count of workers. */
  over(workload, design, workers, others, field = "perSecond") {
    const above = this.#all(workload, design, workers, field);
    const below = this.#all(workload, design, others, field);
    return above === undefined || below === undefined ? undefined : ratioByRound(above, below);
  }

  /** How a design scales from one worker on, over how the yardstick does in the same rounds. */
  scalesLike(workload, design, yardstick, workers) {
    const ratios = [design, yardstick].map((which) => {
      const many = this.#all(workload, which, workers, "perSecond");
      const one = this.#all(workload, which, 1, "perSecond");
      return many?.map((figure, round) => figure / one[round]);
    });
    return ratios.includes(undefined) ? undefined : ratioByRound(...ratios);
  }
}

function keyOf(workload, design, workers) {
  return `${workload} ${design} ${workers}`;
}
