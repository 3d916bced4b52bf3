// From a plot's description to SVG, by vega-lite and vega, without a browser.
//
// Keeps true: a description names colours by their role; which colours those are is decided where the picture is used: for a
// file one palette, for a page that is light and dark names of CSS variables. The text is real text, and nothing is fetched.

import { parse, textMetrics, View } from "vega";
import { compile } from "vega-lite";

/** Placeholders that vega passes through, by role. */
export const ROLES = {
  ink: "#010101",
  muted: "#010102",
  grid: "#010103",
  paper: "#010104",
  holdfast: "#010105",
  peer: "#010106",
  second: "#010107",
  third: "#010108",
  fourth: "#010109",
  fifth: "#01010a",
};

export const LIGHT = {
  ink: "#1f2328",
  muted: "#59636e",
  grid: "#d8dee4",
  paper: "#ffffff",
  holdfast: "#0969da",
  peer: "#818b98",
  second: "#bc4c00",
  third: "#1a7f37",
  fourth: "#8250df",
  fifth: "#bf3989",
};

export const DARK = {
  ink: "#e6edf3",
  muted: "#9198a1",
  grid: "#30363d",
  paper: "#0d1117",
  holdfast: "#58a6ff",
  peer: "#8b949e",
  second: "#f0883e",
  third: "#3fb950",
  fourth: "#bc8cff",
  fifth: "#f778ba",
};

const FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif";
const FONT_PX = 12;

/** How wide a character is in such a font, of its height; without a browser nobody can measure it. */
const CHARACTER = 0.55;
textMetrics.width = (item, text) => String(text ?? item.text ?? "").length * (item.fontSize ?? FONT_PX) * CHARACTER;

const config = {
  aria: false,
  background: "transparent",
  font: FONT,
  view: { stroke: null },
  axis: {
    labelColor: ROLES.muted,
    titleColor: ROLES.muted,
    titleFontWeight: "normal",
    gridColor: ROLES.grid,
    domainColor: ROLES.grid,
    tickColor: ROLES.grid,
    labelFontSize: FONT_PX,
    titleFontSize: FONT_PX,
    labelLimit: 400,
  },
  title: { color: ROLES.ink, fontSize: FONT_PX + 1, fontWeight: "bold", anchor: "start", frame: "group" },
  legend: {
    labelColor: ROLES.ink,
    titleColor: ROLES.muted,
    labelFontSize: FONT_PX,
    orient: "bottom",
    columns: 2,
    labelLimit: 400,
  },
  text: { fontSize: FONT_PX, color: ROLES.ink },
};

/** Times in nanoseconds, as an axis shows them. */
export const TIME_LABEL =
  "datum.value >= 1e9 ? datum.value / 1e9 + ' s' : datum.value >= 1e6 ? datum.value / 1e6 + ' ms' : " +
  "datum.value >= 1e3 ? datum.value / 1e3 + ' µs' : datum.value + ' ns'";

/** @param colours what stands for each role: a palette, or names of variables */
export async function draw(spec, colours) {
  const vega = compile({ ...spec, config, autosize: { type: "pad" }, padding: 6 }).spec;
  const view = new View(parse(vega), { renderer: "none" });
  let svg = await view.toSVG();
  view.finalize();
  for (const [role, placeholder] of Object.entries(ROLES)) svg = svg.replaceAll(placeholder, colours[role]);
  // A picture is told of by its title and its table, not mark by mark.
  return svg.replaceAll(/ (class|role|aria-[a-z]+|xmlns:xlink)="[^"]*"/g, "");
}
