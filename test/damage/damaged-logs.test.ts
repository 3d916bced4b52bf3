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
import { ByteStorage } from "../support/byte-storage.js";
import { SCALE, SEED, writeReport } from "../support/durability-report.js";
import { WRITTEN_LOGS, writeGolden } from "../support/golden-logs.js";
import type { DatabaseFiles } from "../support/plain-log.js";
import { mutant } from "./mutants.js";
import { type Fault, Trials } from "./trials.js";
import { Watchdog } from "./watchdog.js";

const MUTANTS = Math.round(28_000 * SCALE);
/** The one mutant to try, where a failure is replayed. */
const ONLY_CASE = process.env["HOLDFAST_CASE"];
const GOAL = 200_000;
const SHOWN_MAX = 5;

const counts = { cases: 0, silentlyCorrupt: 0, lost: 0, untyped: 0, other: 0 };
const startMs = performance.now();
const watchdog = new Watchdog();
const logs = new Map<string, DatabaseFiles>();
let trials: Trials;

/** Collects faults with what replays them; the message shows the first few. */
class Faults {
  readonly #shown: string[] = [];
  #found = 0;

  try(name: () => string, files: DatabaseFiles): Promise<void> {
    return this.note(name, () => trials.of(files));
  }

  async note(name: () => string, trial: () => Promise<Fault | undefined>): Promise<void> {
    counts.cases++;
    watchdog.beat(name);
    const fault = await trial();
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
  for (const log of WRITTEN_LOGS) {
    const files = await writeGolden(log, (options, source) =>
      source === undefined ? Database.open({ ...options, wasm }) : Database.import(source, { ...options, wasm }),
    );
    logs.set(log.name, files);
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

/** Every file of a database, with what gives the database back with another one in its place. */
function eachFile({ segments, checkpoints }: DatabaseFiles): {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly instead: (bytes: Uint8Array) => DatabaseFiles;
}[] {
  return [
    ...[...segments].map(([number, bytes]) => ({
      name: `segment ${number}`,
      bytes,
      instead: (other: Uint8Array) => ({ segments: new Map(segments).set(number, other), checkpoints }),
    })),
    ...[...checkpoints].map(([number, bytes]) => ({
      name: `checkpoint ${number}`,
      bytes,
      instead: (other: Uint8Array) => ({ segments, checkpoints: new Map(checkpoints).set(number, other) }),
    })),
  ];
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const other = bytes.slice();
  other[bit >>> 3] = (bytes[bit >>> 3] as number) ^ (1 << (bit & 7));
  return other;
}

describe.skipIf(ONLY_CASE !== undefined).each(WRITTEN_LOGS)("the golden log $name", ({ name }) => {
  test("undamaged", async () => {
    const faults = new Faults();
    await faults.try(() => `${name}, undamaged`, logs.get(name) as DatabaseFiles);
    faults.expectNone();
  });

  test("cut to every length", async () => {
    const faults = new Faults();
    for (const file of eachFile(logs.get(name) as DatabaseFiles)) {
      for (let length = 0; length < file.bytes.length; length++) {
        const where = (): string => `${name}, ${file.name} cut to ${length} bytes`;
        await faults.try(where, file.instead(file.bytes.subarray(0, length)));
      }
    }
    faults.expectNone();
  });

  test("with every single bit flipped", async () => {
    const faults = new Faults();
    for (const file of eachFile(logs.get(name) as DatabaseFiles)) {
      for (let bit = 0; bit < file.bytes.length * 8; bit++) {
        const where = (): string => `${name}, ${file.name}, bit ${bit & 7} of byte ${bit >>> 3} flipped`;
        await faults.try(where, file.instead(flipped(file.bytes, bit)));
      }
    }
    faults.expectNone();
  });
});

describe.skipIf(ONLY_CASE !== undefined)("an export", () => {
  const exported = async (): Promise<Uint8Array> => {
    const files = logs.get("checkpoint") as DatabaseFiles;
    const storage = new ByteStorage(files.segments, 9, files.checkpoints);
    await using db = await Database.open({ storage, wasm: await moduleOf(SINGLE) });
    const pieces: Uint8Array[] = [];
    for await (const piece of db.export()) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  };

  test("cut to every length, and with something behind its end", async () => {
    const bytes = await exported();
    const faults = new Faults();
    for (let length = 0; length <= bytes.length; length++) {
      await faults.note(
        () => `cut to ${length} bytes`,
        () => trials.ofExport(bytes.subarray(0, length)),
      );
    }
    for (const more of [1, 47, 48, 100]) {
      const longer = new Uint8Array([...bytes, ...new Uint8Array(more)]);
      await faults.note(
        () => `${more} bytes behind its end`,
        () => trials.ofExport(longer),
      );
    }
    faults.expectNone();
  });

  test("with a bit of every byte flipped", async () => {
    const bytes = await exported();
    const faults = new Faults();
    for (let at = 0; at < bytes.length; at++) {
      const bit = at * 8 + ((SEED + at) & 7);
      await faults.note(
        () => `HOLDFAST_SEED=${SEED}: bit ${bit} flipped`,
        () => trials.ofExport(flipped(bytes, bit)),
      );
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
    const { files, story } = mutant(all, SEED, number);
    await faults.try(() => `HOLDFAST_SEED=${SEED} HOLDFAST_CASE=${number}: ${story.join("; ")}`, files);
  }
  faults.expectNone();
});
