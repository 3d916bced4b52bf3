/**
 * Workers over one memory, of which one goes on at a time: at each access to what they share (`build/stepped.wasm`), or at each
 * access to memory at all (made of it here), a seeded scheduler says who is next. What they were told must be what acts one
 * after another would have been told; the heap is verified when all are at rest, and again when all have left.
 *
 * A failure prints script, policy and seed: `HOLDFAST_SEED` repeats the run, `HOLDFAST_SCALE` makes more of them.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SCALE, SEED } from "../support/durability-report.js";
import { everyAccess } from "./every-access.mjs";
import { Harness, type Kill, type Policy } from "./harness.js";
import { hunt } from "./hunt.js";
import { BURIAL_SCRIPT, KILL_SCRIPTS, LOCK_SCRIPT, SCRIPTS, TINY } from "./scripts.js";
import { tryOnce, type Verdict } from "./trial.js";

const STEPPED = "build/stepped.wasm";
const EVERY_ACCESS = "build/interleavings/every-access.wasm";

/** Of so many pairs of steps, one is tried as two preemptions; of the single ones all are. */
const PAIRS_STRIDE = Math.max(1, Math.round(7 / SCALE));
/** Of the moments at which one dies, and at which another one does who clears up behind it, each of so many. */
const BURIAL_STRIDE = Math.max(1, Math.round(29 / SCALE));
const LOCK_RUNS = Math.ceil(300 * SCALE);
/** Looks after which a writer that waits has gone to sleep, and marked the lock. */
const LOCK_PATIENCE = 258;
const HUNTS = [
  { file: STEPPED, steps: 150, runs: Math.ceil(1500 * SCALE) },
  { file: EVERY_ACCESS, steps: 2000, runs: Math.ceil(1500 * SCALE) },
];

console.info(`interleavings: seed ${SEED}`);
const told: string[] = [];
afterAll(() => console.info(told.join("\n")));

beforeAll(() => {
  mkdirSync("build/interleavings", { recursive: true });
  writeFileSync(EVERY_ACCESS, everyAccess(readFileSync(STEPPED)));
});

async function using<T>(file: string, action: (harness: Harness) => T): Promise<T> {
  const harness = await Harness.of(file);
  const began = performance.now();
  try {
    return action(harness);
  } finally {
    const seconds = (performance.now() - began) / 1000;
    const rate = Math.round(harness.steps / seconds).toLocaleString("en-US");
    told.push(
      `${harness.runs} runs, ${harness.steps} steps, ${harness.switches} switches, ${rate} steps/s over ${file}`,
    );
    await harness.close();
  }
}

function expectSound(harness: Harness, policy: Policy, kill?: Kill): Verdict {
  const verdict = tryOnce(harness, policy, kill);
  if (verdict.wrong !== undefined) {
    const how = JSON.stringify({ policy, kill });
    const events = JSON.stringify(verdict.outcome.events);
    throw new Error(`"${harness.script.name}", ${how}: ${verdict.wrong}\n${events}`);
  }
  return verdict;
}

describe("a run is repeated by its seed", () => {
  it("to the last step", async () => {
    await using(STEPPED, (harness) => {
      for (const script of SCRIPTS) {
        harness.prepare(script);
        const [a, b] = [0, 1].map(() => harness.run({ kind: "random", seed: SEED % 1000, every: 4 }));
        expect(b, script.name).toEqual(a);
      }
    });
  });
});

describe("every schedule with at most two preemptions", () => {
  it.each(SCRIPTS.filter(({ name }) => TINY.includes(name)))("$name", async (script) => {
    await using(STEPPED, (harness) => {
      harness.prepare(script);
      const workers = script.parts.length;
      for (let first = 0; first < workers; first++) {
        const start = { step: 1, worker: first };
        const whole = expectSound(harness, { kind: "bounded", preemptions: [start] }).outcome.steps;
        for (let step = 2; step <= whole; step++) {
          for (let worker = 0; worker < workers; worker++) {
            const one = [start, { step, worker }];
            const { steps } = expectSound(harness, { kind: "bounded", preemptions: one }).outcome;
            for (let next = step + 1 + (step % PAIRS_STRIDE); next <= steps; next += PAIRS_STRIDE) {
              const back = { step: next, worker: (worker + 1) % workers };
              expectSound(harness, { kind: "bounded", preemptions: [...one, back] });
            }
          }
        }
      }
    });
  });
});

describe("workers that wait for long", () => {
  // A lock that was kept free for its sleepers and marked by whoever came anew was taken by none of them. Nobody could have it
  // ever again, and every writer of the run was told BUSY.
  it("get the lock in the end", async () => {
    await using(STEPPED, (harness) => {
      harness.prepare(LOCK_SCRIPT);
      for (let i = 0; i < LOCK_RUNS; i++) {
        const steps = [50, 1000, 3000][i % 3] as number;
        expectSound(harness, { kind: "bursts", seed: (SEED % 100_000) + i, steps, patience: LOCK_PATIENCE + (i % 7) });
      }
    });
  });
});

describe("scripts under random schedules", () => {
  const firstSeed = SEED % 1_000_000;

  it.each(HUNTS)("$runs runs over $file", async ({ file, steps, runs }) => {
    const found = await using(file, (harness) => hunt(harness, { runs, steps, firstSeed, kills: false }));
    expect(found, `HOLDFAST_SEED=${SEED}`).toBeUndefined();
  });

  it.each(HUNTS)("$runs runs with a worker killed, over $file", async ({ file, steps, runs }) => {
    const found = await using(file, (harness) => hunt(harness, { runs, steps, firstSeed, kills: true }));
    expect(found, `HOLDFAST_SEED=${SEED}`).toBeUndefined();
  });
});

describe("a worker that is killed at each access to memory", () => {
  let points = 0;
  afterAll(() => console.info(`${points} moments of death`));

  it.each(KILL_SCRIPTS)("in $name", async (script) => {
    await using(EVERY_ACCESS, (harness) => {
      harness.prepare(script);
      for (let step = 1; ; step++) {
        const { outcome } = expectSound(harness, { kind: "bounded", preemptions: [] }, { worker: 0, step });
        if (!outcome.killed) break;
        points++;
      }
    });
  });

  it("while it clears up behind another one", async () => {
    await using(EVERY_ACCESS, (harness) => {
      harness.prepare(BURIAL_SCRIPT);
      const alone: Kill = { worker: 0, step: 2 ** 30 };
      const { stepsOf } = harness.run({ kind: "bounded", preemptions: [] }, alone);
      const whole = stepsOf[0] as number;
      for (let first = 1; first <= whole; first += BURIAL_STRIDE) {
        for (let step = 1 + (first % BURIAL_STRIDE); ; step += BURIAL_STRIDE) {
          const also = { worker: 1, step };
          const { outcome } = expectSound(
            harness,
            { kind: "bounded", preemptions: [] },
            { worker: 0, step: first, also },
          );
          if (outcome.deaths < 2) break;
          points++;
        }
      }
    });
  });
});
