/**
 * The model is as sharp as it claims: each rule of the commit path that can be switched off is switched off, and the model
 * must find out within a bounded number of sequences. With all rules kept, the same module gives no violation.
 *
 * The rules of the core (assembly/rules.ts) are switched off in a build made for that; those of the host by putting
 * something else in the place of one method, for as long as the sequences run. Each names its rule of COMMIT.
 *
 * Not here, because nothing shows while there is one worker:
 *  - 1, locks and the order in which they are taken; 14, the slots that stand for what workers have in flight;
 *  - 13, the race between taking a slot and raising the floor; what of it shows is that snapshots start at the horizon.
 * Not here, because there is nothing to switch off:
 *  - 7, that what is deferred goes out ahead of the next record: the queue is one, and its order is the log's;
 *  - 8, that the cut is synced before it is told, and 10, that a sync fails with one that overlaps it: the first is one call
 *    of the storage, whose contract says so, the second follows from failing for good, which is under 9;
 *  - 6, a wait that runs out after the commit is installed: only for a lock could it.
 */
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Core } from "../../src/host/core.js";
import { DurableLog } from "../../src/host/durability.js";
import { GroupCommit } from "../../src/host/group-commit.js";
import { LogWriter } from "../../src/host/log-writer.js";
import { HoldfastError } from "../../src/index.js";
import { withoutRule } from "../support/broken-rules.js";
import { type Build, PLANTED, SINGLE } from "../support/builds.js";
import { SimulatedDisk } from "../support/simulated-storage.js";
import { asyncModelOf, modelOf, TIMEOUT_MS } from "./follow.js";
import { knownModelOf } from "./known.js";

/**
 * The same sequences each time: a broken store may also never return, which no timeout ends. `HOLDFAST_MODEL_SEED` tries
 * others.
 */
const SEED = Number(process.env["HOLDFAST_MODEL_SEED"] ?? 2066391454);

/** Where a breach is looked for. */
const MODELS = {
  memory: (build: Build) => modelOf(build, false),
  disk: (build: Build) => modelOf(build, true),
  async: (build: Build) => asyncModelOf(build, true),
  "async storage": (build: Build) => asyncModelOf(build, false),
  known: knownModelOf,
} as const;
type Where = keyof typeof MODELS;

/** By the numbers of assembly/rules.ts, each with its rule of COMMIT. */
const CORE_RULES: readonly [rule: number, name: string, commit: number, where: Where][] = [
  [1, "a key that was read is validated", 2, "memory"],
  [2, "a range that was scanned is validated", 2, "memory"],
  [3, "putting over a tombstone is an insertion", 2, "memory"],
  [4, "what a scan has returned is read", 2, "memory"],
  [5, "incarnations are compared", 2, "memory"],
  [6, "visible never passes an unpublished version", 3, "async"],
  [7, "BUSY comes before anything is installed", 6, "async storage"],
  [8, "a commit is published when its mode's promise is kept", 3, "disk"],
  [9, "deferred commits are bounded", 7, "disk"],
  [10, "what is published is never undone", 8, "disk"],
  [11, "what was undone ends those that may have read it", 8, "async"],
  [12, "nothing above the horizon is pruned", 12, "async"],
  [13, "nothing is pruned that a snapshot sees", 12, "memory"],
  [14, "a snapshot starts no lower than the horizon", 13, "memory"],
  [15, "counts are those at visible", 15, "disk"],
  [16, "a deleted run stays while a snapshot sees it", 16, "memory"],
  [17, "what is undone is undone newest first", 8, "async"],
  [18, "the host is told where a key goes that it knows", 12, "known"],
  [19, "the host is told where a run goes whose keys it knows", 16, "known"],
];

type AnyMethod = (this: unknown, ...given: never[]) => unknown;

/** What puts everything back in its place. */
const restorations: (() => void)[] = [];

/** Puts something else in the place of a method. It is given what stood there. */
function replace<T extends object, K extends keyof T & string>(
  prototype: T,
  name: K,
  made: (original: T[K] & AnyMethod) => AnyMethod,
): void {
  const original = prototype[name];
  prototype[name] = made(original as T[K] & AnyMethod) as T[K];
  restorations.push(() => {
    prototype[name] = original;
  });
}

/** Puts a value in the place of a getter. */
function replaceGetter(prototype: object, name: string, value: unknown): void {
  const original = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor;
  Object.defineProperty(prototype, name, { ...original, get: () => value });
  restorations.push(() => Object.defineProperty(prototype, name, original));
}

/** Switches a rule of the core off in every instance that is made from now on; 0: none. */
function breakRule(rule: number): void {
  replace(WebAssembly, "Instance", (original) => withoutRule(original, rule));
}

const HOST_RULES: readonly [name: string, commit: number, where: Where, breach: () => void][] = [
  [
    "what a conflict was with is durable before it is reported",
    4,
    "async",
    () => replace(DurableLog.prototype, "settlePending", () => () => {}),
  ],
  [
    "an outcome is withheld until what it read is published",
    5,
    "async",
    () => replace(GroupCommit.prototype, "published", () => () => Promise.resolve()),
  ],
  [
    "after an append that failed the file is cut",
    8,
    "disk",
    () => replace(SimulatedDisk.prototype, "truncate", () => () => {}),
  ],
  [
    "the last good offset is the end of a whole record",
    8,
    "disk",
    () =>
      replace(
        Core.prototype,
        "drainFailed",
        (original) =>
          function (this: unknown, appendedBytes: number) {
            return Reflect.apply(original, this, [appendedBytes + (appendedBytes > 0 ? 1000 : 0)]);
          } as AnyMethod,
      ),
  ],
  [
    "a sync that failed is final",
    9,
    "async",
    () =>
      replace(LogWriter.prototype, "fail", () => () => new HoldfastError("COMMIT_INDETERMINATE", "The sync failed.")),
  ],
  [
    "a sync covers what was written before it started",
    10,
    "async",
    () =>
      replace(
        Core.prototype,
        "synced",
        (original) =>
          function (this: Core) {
            return Reflect.apply(original, this, [this.logPosition]);
          } as AnyMethod,
      ),
  ],
  [
    "what is not published is not read by who knows where a key stands",
    3,
    "async",
    () => replaceGetter(Core.prototype, "newestIsPublished", true),
  ],
  [
    "versions of what was lost are never given again",
    11,
    "disk",
    () => replace(Core.prototype, "versionRaise", () => () => {}),
  ],
];

/** Sequences within which a breach must show, and for how long they may be tried. */
const SEQUENCES_MAX = 8000;
const TRY_MS_MAX = 100_000;
const SEQUENCES_CLEAN = 150;

/** Follows sequences until one violates; says after how many, and how. */
async function violationOf(where: Where, build: Build): Promise<{ sequences: number; message: string } | undefined> {
  const { failed, interrupted, numRuns, errorInstance } = await fc.check(MODELS[where](build), {
    numRuns: SEQUENCES_MAX,
    seed: SEED,
    endOnFailure: true,
    interruptAfterTimeLimit: TRY_MS_MAX,
  });
  if (!failed || interrupted) return undefined;
  const message = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  if (message.includes("could not be opened")) throw errorInstance;
  return { sequences: numRuns, message };
}

async function expectCaught(name: string, where: Where, build: Build): Promise<void> {
  const violation = await violationOf(where, build);
  expect(violation, `nothing shows that the rule is broken: ${name}`).toBeDefined();
  const what = violation?.message.split("; after")[0]?.slice(0, 120);
  console.info(`${name}: caught by sequence ${violation?.sequences} (${where}): ${what}`);
}

console.info(`rules: seed ${SEED}`);

afterEach(() => {
  for (const restore of restorations.splice(0).reverse()) restore();
});

describe("with every rule kept", () => {
  it.each(Object.keys(MODELS) as Where[])("the model finds nothing: %s", { timeout: TIMEOUT_MS }, async (where) => {
    breakRule(0);
    await fc.assert(MODELS[where](PLANTED), { numRuns: SEQUENCES_CLEAN, seed: SEED });
  });
});

describe("without a rule of the core the model finds a violation", () => {
  it.each(CORE_RULES)("rule %i: %s (COMMIT %i)", { timeout: TIMEOUT_MS }, async (rule, name, _commit, where) => {
    breakRule(rule);
    await expectCaught(name, where, PLANTED);
  });
});

describe("without a rule of the host the model finds a violation", () => {
  it.each(HOST_RULES)("%s (COMMIT %i)", { timeout: TIMEOUT_MS }, async (name, _commit, where, breach) => {
    breach();
    await expectCaught(name, where, SINGLE);
  });
});
