/**
 * Commits that are held up, each at every step, while another worker writes on and prunes, and somebody comes to hold what is
 * pruned around. What goes wrong there takes more preemptions than random schedules have, but always of the same few shapes.
 */
import type { Harness, Policy, Script, Turn } from "./harness.js";
import { tryOnce } from "./trial.js";

/** Who does what in HELD_UP_SCRIPTS. */
const [HOLDS, WRITES, HELD_UP, ALSO_HELD_UP] = [0, 1, 2, 3];
const TO_THE_END = Number.MAX_SAFE_INTEGER;
/** Steps that a commit which was held up takes before others go on. */
const FEW = 4;

function turns(...pairs: readonly (readonly [number, number])[]): Policy {
  return { kind: "turns", turns: pairs.map(([worker, until]): Turn => ({ worker, until })) };
}

/** The shapes, one step of those that stop after another. */
function* schedules(harness: Harness): Generator<Policy> {
  const alone = harness.run(turns([WRITES, TO_THE_END], [HELD_UP, TO_THE_END], [ALSO_HELD_UP, TO_THE_END]));
  const [holding = 0, , heldUp = 0, alsoHeldUp = 0] = alone.stepsOf;
  // Nobody else has taken a step before it but the first, which had the baton.
  const puts = alone.events.filter(({ worker }) => worker === WRITES).map(({ ended }) => ended - 1);
  const [first = 0, second = 0, third = 0] = puts;

  for (let at = 1; at < heldUp; at++) {
    for (let held = 1; held < holding; held++) {
      const begun = [
        [HELD_UP, at],
        [WRITES, first],
        [HOLDS, held],
      ] as const;
      for (const then of [second, third]) {
        yield turns(...begun, [WRITES, then], [HELD_UP, TO_THE_END], [HOLDS, TO_THE_END]);
        yield turns(...begun, [WRITES, then], [HOLDS, TO_THE_END]);
      }
    }
  }
  for (let also = 1; also < alsoHeldUp; also++) {
    for (let at = 1; at < heldUp; at++) {
      for (let further = 0; further < FEW; further++) {
        yield turns(
          [ALSO_HELD_UP, also],
          [WRITES, first],
          [HELD_UP, at],
          [WRITES, second],
          [ALSO_HELD_UP, TO_THE_END],
          [HELD_UP, at + further],
          [HOLDS, TO_THE_END],
        );
      }
    }
  }
  const [middle, alsoMiddle] = [Math.ceil(heldUp / 2), Math.ceil(alsoHeldUp / 2)];
  for (let pruning = first; pruning < second; pruning++) {
    for (let held = 1; held < holding; held++) {
      yield turns(
        [ALSO_HELD_UP, alsoMiddle],
        [WRITES, first],
        [HELD_UP, middle],
        [WRITES, pruning],
        [ALSO_HELD_UP, TO_THE_END],
        [HOLDS, held],
        [HELD_UP, TO_THE_END],
        [WRITES, TO_THE_END],
        [HOLDS, TO_THE_END],
      );
    }
  }
}

/** The first thing that is wrong under one schedule in `stride`, from one on; undefined if nothing is. */
export function heldUp(harness: Harness, script: Script, stride: number, from: number): string | undefined {
  harness.prepare(script);
  let number = from;
  for (const policy of [...schedules(harness)]) {
    if (number++ % stride !== 0) continue;
    const { wrong, outcome } = tryOnce(harness, policy);
    if (wrong !== undefined)
      return [`in "${script.name}": ${wrong}`, JSON.stringify(policy), JSON.stringify(outcome.events)].join("\n");
  }
  return undefined;
}
