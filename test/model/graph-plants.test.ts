/**
 * The graph's model is as sharp as it claims: faults are planted by putting something else in the place of one method of the
 * host for as long as sequences run, or by switching a rule of the core off, and the model must find each within a bounded
 * number of sequences.
 */
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { Core } from "../../src/host/core.js";
import { TransactionWriter } from "../../src/host/transaction-writer.js";
import { CoreTraversal } from "../../src/host/traversal.js";
import { withoutRule } from "../support/broken-rules.js";
import { PLANTED, SINGLE } from "../support/builds.js";
import { TIMEOUT_MS } from "./follow.js";
import { graphModelOf } from "./graph-follow.js";

/** The same sequences each time, so that what finds a plant does so again. `HOLDFAST_MODEL_SEED` tries others. */
const SEED = Number(process.env["HOLDFAST_MODEL_SEED"] ?? 1117);
const SEQUENCES_MAX = 4000;
const TRY_MS_MAX = 60_000;

type AnyMethod = (this: unknown, ...given: never[]) => unknown;

const restorations: (() => void)[] = [];

function replace<T extends object, K extends keyof T & string>(
  prototype: T,
  name: K,
  made: (original: AnyMethod) => AnyMethod,
): void {
  const original = prototype[name];
  prototype[name] = made(original as AnyMethod) as T[K];
  restorations.push(() => {
    prototype[name] = original;
  });
}

/** Forgets a write of the index wherever `isForgotten` says so. */
function forget(what: "putOwn" | "delete", isForgotten: (key: string) => boolean): void {
  replace(
    TransactionWriter.prototype,
    what,
    (original) =>
      function (this: unknown, table: number, key: string, ...rest: unknown[]) {
        if (table >= 8 && isForgotten(key)) return what === "delete" || undefined;
        return Reflect.apply(original, this, [table, key, ...rest]);
      } as AnyMethod,
  );
}

function breakRule(rule: number): void {
  replace(WebAssembly, "Instance", (original) => withoutRule(original, rule));
}

/** Every so many of those that begin so. */
function oneOf(count: number, group: RegExp): (key: string) => boolean {
  let met = 0;
  return (key) => group.test(key) && ++met % count === 0;
}

const PLANTS: readonly [name: string, plant: () => void][] = [
  ["one line of a property's index in fifty is forgotten", () => forget("putOwn", oneOf(50, /^p/))],
  ["one label's line in two hundred is forgotten", () => forget("putOwn", oneOf(200, /^l/))],
  ["one edge in two hundred is not known at its target", () => forget("putOwn", oneOf(200, /^i/))],
  ["one node in two hundred is not listed", () => forget("putOwn", oneOf(200, /^n/))],
  ["a value that is no more stays in the index", () => forget("delete", oneOf(5, /^p/))],
  ["a label that is no more stays in the index", () => forget("delete", oneOf(10, /^l/))],
  ["an edge that is deleted stays at its source", () => forget("delete", oneOf(20, /^o/))],
  ["a node that is deleted counts as there", () => forget("delete", oneOf(20, /^n/))],
  [
    "ids begin anew after an opening",
    () =>
      replace(
        Core.prototype,
        "call",
        (original) =>
          function (this: Core, name: string, ...given: number[]) {
            return Reflect.apply(original, this, [name, ...(name === "runFreeIds" ? given.with(2, 1) : given)]);
          } as AnyMethod,
      ),
  ],
  [
    "a walk says that it came from the first node of all",
    () => replace(CoreTraversal.prototype, "parent", () => (() => 0) as AnyMethod),
  ],
  [
    "a walk that sees only what is newest",
    () =>
      replace(
        Core.prototype,
        "call",
        (original) =>
          function (this: Core, name: string, ...given: number[]) {
            const isWalk = name === "traverseStep";
            return Reflect.apply(original, this, [name, ...(isWalk ? given.with(3, this.version()) : given)]);
          } as AnyMethod,
      ),
  ],
];

/** By the numbers of assembly/rules.ts: those on which it stands that no edge dangles and no index misses a node. */
const RULES: readonly [rule: number, name: string][] = [
  [1, "a key that was read is validated"],
  [2, "a range that was scanned is validated"],
  [13, "nothing is pruned that a snapshot sees"],
];

async function violationOf(build: typeof SINGLE): Promise<{ sequences: number; message: string } | undefined> {
  const { failed, interrupted, numRuns, errorInstance } = await fc.check(graphModelOf(build, true), {
    numRuns: SEQUENCES_MAX,
    seed: SEED,
    endOnFailure: true,
    interruptAfterTimeLimit: TRY_MS_MAX,
  });
  if (!failed || interrupted) return undefined;
  return {
    sequences: numRuns,
    message: errorInstance instanceof Error ? errorInstance.message : String(errorInstance),
  };
}

async function expectCaught(name: string, build: typeof SINGLE): Promise<void> {
  const violation = await violationOf(build);
  expect(violation, `nothing shows that ${name}`).toBeDefined();
  const what = violation?.message.split("; after")[0]?.slice(0, 120);
  console.info(`${name}: caught by sequence ${violation?.sequences}: ${what}`);
}

console.info(`plants in the graph: seed ${SEED}`);

afterEach(() => {
  for (const restore of restorations.splice(0).reverse()) restore();
});

it.each(PLANTS)("the model finds it when %s", { timeout: TIMEOUT_MS }, async (name, plant) => {
  plant();
  await expectCaught(name, SINGLE);
});

it.each(RULES)("the model finds it without rule %i of the core: %s", { timeout: TIMEOUT_MS }, async (rule, name) => {
  breakRule(rule);
  await expectCaught(`rule ${rule} is broken, ${name}`, PLANTED);
});
