/** Looks for something wrong in as few runs as may be: every script in turn, under every policy, with fresh seeds. */
import type { Harness, Kill, Policy, Script } from "./harness.js";
import { randomScript } from "./random-script.js";
import { KILL_SCRIPTS, SCRIPTS } from "./scripts.js";
import { tryOnce } from "./trial.js";

/** The policy of one of many runs, by its seed; `steps`: how many a run has, more or less. */
export function policyOf(seed: number, steps: number): Policy {
  switch (seed % 5) {
    case 0:
      return { kind: "random", seed, every: Math.max(2, Math.round(steps / 40)) };
    case 1:
      return { kind: "priorities", seed, changes: 2, steps };
    case 2:
      return { kind: "bursts", seed, steps: Math.max(4, Math.round(steps / 6)) };
    case 3:
      return { kind: "priorities", seed, changes: 3, steps };
    default:
      return { kind: "random", seed, every: 3 };
  }
}

export interface Hunt {
  readonly runs: number;
  /** How many steps a run has, more or less. */
  readonly steps: number;
  readonly firstSeed: number;
  readonly kills: boolean;
  /** One script alone. */
  readonly script?: string | undefined;
}

const RUNS_EACH = 25;
const RANDOM_EACH = 10;

function scriptsOf({ kills, script, firstSeed }: Hunt, round: number): Script[] {
  const scripts = [...(kills ? KILL_SCRIPTS : SCRIPTS)];
  if (script !== undefined) return scripts.filter(({ name }) => name === script);
  for (let i = 0; i < RANDOM_EACH; i++) {
    scripts.push(randomScript(firstSeed + round * RANDOM_EACH + i, 2 + (i % 3), kills));
  }
  return scripts;
}

/** The first thing that is wrong within so many runs, with what repeats it; undefined if nothing is. */
export function hunt(harness: Harness, how: Hunt): string | undefined {
  let runs = 0;
  for (let round = 0; runs < how.runs; round++) {
    for (const script of scriptsOf(how, round)) {
      harness.prepare(script);
      for (let i = 0; i < RUNS_EACH; i++) {
        const seed = how.firstSeed + round * RUNS_EACH + i;
        const kill: Kill | undefined = how.kills
          ? { worker: 0, step: 1 + ((seed * 7919) % Math.ceil(how.steps / 2)) }
          : undefined;
        const policy = policyOf(seed, how.steps);
        const { wrong, outcome } = tryOnce(harness, policy, kill);
        runs++;
        if (wrong !== undefined)
          return [
            `after ${runs} runs, in "${script.name}": ${wrong}`,
            JSON.stringify({ policy, kill }),
            JSON.stringify(outcome.events),
          ].join("\n");
      }
    }
  }
  return undefined;
}
