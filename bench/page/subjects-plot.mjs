// How long one operation of each subject takes, on a log scale: a point for the median, a line for the middle half.

import { figureText, timeText } from "../red-flags/format.mjs";
import { ROLES, TIME_LABEL } from "./draw.mjs";

const ROW_PX = 21;

const RATE_LABEL =
  "datum.value >= 1e6 ? datum.value / 1e6 + ' M/s' : datum.value >= 1e3 ? datum.value / 1e3 + ' K/s' : datum.value + ' /s'";

const isOurs = ({ name, isHoldfast }) => isHoldfast || name.startsWith("Holdfast");

const asRate = ({ median, low, high }) => ({ median: 1e9 / median, low: 1e9 / high, high: 1e9 / low });

/**
 * @param subjects `{ name, ns }` each, `ns` a spread; those of Holdfast stand out, and all where none says that it is
 * @param axis whether it is labelled: of several above one another, only the last needs to be
 * @param asThroughput shows operations per second instead of the time of one
 */
export function subjectsPlot({ title, subjects, width, domain, axis = true, asThroughput = false }) {
  const isToldApart = subjects.some(isOurs);
  const values = subjects.map(({ name, ns, isHoldfast }) => ({
    name,
    ...(asThroughput ? asRate(ns) : ns),
    label: asThroughput ? figureText(1e9 / ns.median, "/s") : timeText(ns.median),
    role: isOurs({ name, isHoldfast }) || !isToldApart ? "holdfast" : "peer",
  }));
  const marked = domain ?? domainOf([{ subjects: values.map((ns) => ({ ns })) }]);
  const labelExpr = asThroughput ? RATE_LABEL : TIME_LABEL;
  const time = {
    type: "quantitative",
    scale: { type: "log", domain: marked, nice: false },
    axis: {
      labelExpr,
      title: null,
      values: decades(marked),
      gridDash: [2, 2],
      labels: axis,
      ticks: axis,
      domain: axis,
    },
  };
  const y = {
    field: "name",
    type: "nominal",
    sort: orderOf(subjects),
    axis: { title: null, ticks: false, domain: false },
  };
  const color = {
    field: "role",
    type: "nominal",
    legend: null,
    scale: { domain: ["holdfast", "peer"], range: [ROLES.holdfast, ROLES.peer] },
  };
  return {
    title,
    width,
    height: values.length * ROW_PX,
    data: { values },
    layer: [
      {
        mark: { type: "rule", strokeWidth: 3, opacity: 0.45 },
        encoding: { y, x: { field: "low", ...time }, x2: { field: "high" }, color },
      },
      {
        mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: { y, x: { field: "median", ...time }, color },
      },
      {
        mark: { type: "text", align: "left", dx: 10 },
        encoding: { y, x: { field: "high", ...time }, text: { field: "label" }, color: { value: ROLES.ink } },
      },
    ],
  };
}

/** From the fastest to the slowest; where there are several operations, as they were given, each of Holdfast's before its peers. */
function orderOf(subjects) {
  const operations = subjects.filter(isOurs).length;
  const sorted = operations > 1 ? subjects : [...subjects].sort((a, b) => a.ns.median - b.ns.median);
  return sorted.map(({ name }) => name);
}

/** The powers of ten that an axis is marked at. */
export function decades([from, to]) {
  const first = Math.ceil(Math.log10(from));
  const count = Math.floor(Math.log10(to)) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, at) => 10 ** (first + at));
}

/** From the fastest to the slowest of several lists of subjects, with room for a label. */
export function domainOf(lists) {
  const all = lists.flatMap(({ subjects }) => subjects.map(({ ns }) => ns));
  return [Math.min(...all.map(({ low }) => low)) / 1.5, Math.max(...all.map(({ high }) => high)) * 6];
}
