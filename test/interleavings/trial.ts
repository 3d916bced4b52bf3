/** One run of a script, and everything that is asked of it: while it goes on, when all are at rest, and when all have left. */

import { WORKER_ATTACHED, WORKER_DEAD } from "../../src/host/abi.js";
import { encodeKey, encodeValue } from "../../src/host/codec.js";
import type { Core } from "../../src/host/core.js";
import * as scans from "../../src/host/core-scan.js";
import { buryWorker } from "../../src/host/core-workers.js";
import { type Act, type Event, Player, perform } from "./acts.mjs";
import type { Harness, Kill, Outcome, Policy } from "./harness.js";
import { judge } from "./judge.js";

export interface Verdict {
  readonly outcome: Outcome;
  readonly wrong: string | undefined;
  /** Whether a run was found poisoned. */
  readonly poisoned: boolean;
}

/** Runs the script that was prepared, and judges it. */
export function tryOnce(harness: Harness, policy: Policy, kill?: Kill): Verdict {
  const outcome = harness.run(policy, kill);
  if (outcome.fault !== undefined) return { outcome, wrong: outcome.fault, poisoned: false };
  try {
    return { outcome, ...judgeRest(harness, outcome) };
  } catch (error) {
    return {
      outcome,
      wrong: `afterwards: ${String((error as Error).stack)} ${String((error as Error).cause)}`,
      poisoned: false,
    };
  }
}

function bury(core: Core, slot: number): void {
  const seen = core.workerIn(slot);
  // A place that somebody has cleared up already may be that of whoever looks.
  if (slot !== core.worker && (seen.state === WORKER_ATTACHED || seen.state === WORKER_DEAD))
    buryWorker(core, slot, seen);
}

function judgeRest(harness: Harness, outcome: Outcome): { wrong: string | undefined; poisoned: boolean } {
  const { core, exports } = harness.attach();
  const where = (): string => harness.faultOf(exports);
  const { script } = harness;
  for (const worker of outcome.dead) bury(core, harness.slotOf(worker));
  const found = core.verify();
  if (found !== 0) return { wrong: `verify() says ${found} at rest (${where()})`, poisoned: false };
  const player = new Player(core, { encodeKey, encodeValue }, scans);
  const final: Event[] = [];
  const acts = [...script.setup, ...script.parts.flat()];
  const places = new Set(acts.flatMap(({ run, table = 0 }) => (run === undefined ? [] : [`${table} ${run}`])));
  for (const place of places) {
    const [table, run] = place.split(" ") as [string, string];
    const act: Act = { do: "list", run, table: Number(table) };
    const event: Event = { worker: -1, act, began: -1, ended: 0 };
    perform(player, act, event);
    final.push(event);
  }
  const poisoned = final.some(({ result }) => result === "CORRUPTION");
  if (poisoned && !outcome.killed) return { wrong: "a run is poisoned, and nobody was killed", poisoned };
  const wrong =
    judge(harness.setupEvents, outcome.events, final, script.mayBeBusy === true) ?? judgeLocks(player, final);
  if (wrong !== undefined) return { wrong, poisoned };
  return { wrong: judgeLeaving(harness, { core, exports }, where), poisoned };
}

/** Whoever comes now can have every lock: nothing keeps one but a worker that died in it and is not yet buried. */
function judgeLocks(player: Player, final: readonly Event[]): string | undefined {
  for (const { act, result } of final) {
    if (result === "CORRUPTION") continue;
    const event: Event = { worker: -1, act: { ...act, do: "put", key: "x\0end", value: 999_999 }, began: -1, ended: 0 };
    perform(player, event.act, event);
    if (typeof event.result !== "number") return `nobody can write to ${act.run} any more: ${String(event.result)}`;
  }
  return undefined;
}

/** When all workers have left nothing is held, and nothing is in use that nobody owns. */
function judgeLeaving(
  harness: Harness,
  { core, exports }: ReturnType<Harness["attach"]>,
  where: () => string,
): string | undefined {
  for (const worker of harness.script.parts.keys()) bury(core, harness.slotOf(worker));
  const found = core.verify();
  if (found !== 0) return `verify() says ${found} when all have left (${where()})`;
  const stray = (exports["strayExtent"] as () => number)() >>> 0;
  if (stray !== 0) return `the extent at 0x${stray.toString(16)} is in use, and nobody has it`;
  const { snapshotsHeld, transactionsOpen } = core.use();
  if (snapshotsHeld + transactionsOpen !== 0)
    return `${snapshotsHeld} snapshots and ${transactionsOpen} transactions are left`;
  return undefined;
}
