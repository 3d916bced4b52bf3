/**
 * What the drivers share: outcomes are collected line by line, and the table of a run is made from them.
 *
 * An outcome is what `runner.ts` reports, with the runtime added. Whatever a run dies of becomes a failed outcome too,
 * so that no run can end with fewer failures than things that went wrong.
 */

/** Collects the lines of one run of one runtime. */
export class Collector {
  /** Whether the end of the suites was reported. */
  done = false;
  /** The case that was reported to begin last. */
  running = "nothing yet";
  outcomes = [];
  /** Whatever was written beside the protocol; shown where the run failed. */
  noise = "";
  /** Called after every line of the protocol: a sign of life. */
  onLine;
  #runtime;

  constructor(runtime, onLine) {
    this.#runtime = runtime;
    this.onLine = onLine;
  }

  line(text) {
    const line = parse(text);
    if (line === undefined) {
      this.noise += `${text}\n`;
      return;
    }
    if ("running" in line) this.running = line.running;
    else if ("done" in line) this.done = true;
    else this.outcomes.push({ runtime: this.#runtime, ...line });
    this.onLine?.();
  }

  /** Adds the failure of the run itself. */
  fail(reason) {
    const error = this.noise.trim() === "" ? reason : `${reason}\n${this.noise.trim()}`;
    this.outcomes.push({
      runtime: this.#runtime,
      suite: "harness",
      storage: "–",
      name: this.running,
      ok: false,
      error,
      ms: 0,
    });
  }
}

function parse(text) {
  if (!text.startsWith("{")) return undefined;
  try {
    const value = JSON.parse(text);
    return "running" in value || "done" in value || "ok" in value ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A row for a runtime that is not there: skipped on a developer's machine, a failure in CI. */
export function missing(runtime, why) {
  const ci = process.env.CI === "true" || process.env.CI === "1";
  console.log(`\n${"!".repeat(8)} ${runtime} ${ci ? "is missing, which CI does not allow" : "is SKIPPED"}: ${why}\n`);
  const outcome = { runtime, suite: "harness", storage: "–", name: "not there", ms: 0 };
  return ci ? { ...outcome, ok: false, error: why } : { ...outcome, ok: true, skipped: true };
}

/** Sums outcomes up by runtime and storage, in the order in which they came. */
export function rowsOf(outcomes) {
  const rows = new Map();
  for (const outcome of outcomes) {
    const key = `${outcome.runtime}\0${outcome.storage}`;
    const row = rows.get(key) ?? {
      runtime: outcome.runtime,
      storage: outcome.storage,
      passed: 0,
      failed: 0,
      skipped: 0,
    };
    row[outcome.skipped ? "skipped" : outcome.ok ? "passed" : "failed"] += 1;
    rows.set(key, row);
  }
  return [...rows.values()];
}

export function totalOf(rows) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const row of rows) for (const key of Object.keys(total)) total[key] += row[key];
  return total;
}

export function table(rows) {
  const line = (runtime, storage, ...numbers) =>
    runtime.padEnd(28) + storage.padEnd(20) + numbers.map((number) => String(number).padStart(9)).join("");
  return [
    line("runtime", "storage", "passed", "failed", "skipped"),
    ...rows.map((row) => line(row.runtime, row.storage, row.passed, row.failed, row.skipped)),
  ].join("\n");
}

export function explainOutcomes(outcomes) {
  for (const { runtime, suite, storage, name, error } of outcomes.filter((outcome) => !outcome.ok)) {
    console.error(`\n--- ${runtime} / ${storage} / ${suite} / ${name} ---\n${error}`);
  }
}
