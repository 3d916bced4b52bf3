/**
 * Damaged logs: every bit of every golden log flipped, every length that it can be cut to, and tens of thousands of logs
 * that were changed with the format in mind, their checksums repaired or not.
 *
 * What opening one of them has to give is worked out by `judgeLog`, which knows docs/FORMAT.md and nothing of the core: a
 * state after some number of whole commits, or a refusal that names the place. A case is replayed by
 * `HOLDFAST_SEED=<seed> HOLDFAST_CASE=<case>`.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Database } from "../../src/index.js";
import { moduleOf, SINGLE } from "../support/builds.js";
import type { Segments } from "../support/byte-storage.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { GOLDEN_LOGS, writeGolden } from "../support/golden-logs.js";
import { mutant } from "./mutants.js";
import { type Fault, Trials } from "./trials.js";
import { Watchdog } from "./watchdog.js";

const MUTANTS = Math.round(150_000 * SCALE);
/** The one mutant to try, where a failure is replayed. */
const ONLY_CASE = process.env["HOLDFAST_CASE"];
const GOAL = 200_000;
const SHOWN_MAX = 5;

const counts = { cases: 0, silentlyCorrupt: 0, lost: 0, untyped: 0, other: 0 };
const startMs = performance.now();
const watchdog = new Watchdog();
const logs = new Map<string, Segments>();
let trials: Trials;

/** Collects faults with what replays them; the message shows the first few. */
class Faults {
  readonly #shown: string[] = [];
  #found = 0;

  async try(name: () => string, segments: Segments): Promise<void> {
    counts.cases++;
    watchdog.beat(name);
    const fault: Fault | undefined = await trials.of(segments);
    if (fault === undefined) return;
    counts[fault.kind]++;
    this.#found++;
    if (this.#shown.length < SHOWN_MAX) this.#shown.push(`${name()}: ${fault.what}`);
  }

  expectNone(): void {
    expect(this.#found, `${this.#found} faults, the first:\n${this.#shown.join("\n")}`).toBe(0);
  }
}

beforeAll(async () => {
  trials = await Trials.begin();
  const wasm = await moduleOf(SINGLE);
  for (const log of GOLDEN_LOGS) {
    logs.set(log.name, (await writeGolden(log, (options) => Database.open({ ...options, wasm }))).segments);
  }
});

afterAll(async () => {
  await watchdog.end();
  if (ONLY_CASE !== undefined) return;
  writeReport({
    suite: "damaged-logs",
    what: "a damaged log opened",
    cases: counts.cases,
    goal: GOAL,
    acknowledged: trials.commits,
    lost: counts.lost,
    partial: 0,
    reordered: 0,
    silentlyCorrupt: counts.silentlyCorrupt,
    untyped: counts.untyped,
    hung: 0,
    seed: SEED,
    seconds: (performance.now() - startMs) / 1000,
  });
});

describe.skipIf(ONLY_CASE !== undefined).each(GOLDEN_LOGS)("the golden log $name", ({ name }) => {
  test("undamaged", async () => {
    const faults = new Faults();
    await faults.try(() => `${name}, undamaged`, logs.get(name) as Segments);
    faults.expectNone();
  });

  test("cut to every length", async () => {
    const log = logs.get(name) as Segments;
    const faults = new Faults();
    for (const [number, bytes] of log) {
      for (let length = 0; length < bytes.length; length++) {
        const cut = new Map(log).set(number, bytes.subarray(0, length));
        await faults.try(() => `${name}, segment ${number} cut to ${length} bytes`, cut);
      }
    }
    faults.expectNone();
  });

  test("with every single bit flipped", async () => {
    const log = logs.get(name) as Segments;
    const faults = new Faults();
    for (const [number, bytes] of log) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = bytes.slice();
        flipped[bit >>> 3] = (bytes[bit >>> 3] as number) ^ (1 << (bit & 7));
        const where = (): string => `${name}, segment ${number}, bit ${bit & 7} of byte ${bit >>> 3} flipped`;
        await faults.try(where, new Map(log).set(number, flipped));
      }
    }
    faults.expectNone();
  });
});

test(`changed with the format in mind, seed ${SEED}`, async () => {
  const faults = new Faults();
  const all = [...logs];
  const first = ONLY_CASE === undefined ? 0 : Number(ONLY_CASE);
  const end = ONLY_CASE === undefined ? MUTANTS : first + 1;
  for (let number = first; number < end; number++) {
    const { segments, story } = mutant(all, SEED, number);
    await faults.try(() => `HOLDFAST_SEED=${SEED} HOLDFAST_CASE=${number}: ${story.join("; ")}`, segments);
  }
  faults.expectNone();
});
