// The README's picture, once for a light page and once for a dark one.
//
// Keeps true: it carries the date of the figures that it was drawn from.

import { DARK, draw, LIGHT } from "../page/draw.mjs";
import { domainOf, subjectsPlot } from "../page/subjects-plot.mjs";

const WIDTH_PX = 520;

export async function drawFigures(data) {
  const domain = domainOf(data.compared);
  const spec = {
    vconcat: data.compared.map(({ title, subjects }, at) =>
      subjectsPlot({ title, subjects, width: WIDTH_PX, domain, axis: at === data.compared.length - 1 }),
    ),
    spacing: 14,
  };
  const themes = { light: LIGHT, dark: DARK };
  return Promise.all(
    Object.entries(themes).map(async ([theme, colours]) => ({
      file: `docs/figures/operations-${theme}.svg`,
      svg: `${stamped(await draw(spec, colours), data)}\n`,
    })),
  );
}

const stamped = (svg, { machine }) =>
  svg.replace(">", ` role="img"><title>Time for one operation</title><!-- figures of ${machine.date} -->`);
