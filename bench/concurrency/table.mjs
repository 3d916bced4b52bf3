// The figures as text for a terminal.
//
// Keeps true: nothing is said that the JSON does not say too; a median stands with half of its range in percent; a ratio below
// one is a fall and says by how much.

const LABEL_CHARS = 26;
const CELL_CHARS = 14;

export function renderWorkload(workload, designs, measured) {
  const shown = designs.filter(({ name }) => measured.perSecond(workload.name, name, 1) !== undefined);
  const block = (head, cellOf) => [
    head.padEnd(LABEL_CHARS) + workload.counts.map((workers) => String(workers).padStart(CELL_CHARS)).join(""),
    ...shown.map(
      ({ name, title }) =>
        `  ${title}`.padEnd(LABEL_CHARS) +
        workload.counts.map((workers) => cellOf(name, workers).padStart(CELL_CHARS)).join(""),
    ),
  ];
  return `${[
    "",
    `${workload.name} – ${workload.title}`,
    ...block("million per second", (design, workers) =>
      spreadText(measured.perSecond(workload.name, design, workers), 1e6, 2),
    ),
    ...block("× of one worker", (design, workers) => ratioText(measured.over(workload.name, design, workers, 1))),
    ...block(`CPU ns ${workload.per}`, (design, workers) =>
      spreadText(measured.cpuNs(workload.name, design, workers), 1, 0),
    ),
  ].join("\n")}\n`;
}

export function renderNotes(designs) {
  return `\n${designs.map(({ title, note }) => `  ${title}: ${note}`).join("\n")}\n`;
}

export function renderVerdicts(verdicts) {
  const lines = verdicts.map(({ workload, workers, text, unit, figure, wanted, isMost, verdict }) => {
    const scale = unit === "M/s" ? 1e6 : 1;
    const found = figure === undefined ? "–" : (figure.median / scale).toFixed(2);
    const range = figure === undefined ? "" : `${(figure.min / scale).toFixed(2)} – ${(figure.max / scale).toFixed(2)}`;
    const goal = wanted === undefined ? "" : `${isMost ? "≤" : "≥"} ${wanted / scale}${unit === "M/s" ? " M/s" : ""}`;
    const what = `  ${workload}, ${workers} ${workers === 1 ? "worker" : "workers"}: ${text}`.padEnd(72);
    return `${what}${found.padStart(6)}  ${range.padEnd(15)}${goal.padEnd(12)}${verdict}`;
  });
  return `\n${[`${"goals".padEnd(72)}median  min – max      goal`, ...lines].join("\n")}\n`;
}

function spreadText(figures, scale, digits) {
  if (figures === undefined) return "–";
  const { median, min, max } = figures;
  const half = Math.round(((max - min) / 2 / median) * 100);
  return `${(median / scale).toFixed(digits)} ±${half}%`;
}

function ratioText(figures) {
  if (figures === undefined) return "–";
  const { median } = figures;
  return median < 0.995 ? `${median.toFixed(2)} (−${Math.round((1 - median) * 100)}%)` : median.toFixed(2);
}
