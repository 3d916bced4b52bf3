/**
 * What the agent can be set to do, and the frozen input that both runs of it look at.
 *
 * A task is a module of `steps/`:
 *   open(input)               what the steps are taken from
 *   next(opened, kv, number)  the step to take, from what the store says alone, or undefined:
 *                             `{ label, traces, decision, write(kv) }`, `traces` being `{ entry, tags?, metadata?, children? }`
 *   fault(kv, steps)          what does not fit together in a store that was found, as a sentence; undefined if all does
 *   learned(listing)          the result, as rows of two cells
 */
import { copySourceTree } from "./source-tree.mjs";
import * as explore from "./steps/explore.mjs";
import * as trajectory from "./steps/trajectory.mjs";
import { freezeTrajectory } from "./trajectory-file.mjs";

export const TASKS = { explore, trajectory };

/** Copies the input to `place`: the source tree, or the recorded run in `file`. */
export function prepareTask(file, place) {
  if (file === undefined) {
    const { files, directories, bytes } = copySourceTree(place);
    const title = { what: "an agent reads the source of this project", files, bytes };
    return { name: "explore", input: place, steps: files + directories, title, learned: explore.learned };
  }
  const { steps, bytes } = freezeTrajectory(file, place);
  const title = { what: "an agent repeats a recorded run", file, bytes };
  return { name: "trajectory", input: place, steps, title, learned: trajectory.learned };
}
