/** What `npm run bench:compare` says of figures: when two commits differ, and when that is only noise. */
import { describe, expect, test } from "vitest";
import { adjacentRatios, compareFigures } from "../../bench/compare/judgement.mjs";
import { compareReports } from "../../bench/compare/rows.mjs";
import { randomFrom } from "../support/seeded-random.js";

const SEED = Number(process.env["HOLDFAST_SEED"] ?? 7);
const TRIALS = 2000;
const ROUNDS = 7;
const NS = 100;

/** Figures of processes that scatter by `deviation`, one in `hit` of them slowed by something else, too. */
function makeFigures(random: () => number) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return (length: number, ns: number, deviation: number, hit = Number.POSITIVE_INFINITY) =>
    Array.from({ length }, () => ns * Math.exp(deviation * normal()) * (random() < 1 / hit ? 1 + 2 * random() : 1));
}

const shareOf = (trial: () => boolean) => Array.from({ length: TRIALS }, trial).filter(Boolean).length / TRIALS;
const spreadOf = (ns: number) => ({ median: ns, min: ns, max: ns });

describe(`the judgement, seed ${SEED}`, () => {
  test("a figure is set beside those before and after it", () => {
    expect(adjacentRatios([1, 2, 4], [2, 8, 16])).toEqual([2, 1, 4, 2, 4]);
    expect(adjacentRatios([1, 2, 4], [2, 8])).toEqual([2, 1, 4, 2]);
  });

  test("the same twice seldom differs, however much it scatters", () => {
    for (const deviation of [0.01, 0.05, 0.2]) {
      const figures = makeFigures(randomFrom(SEED));
      const wrong = () =>
        compareFigures(figures(ROUNDS + 1, NS, deviation), figures(ROUNDS, NS, deviation)).verdict !== "no difference";
      expect(shareOf(wrong)).toBeLessThan(0.025);
    }
  });

  test("what takes a fifth longer is found where rounds scatter by 3 %, also if some are hit by others", () => {
    const figures = makeFigures(randomFrom(SEED));
    const found = (hit?: number) => () =>
      compareFigures(figures(ROUNDS + 1, NS, 0.03, hit), figures(ROUNDS, NS * 1.2, 0.03, hit)).verdict === "slower";
    expect(shareOf(found())).toBeGreaterThan(0.98);
    expect(shareOf(found(15))).toBeGreaterThan(0.8);
  });

  test("what differs by less than a twentieth does not count, however sure it is", () => {
    expect(compareFigures([100, 100, 100], [104, 104, 104]).verdict).toBe("no difference");
    expect(compareFigures([100, 100, 100], [106, 106, 106]).verdict).toBe("slower");
    expect(compareFigures([106, 106, 106], [100, 100, 100]).verdict).toBe("faster");
  });

  test("a machine that grows slower by a tenth with each process makes neither slower", () => {
    const at = (process: number) => NS * 1.1 ** process;
    const base = Array.from({ length: ROUNDS + 1 }, (_, round) => at(2 * round));
    const head = Array.from({ length: ROUNDS }, (_, round) => at(2 * round + 1));
    expect(compareFigures(base, head).verdict).toBe("no difference");
  });

  test("where more is better, less is slower", () => {
    expect(compareFigures([100, 100, 100], [50, 50, 50], true).verdict).toBe("slower");
    expect(compareFigures([100, 100, 100], [200, 200, 200], true).verdict).toBe("faster");
  });
});

describe("rows of two reports", () => {
  const report = (own: number, peer: number, perSecond: number) => ({
    rows: [
      { name: "own", unit: "ns", isHoldfast: true, ns: spreadOf(own) },
      { name: "Map", unit: "ns", isHoldfast: false, ns: spreadOf(peer) },
      { name: "records", unit: "M/s", isHoldfast: true, figure: spreadOf(perSecond) },
      { name: "own ÷ Map", unit: "×", figure: spreadOf(own / peer) },
    ],
  });
  const verdicts = (base: ReturnType<typeof report>, head: ReturnType<typeof report>) =>
    compareReports({ base: [base, base, base], head: [head, head, head] }).map(({ name, verdict }) => [name, verdict]);

  test("only Holdfast's own are judged, and ratios are left to those who look at them", () => {
    expect(verdicts(report(100, 100, 1), report(200, 200, 2))).toEqual([
      ["own", "slower"],
      ["Map", "a peer"],
      ["records", "faster"],
    ]);
  });

  test("one that failed, or that one side has not, says so and of which", () => {
    const failed = { rows: [{ name: "own", unit: "ns", failure: "no build" }] };
    const none = { rows: [] };
    const good = { rows: [{ name: "own", unit: "ns", ns: spreadOf(1) }] };
    const reasonOf = (base: typeof good | typeof failed | typeof none, head: typeof good) =>
      compareReports({ base: [base], head: [head] }).map(({ verdict, reason }) => [verdict, reason]);
    expect(reasonOf(failed, good)).toEqual([["not compared", "not in BASE: no build"]]);
    expect(reasonOf(none, good)).toEqual([["not compared", "not in BASE"]]);
  });

  test("nothing stays nothing, and more than nothing is worse", () => {
    const bytes = (count: number) => ({ rows: [{ name: "kv.get", unit: "bytes", figure: spreadOf(count) }] });
    const verdictOf = (base: number, head: number) =>
      compareReports({ base: [bytes(base)], head: [bytes(head)] }).map(({ verdict }) => verdict);
    expect(verdictOf(0, 0)).toEqual(["no difference"]);
    expect(verdictOf(0, 16)).toEqual(["slower"]);
  });
});
