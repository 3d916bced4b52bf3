// The plots of the page, each with its table: what each is drawn from, and what it is called.
//
// Keeps true: a plot is `{ title, note, spec, table }`, and its table has every figure that is drawn; what has no figure is left
// out of both.

import { designs, workloads } from "../concurrency/catalogue.mjs";
import { figureText, timeText } from "../red-flags/format.mjs";
import { gates } from "../red-flags/rows.mjs";
import { ROLES, TIME_LABEL } from "./draw.mjs";
import { decades, subjectsPlot } from "./subjects-plot.mjs";

/** A plot is as wide as a phone; a wide page has several side by side. */
const WIDTH_PX = 370;
const HEIGHT_PX = 220;
const LINES = [ROLES.holdfast, ROLES.second, ROLES.third, ROLES.fourth, ROLES.fifth, ROLES.muted];
const SHARES = { p50: "50", p90: "90", p99: "99", p999: "99.9", p9999: "99.99", max: "max" };
/** Fewer operations than this say nothing about a share. */
const LEAST = { p50: 1, p90: 10, p99: 100, p999: 1000, p9999: 10_000, max: 1 };

const whenOf = ({ machine, quick }) => `${machine.date.slice(0, 10)}${quick ? ", a quick run" : ""}`;

/** How long single operations took, from the median to the longest. */
export function latencyPlots(measurements) {
  return measurements.flatMap((measurement) => {
    const distributions = measurement.rows.flatMap(({ distribution }) => distribution ?? []);
    if (distributions.length === 0) return [];
    const values = distributions.flatMap(({ of, count, ...times }) =>
      Object.keys(SHARES)
        .filter((share) => count >= LEAST[share])
        .map((share) => ({ subject: of, share: SHARES[share], ns: Math.max(1, times[share]) })),
    );
    const shares = Object.values(SHARES);
    const least = Math.min(...distributions.map(({ count }) => count));
    const subjects = distributions.map(({ of }) => of);
    const textOf = (subject, share) => {
      const found = values.find((value) => value.subject === subject && value.share === share);
      return found === undefined ? "–" : timeText(found.ns);
    };
    return [
      {
        title: measurement.title,
        note: `percentiles over ${least.toLocaleString("en")} operations each, at least; ${whenOf(measurement)}`,
        spec: lines(values, {
          x: "share",
          xTitle: "percent of operations within",
          xSort: shares,
          y: "ns",
          by: "subject",
          subjects,
          isTime: true,
        }),
        table: {
          head: ["", ...shares.map((share) => (share === "max" ? "longest" : `${share} %`))],
          rows: subjects.map((subject) => [subject, ...shares.map((share) => textOf(subject, share))]),
        },
      },
    ];
  });
}

/** How many operations each subject does in a second. */
export function throughputPlots(measurements) {
  return measurements.flatMap((measurement) => {
    const subjects = measurement.rows.filter(({ ns, distribution }) => ns !== undefined && distribution === undefined);
    const isOfSingles = measurement.rows.some(({ distribution }) => distribution !== undefined);
    if (isOfSingles || subjects.length < 2) return [];
    return [
      {
        title: measurement.title,
        note: `${measurement.per ?? "per operation"}; median and middle half of ${measurement.rounds} rounds; ${whenOf(measurement)}`,
        spec: subjectsPlot({ subjects, width: WIDTH_PX - 150, asThroughput: true }),
        table: {
          head: ["", "time", "per second", "Holdfast is"],
          rows: subjects.map(({ name, ns, timesAsFast }) => [
            name,
            timeText(ns.median),
            figureText(1e9 / ns.median, "/s"),
            timesAsFast === undefined ? "" : `${figureText(timesAsFast.median, "×")} as fast`,
          ]),
        },
      },
    ];
  });
}

/** Throughput over the count of workers, a line for each design. */
export function scalingPlots(measured) {
  return measured.flatMap(({ name, cells, ...when }) => {
    const workload = workloads.find((each) => each.name === name);
    const shown = designs.filter((design) => cells.some((cell) => cell.design === design.name));
    const counts = [...new Set(cells.map(({ workers }) => workers))].sort((a, b) => a - b);
    if (workload === undefined || counts.length < 2) return [];
    const titles = shown.map(({ title }) => title);
    const values = cells.map(({ design, workers, perSecond }) => ({
      design: designs.find((each) => each.name === design).title,
      workers: String(workers),
      millions: perSecond.median / 1e6,
    }));
    const textOf = (design, workers) => {
      const found = cells.find((cell) => cell.design === design && cell.workers === workers);
      if (found === undefined) return "–";
      return `${figureText(found.perSecond.median, "/s")}, ${timeText(found.cpuNs.median)} CPU`;
    };
    return [
      {
        title: workload.title,
        note: `million per second with so many workers, on ${when.machine.cores} cores; ${whenOf(when)}`,
        spec: lines(values, {
          x: "workers",
          xTitle: "workers",
          xSort: counts.map(String),
          y: "millions",
          by: "design",
          subjects: titles,
          lineOf: (title) => designs.findIndex((design) => design.title === title),
        }),
        table: {
          head: ["", ...counts.map(String)],
          rows: shown.map(({ name: design, title }) => [title, ...counts.map((count) => textOf(design, count))]),
        },
      },
    ];
  });
}

/** From one power of ten to another. */
function timeScale(times) {
  const domain = [10 ** Math.floor(Math.log10(Math.min(...times))), 10 ** Math.ceil(Math.log10(Math.max(...times)))];
  const axis = { title: null, labelExpr: TIME_LABEL, values: decades(domain), gridDash: [2, 2] };
  return { scale: { type: "log", domain, nice: false }, axis };
}

/** @param lineOf the number of a subject's line, which it keeps over plots where it is in several */
function lines(
  values,
  { x, xTitle, xSort, y, by, subjects, isTime = false, lineOf = (subject) => subjects.indexOf(subject) },
) {
  const time = timeScale(isTime ? values.map(({ ns }) => ns) : [1, 10]);
  const count = { scale: { zero: true }, axis: { title: null, tickCount: 5, gridDash: [2, 2] } };
  return {
    width: WIDTH_PX,
    height: HEIGHT_PX,
    data: { values },
    mark: { type: "line", point: { size: 36, filled: true }, strokeWidth: 2 },
    encoding: {
      x: {
        field: x,
        type: "ordinal",
        sort: xSort,
        scale: { padding: 0.2 },
        axis: { title: xTitle, labelAngle: 0, ticks: false },
      },
      y: { field: y, type: "quantitative", ...(isTime ? time : count) },
      color: {
        field: by,
        type: "nominal",
        sort: subjects,
        scale: { domain: subjects, range: subjects.map((subject) => LINES[lineOf(subject) % LINES.length]) },
        legend: { title: null, symbolType: "stroke", symbolSize: 300, symbolStrokeWidth: 2 },
      },
      // Told apart without colours too.
      strokeDash: {
        field: by,
        type: "nominal",
        sort: subjects,
        scale: {
          domain: subjects,
          range: subjects.map((subject) => (lineOf(subject) === 0 ? [1, 0] : [2 + 2 * lineOf(subject), 2])),
        },
        legend: { title: null, symbolType: "stroke", symbolSize: 300, symbolStrokeWidth: 2 },
      },
    },
  };
}

const VERDICTS = [
  "reached",
  "kept",
  "at the goal",
  "missed",
  "not measurable",
  "at the red line",
  "red",
  "not measured",
  "shown",
];
const VERDICT_COLOURS = [
  ROLES.third,
  ROLES.fourth,
  ROLES.holdfast,
  ROLES.second,
  ROLES.peer,
  ROLES.fifth,
  ROLES.fifth,
  ROLES.fifth,
  ROLES.grid,
];

/** How many rows of each gate have which verdict. */
export function scorecardPlot({ rows }) {
  const present = VERDICTS.filter((verdict) => rows.some((row) => row.verdict === verdict));
  const values = rows.map(({ gate, verdict }) => ({ gate, verdict, order: VERDICTS.indexOf(verdict) }));
  return {
    width: WIDTH_PX,
    height: { step: 28 },
    data: { values },
    mark: { type: "bar", stroke: ROLES.paper, strokeWidth: 1 },
    encoding: {
      y: { field: "gate", type: "nominal", sort: gates, axis: { title: null, ticks: false, domain: false } },
      x: { aggregate: "count", axis: { title: "rows", tickMinStep: 1, gridDash: [2, 2] } },
      order: { field: "order" },
      color: {
        field: "verdict",
        type: "nominal",
        sort: present,
        scale: { domain: present, range: present.map((verdict) => VERDICT_COLOURS[VERDICTS.indexOf(verdict)]) },
        legend: { title: null },
      },
    },
  };
}
