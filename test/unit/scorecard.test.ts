/**
 * The proof of speed says what was measured: a verdict is about an interval and not about a point, red is never noise, every row
 * stands for a goal that is written down once, and what is shown to users is made of the figures that are kept.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderReadme } from "../../bench/readme/block.mjs";
import { gates, rows } from "../../bench/red-flags/rows.mjs";
import { type Figures, renderScorecard } from "../../bench/red-flags/scorecard.mjs";
import { commandOf, goalOf, sourceOf } from "../../bench/red-flags/sources.mjs";
import { confirm, judgeRow, MARGIN } from "../../bench/red-flags/verdict.mjs";

const ROOT = join(import.meta.dirname, "../..");

const exactly = (median: number) => ({ median, low: median, high: median });
const between = (low: number, median: number, high: number) => ({ median, low, high });

describe("a verdict on what was timed", () => {
  const atLeast = (figure: ReturnType<typeof exactly>) =>
    judgeRow({ figure, unit: "×", isMore: true, wanted: [10], red: 2 });
  const atMost = (figure: ReturnType<typeof exactly>) => judgeRow({ figure, unit: "ns", wanted: [100], red: 1000 });

  test("is reached or missed only where the whole interval is on that side", () => {
    expect(atLeast(between(10.5, 11, 12)).verdict).toBe("reached");
    expect(atLeast(between(9.9, 11, 12)).verdict).toBe("at the goal");
    expect(atLeast(between(8, 9, 10.1)).verdict).toBe("at the goal");
    expect(atLeast(between(8, 9, 9.9)).verdict).toBe("missed");
    expect(atMost(between(80, 90, 95)).verdict).toBe("reached");
    expect(atMost(between(80, 90, 101)).verdict).toBe("at the goal");
    expect(atMost(between(99, 110, 120)).verdict).toBe("at the goal");
    expect(atMost(between(101, 110, 120)).verdict).toBe("missed");
  });

  test("allows for what two runs differ by, also where the rounds of one do not", () => {
    expect(atMost(exactly(100 / (1 + MARGIN / 2))).verdict).toBe("at the goal");
    expect(atMost(exactly(100 * (1 + MARGIN / 2))).verdict).toBe("at the goal");
    expect(atMost(exactly(100 / (1 + 2 * MARGIN))).verdict).toBe("reached");
    expect(atMost(exactly(100 * (1 + 2 * MARGIN))).verdict).toBe("missed");
  });

  test("says where the interval lies, and by how much a goal is missed, in the goal's own direction", () => {
    expect(atLeast(between(9.7, 10, 10.5)).text).toBe("at the goal, 0.95 to 1.05");
    expect(atLeast(exactly(8)).text).toBe("missed by 20 %");
    expect(atMost(exactly(125)).text).toBe("missed by 25 %");
  });

  test("is red where the whole interval is beyond the red line, and near it says so", () => {
    expect(atLeast(between(1.5, 1.7, 1.9)).verdict).toBe("red");
    expect(atLeast(between(1.5, 1.9, 2.1)).verdict).toBe("at the red line");
    expect(atLeast(between(1.5, 3, 4)).verdict).toBe("missed");
    expect(atMost(between(1100, 1200, 1300)).verdict).toBe("red");
    expect(atMost(between(900, 1020, 1300)).verdict).toBe("at the red line");
    expect(atMost(between(400, 500, 600)).verdict).toBe("missed");
  });

  test("of a floor, which is goal and red line at once, is reached, at the goal, or red", () => {
    const floor = (figure: ReturnType<typeof exactly>) =>
      judgeRow({ figure, unit: "/s", isMore: true, wanted: [50], red: 50 });
    expect(floor(exactly(60)).verdict).toBe("reached");
    expect(floor(exactly(50)).verdict).toBe("at the goal");
    expect(floor(exactly(40)).verdict).toBe("red");
    expect(judgeRow({ figure: exactly(60), unit: "ns", red: 100 }).verdict).toBe("kept");
  });

  test("goes on to the goal after the first", () => {
    const given = { unit: "×", isMore: true, wanted: [4, 6] };
    expect(judgeRow({ ...given, figure: exactly(4.8) })).toEqual({
      verdict: "reached",
      text: "reached; 6 next: missed by 20 %",
    });
    expect(judgeRow({ ...given, figure: exactly(7) }).text).toBe("reached; 6 next: reached");
    expect(judgeRow({ ...given, figure: exactly(3) }).text).toBe("missed by 25 %");
  });
});

test("what is red once and not again is at the red line, whatever made it so", () => {
  const red = judgeRow({ figure: exactly(40), unit: "ns", red: 10 });
  const not = judgeRow({ figure: exactly(5), unit: "ns", red: 10 });
  expect(red.verdict).toBe("red");
  expect(confirm(red, red).verdict).toBe("red");
  expect(confirm(red, not).verdict).toBe("at the red line");
  expect(confirm(not, red)).toBe(not);
});

test("what is counted has no noise, and is taken at its least", () => {
  expect(judgeRow({ figure: { ...exactly(0.1), min: 0 }, unit: "bytes", wanted: [0], red: 0 }).verdict).toBe("reached");
  expect(judgeRow({ figure: exactly(48), unit: "bytes", wanted: [48], red: 96 }).verdict).toBe("reached");
  expect(judgeRow({ figure: exactly(48.1), unit: "bytes", wanted: [48], red: 96 }).text).toBe("missed by 1 %");
  expect(judgeRow({ figure: exactly(0), unit: "bytes", wanted: [0], red: 0 }).verdict).toBe("reached");
  expect(judgeRow({ figure: exactly(0.1), unit: "bytes", wanted: [0], red: 0 }).verdict).toBe("red");
  expect(judgeRow({ figure: exactly(0.1), unit: "bytes", wanted: [0] }).verdict).toBe("missed");
});

test("a row without a figure, or without the cores that it needs, is neither reached nor red", () => {
  expect(judgeRow({ failure: "no build", wanted: [1], red: 2 })).toEqual({
    verdict: "not measured",
    text: "not measured: no build",
  });
  expect(judgeRow({ wanted: [1] }).text).toBe("not measured: no figure");
  const few = { figure: exactly(0.9), unit: "×", isMore: true, wanted: [3.6], red: 2.5 };
  expect(judgeRow({ ...few, needs: "needs 4 cores, and there are 2" }).verdict).toBe("not measurable");
});

test("what others have made worse can be reached, and is otherwise not measurable", () => {
  const given = { unit: "µs", wanted: [100], red: 1000, disturbed: "by other work" };
  expect(judgeRow({ ...given, figure: exactly(50) }).verdict).toBe("reached");
  expect(judgeRow({ ...given, figure: exactly(200) }).verdict).toBe("not measurable");
  expect(judgeRow({ ...given, figure: exactly(2000) }).text).toBe("not measurable meanwhile: by other work");
});

test("every row stands for a goal that is there, has a gate and says how to measure it again", () => {
  for (const { gate, title, from } of rows) {
    expect(gates, title).toContain(gate);
    if (from.size === undefined && from.shown === undefined) expect(goalOf(from), title).toBeDefined();
    expect(commandOf(sourceOf(from)), title).toMatch(/^(npm run|node) /);
  }
  const names = rows.map(({ gate, title }) => `${gate}: ${title}`);
  expect(gates.every((gate) => rows.some((row) => row.gate === gate))).toBe(true);
  expect(names.length).toBeGreaterThan(gates.length);
});

describe("what is shown of the figures that are kept", () => {
  const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
  const data = JSON.parse(read("docs/figures/figures.json")) as Figures;
  const again = "npm run bench:readme makes it anew";

  test("the README's block is what they make", () => {
    const readme = read("README.md");
    expect(renderReadme(readme, data), again).toBe(readme);
  });

  test("the scorecard is what they make, and has every row", () => {
    expect(renderScorecard(data), again).toBe(read("docs/SCORECARD.md"));
    expect(data.rows.map(({ title }) => title)).toEqual(rows.map(({ title }) => title));
  });

  test("the pictures were drawn from them", () => {
    for (const theme of ["light", "dark"]) {
      expect(read(`docs/figures/operations-${theme}.svg`), again).toContain(`figures of ${data.machine.date}`);
    }
  });
});
