/**
 * The golden files: `test/golden/v1/<log>/` holds the files of each golden log as a storage keeps them, `<log>.json` what it
 * holds, and `embedded.ts` both, for runtimes that have no files.
 *
 * `HOLDFAST_GOLDEN=write npx vitest run test/unit/golden.test.ts` adds what is missing and makes `embedded.ts` anew. What is
 * there is never written again: logs of version 1 are read as they are for as long as version 1 is.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { FORMAT_VERSION } from "../../src/host/abi.js";
import { Database } from "../../src/index.js";
import { ByteStorage, type Segments } from "../support/byte-storage.js";
import {
  contentsOf,
  GOLDEN_LOGS,
  type Open,
  toJson,
  WRITTEN_LOGS,
  type WrittenLog,
  writeGolden,
} from "../support/golden-logs.js";
import type { DatabaseFiles } from "../support/plain-log.js";

const GOLDEN = join(import.meta.dirname, "../golden");
const VERSION = join(GOLDEN, `v${FORMAT_VERSION}`);
const EMBEDDED = join(GOLDEN, "embedded.ts");
const WRITES = process.env["HOLDFAST_GOLDEN"] === "write";
const SUFFIXES = { segments: ".log", checkpoints: ".ckp" } as const;
const NUMBER_DIGITS = 12;

const opened: Open = (options, source) =>
  source === undefined ? Database.open(options) : Database.import(source, options);

type Kind = keyof typeof SUFFIXES;

function fileOf(name: string, kind: Kind, number: number): string {
  return join(VERSION, name, `${String(number).padStart(NUMBER_DIGITS, "0")}${SUFFIXES[kind]}`);
}

function filesIn(name: string, kind: Kind): Segments {
  const files = fs.readdirSync(join(VERSION, name)).filter((file) => file.endsWith(SUFFIXES[kind]));
  return new Map(
    files.sort().map((file) => [Number.parseInt(file, 10), new Uint8Array(fs.readFileSync(join(VERSION, name, file)))]),
  );
}

function goldenFiles(name: string): DatabaseFiles {
  return { segments: filesIn(name, "segments"), checkpoints: filesIn(name, "checkpoints") };
}

/** Adds a golden log that is not there yet. */
async function add(log: WrittenLog): Promise<void> {
  if (fs.existsSync(join(VERSION, log.name))) return;
  const files = await writeGolden(log, opened);
  fs.mkdirSync(join(VERSION, log.name), { recursive: true });
  for (const kind of ["segments", "checkpoints"] as const) {
    for (const [number, bytes] of files[kind]) fs.writeFileSync(fileOf(log.name, kind, number), bytes);
  }
  await using db = await Database.open({ storage: new ByteStorage(files.segments, 9, files.checkpoints) });
  const golden = { about: log.about, contents: toJson(contentsOf(db)) };
  fs.writeFileSync(join(VERSION, `${log.name}.json`), `${JSON.stringify(golden, null, 2)}\n`);
}

function contentsIn(name: string): unknown {
  return (JSON.parse(fs.readFileSync(join(VERSION, `${name}.json`), "utf8")) as { contents: unknown }).contents;
}

/** The module that carries the golden logs to runtimes without files. */
function embedded(): string {
  const base64 = (files: Segments): Record<string, string> =>
    Object.fromEntries([...files].map(([number, bytes]) => [number, Buffer.from(bytes).toString("base64")]));
  const logs = GOLDEN_LOGS.map(({ name }) => {
    const { segments, checkpoints } = goldenFiles(name);
    const contents = JSON.stringify(contentsIn(name));
    return [name, { segments: base64(segments), checkpoints: base64(checkpoints), contents }];
  });
  return `/** The golden logs of \`test/golden/\`, made from them by \`test/unit/golden.test.ts\`. */
export const EMBEDDED: Readonly<Record<string, EmbeddedLog>> = ${JSON.stringify(Object.fromEntries(logs), null, 2)};

/** Files in base64 by their number, and the contents as JSON. */
export interface EmbeddedLog {
  readonly segments: Readonly<Record<string, string>>;
  readonly checkpoints: Readonly<Record<string, string>>;
  readonly contents: string;
}
`;
}

test("embedded.ts carries every golden log as it is", async () => {
  if (WRITES) {
    for (const log of WRITTEN_LOGS) await add(log);
    fs.writeFileSync(EMBEDDED, embedded());
  }
  expect(fs.readFileSync(EMBEDDED, "utf8")).toBe(embedded());
});

test("the golden logs are those that are known, and nothing else", () => {
  const known = GOLDEN_LOGS.flatMap(({ name }) => [name, `${name}.json`]);
  expect(fs.readdirSync(VERSION).sort()).toEqual(known.sort());
});

test.each(GOLDEN_LOGS)("$name: $about", async (log) => {
  const files = goldenFiles(log.name);
  await using db = await Database.open({ storage: new ByteStorage(files.segments, 9, files.checkpoints) });
  expect(toJson(contentsOf(db))).toEqual(contentsIn(log.name));
  expect(db.verify()).toEqual({ valid: true });
});

test.each(WRITTEN_LOGS)("$name is written as it is", async (log) => {
  expect(await writeGolden(log, opened)).toEqual(goldenFiles(log.name));
});

test.each(GOLDEN_LOGS)("$name opens as the directory that it is", async ({ name }) => {
  const directory = fs.mkdtempSync(join(tmpdir(), "hf-golden-"));
  try {
    fs.cpSync(join(VERSION, name), directory, { recursive: true });
    await using db = await Database.open({ storage: nodeFs(directory) });
    expect(toJson(contentsOf(db))).toEqual(contentsIn(name));
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});
