/**
 * `holdfast bench`: what operations cost on this machine, on this disk, at this moment. Figures of the store alone, in a database
 * of its own that is removed afterwards; how it stands beside others is what `npm run bench` of the repository measures.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database, type Run } from "../index.js";
import type { Call, Command } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { runtimeName } from "./runtime.js";
import { fileFailure } from "./system-errors.js";
import { removedAfter } from "./temporary.js";
import { duration, table } from "./text.js";

const SECONDS = 3;
const KEYS = 10_000;
const IN_FLIGHT = 64;
const BATCHES_LEAST = 3;

export const benchCommand: Command = {
  name: "bench",
  operands: ["[DIR]"],
  summary: "what reads, writes and syncs cost here, each mode by itself",
  details: [
    "In a temporary database below DIR, or below the system's temporary directory, which may be memory: name the disk that you",
    "mean. Medians of batches; quote them only of a machine that does nothing else.",
  ],
  options: { seconds: { type: "string", value: "N", help: `how long it may take, about (${SECONDS} if left out)` } },
  run: bench,
};

/** One thing that is measured. A batch does so many operations. */
interface Subject {
  readonly name: string;
  readonly operations: number;
  batch(): void | Promise<void>;
}

interface Row {
  readonly name: string;
  readonly operations: number;
  readonly nsPerOperation: number;
}

async function bench(call: Call): Promise<ExitCode> {
  const { out } = call;
  const seconds = call.number("seconds", SECONDS, { least: 0.01, whole: false });
  const place = makePlace(call.operandIfGiven(0) ?? tmpdir());
  const rows: Row[] = [];
  await removedAfter(
    () => rmSync(place, { recursive: true, force: true }),
    async () => {
      const db = await Database.open({ path: place, durability: "strict" });
      const memory = await Database.open({ durability: "in-memory" });
      try {
        const subjects = [...memorySubjects(memory.run("bench")), ...fileSubjects(db.run("bench"))];
        for (const subject of subjects) {
          out.progress(`bench: ${subject.name}`);
          rows.push(await measure(subject, (seconds * 1000) / subjects.length));
        }
      } finally {
        await memory.close();
        await db.close();
      }
    },
  );
  await print(call, rows);
  return EXIT.done;
}

async function print({ out }: Call, rows: readonly Row[]): Promise<void> {
  if (out.json) {
    const withRates = rows.map((row) => ({ ...row, operationsPerSecond: 1e9 / row.nsPerOperation }));
    await out.document({ runtime: runtimeName(), rows: withRates });
    return;
  }
  const cells = rows.map(({ name, nsPerOperation }) => {
    return [name, duration(nsPerOperation), `${Math.round(1e9 / nsPerOperation).toLocaleString("en-US")}/s`];
  });
  await out.lines([`${runtimeName()}: time for one operation, median of batches`, ...table(cells, [1, 2])]);
}

function makePlace(directory: string): string {
  try {
    return mkdtempSync(join(directory, "holdfast-bench-"));
  } catch (error) {
    throw fileFailure(directory, error);
  }
}

function memorySubjects(run: Run): Subject[] {
  const { kv, events } = run;
  const keys = Array.from({ length: KEYS }, (_, at) => `key-${String((at * 7919) % KEYS).padStart(8, "0")}`);
  for (const key of keys) kv.put(key, 1);
  let at = 0;
  const next = (): string => keys[at++ % KEYS] as string;
  const repeat = (times: number, each: () => void) => (): void => {
    for (let i = 0; i < times; i++) each();
  };
  let sum = 0;
  return [
    {
      name: `kv.get, one of ${KEYS.toLocaleString("en-US")} keys`,
      operations: 5000,
      batch: repeat(5000, () => {
        sum += kv.get(next()) as number;
      }),
    },
    { name: "snapshot, taken and let go", operations: 1000, batch: repeat(1000, () => run.snapshot().dispose()) },
    { name: "kv.put in memory", operations: 2000, batch: repeat(2000, () => kv.put(next(), sum % 100)) },
    { name: "event appended in memory", operations: 200, batch: repeat(200, () => events.append("bench", 1)) },
  ];
}

function fileSubjects(run: Run): Subject[] {
  const { kv } = run;
  let at = 0;
  const put = (mode: "buffered" | "strict"): void => {
    kv.put(`key-${at++ % KEYS}`, at, { durability: mode });
  };
  return [
    {
      name: "kv.put buffered, on files",
      operations: 500,
      batch() {
        for (let i = 0; i < 500; i++) put("buffered");
      },
    },
    { name: "kv.put strict, synced", operations: 1, batch: () => put("strict") },
    {
      name: `strict transactionAsync, ${IN_FLIGHT} in flight`,
      operations: IN_FLIGHT,
      async batch() {
        const one = (): Promise<number> => run.transactionAsync((tx) => tx.kv.put(`key-${at++ % KEYS}`, at));
        await Promise.all(Array.from({ length: IN_FLIGHT }, one));
      },
    },
  ];
}

async function measure({ name, operations, batch }: Subject, budgetMs: number): Promise<Row> {
  await batch();
  const took: number[] = [];
  const began = performance.now();
  while (took.length < BATCHES_LEAST || performance.now() - began < budgetMs) {
    const start = performance.now();
    await batch();
    took.push(((performance.now() - start) * 1e6) / operations);
  }
  took.sort((a, b) => a - b);
  return { name, operations: operations * took.length, nsPerOperation: took[took.length >> 1] as number };
}
