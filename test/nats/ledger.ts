/**
 * What owners have said, in the order in which they said it: nothing is ever taken out. It knows what must be in a run, and who must
 * have written it.
 */
import { expect } from "vitest";
import type { FleetRun } from "../../src/fleet/fleet.js";

interface Entry {
  readonly what: "took" | "ack";
  readonly run: string;
  readonly n: number;
  readonly owner: number;
}

export class Ledger {
  readonly #entries: Entry[] = [];

  append(entry: Entry): void {
    this.#entries.push(entry);
  }

  #of(run: string, what: Entry["what"]): Entry[] {
    return this.#entries.filter((entry) => entry.run === run && entry.what === what);
  }

  /** The last commit of a run that is known to be acknowledged. */
  acknowledged(run: string): number {
    return Math.max(0, ...this.#of(run, "ack").map(({ n }) => n));
  }

  /** Who holds a run since the last time that it was taken. */
  owner(run: string): number | undefined {
    return this.#of(run, "took").at(-1)?.owner;
  }

  /** Whether each owner has found what was acknowledged before he came. */
  checkTakes(run: string): void {
    let acknowledged = 0;
    for (const { what, n, run: of } of this.#entries) {
      if (of !== run) continue;
      if (what === "took") expect(n, `${run}: lost before it was taken`).toBeGreaterThanOrEqual(acknowledged);
      else acknowledged = Math.max(acknowledged, n);
    }
  }

  /** Compares a run with what is known of it; how many commits it has. */
  check(id: string, run: FleetRun): number {
    this.checkTakes(id);
    const events = [...run.events.range()].map(({ payload }) => payload as { n: number; owner: number });
    const count = events.length;
    expect(count, `${id}: lost`).toBeGreaterThanOrEqual(this.acknowledged(id));
    expect(run.kv.get("n") ?? 0, `${id}: partial`).toBe(count);
    expect(run.state.read("n")?.value ?? 0, `${id}: partial`).toBe(count);
    const takes = this.#of(id, "took");
    const writers = new Map(this.#of(id, "ack").map(({ n, owner }) => [n, owner]));
    for (const [at, { n, owner }] of events.entries()) {
      expect(n, `${id}: in order`).toBe(at + 1);
      expect(owner, `${id}: commit ${n} is whose`).toBe(takes.findLast((take) => take.n < n)?.owner);
      expect(writers.get(n) ?? owner, `${id}: commit ${n} was acknowledged to whom`).toBe(owner);
    }
    return count;
  }
}
