/**
 * One call of the file system goes wrong, once or from then on, while a database is opened, worked on and closed; then the
 * disk is healthy again.
 *
 * Whatever the call: every call of the database ends, as it should or with an error that the contract allows; after a write
 * was told that the storage has failed no later one is taken, no sync is repeated, and readers see nothing that is not
 * durable; and what is found afterwards, also after a power cut, is right by the same judgement as after any crash.
 */
import { judgeState } from "./judge.js";
import { mixed, Random } from "./random.js";
import { afterPowerCut, type Fault, type FileCall } from "./simulated-files.js";
import { type Subject, Violation, Workload } from "./workload.js";

/** The ways in which a call goes wrong. */
export const FAULTS = ["EIO", "ENOSPC", "EMFILE", "EACCES", "short", "EINTR"] as const;
export type FaultKind = (typeof FAULTS)[number];

/** Where and how something goes wrong. */
export interface Plan {
  readonly call: number;
  readonly kind: FaultKind;
  readonly forEver: boolean;
}

const OPTIONS = { sessions: 0, steps: 12, fills: false, keepsPoints: false };
const WRITE = "writeSync";

/** How a call goes wrong by its kind: a disk that is full takes a part, and other calls may take effect all the same. */
function faultOf(kind: FaultKind, { name }: FileCall, random: Random): Fault {
  if (kind === "short") return name === WRITE ? { code: "", done: random.of([0, 0.3, 0.7]) } : { code: "EDQUOT" };
  if (name === WRITE) return { code: kind, done: kind === "ENOSPC" ? random.of([0, 0.5]) : 0 };
  return { code: kind, done: random.rarely(3) ? 1 : 0 };
}

/** What was done under one plan. */
export interface Tried {
  readonly workload: Workload;
  /** Calls that the process made in which something was to go wrong. */
  readonly calls: number;
}

/** What the first process of a workload has left, the last time: most trials differ in what becomes of the second alone. */
const left = new WeakMap<Subject, Workload>();

/** The database as the first process of a workload leaves it: not closed. */
async function prepared(subject: Subject, seed: number): Promise<Workload> {
  const known = left.get(subject);
  if (known?.seed === seed) return known.fork();
  const workload = new Workload(subject, seed, OPTIONS);
  await workload.begin();
  await workload.work();
  await workload.end("kill");
  left.set(subject, workload);
  return workload.fork();
}

/** How many calls the second process of a workload makes where nothing goes wrong. */
export async function callsOf(subject: Subject, seed: number): Promise<number> {
  const workload = await prepared(subject, seed);
  await workload.begin();
  await workload.work();
  await workload.end("close");
  return workload.files.calls;
}

/** Lets the second process of a workload meet a fault, and judges what comes of it. Returns how many commits it had told of. */
export async function tryFault(subject: Subject, seed: number, plan: Plan): Promise<number> {
  const workload = await prepared(subject, seed);
  const random = new Random(mixed(seed, 7, plan.call, FAULTS.indexOf(plan.kind), Number(plan.forEver)));
  workload.isFaulty = true;
  workload.onProcess = (files) => {
    files.fault = (call) => {
      const isMeant = plan.forEver ? call.index >= plan.call : call.index === plan.call;
      if (!isMeant) return undefined;
      return faultOf(plan.kind, call, random);
    };
  };
  try {
    await workload.begin();
    if (workload.database !== undefined) await workload.work();
    else if (!plan.forEver) await workload.openAgain();
    await workload.end(random.rarely(3) ? "kill" : "close");
    if (!plan.forEver && workload.refusedForRoom > 1) {
      throw new Violation(
        "broken",
        `${workload.refusedForRoom} calls ended with STORAGE_FULL, though one was for want of room`,
      );
    }
    const point = workload.point("the end");
    await judgeState(subject, point, "kill", point.disk, workload.segmentBytes, mixed(seed, 8, plan.call));
    const fate = random.of(["lost", "any"] as const);
    const cut = afterPowerCut(point.disk, random, fate);
    await judgeState(subject, point, "power", cut, workload.segmentBytes, mixed(seed, 9, plan.call));
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const how = `${plan.kind} ${plan.forEver ? "from" : "at"} call ${plan.call} of the second process`;
    const story = workload.story.slice(-24).join("\n    ");
    throw new Violation(error.wrong, `${error.reason}\n  ${how}\n    ${story}`, error);
  }
  return workload.acknowledged;
}
