/**
 * The golden logs on every runtime: each is read as it stands in `test/golden/`, from every storage that keeps a log, and
 * written again byte for byte by the same operations.
 */
import { memory } from "../../src/adapters/memory.js";
import type { Storage } from "../../src/adapters/storage.js";
import { Database } from "../../src/index.js";
import { EMBEDDED } from "../golden/embedded.js";
import { contentsOf, GOLDEN_LOGS, type GoldenLog, toJson, WRITTEN_LOGS, writeGolden } from "../support/golden-logs.js";
import type { DatabaseFiles } from "../support/plain-log.js";
import { deepEqual, equal } from "./assert.js";
import type { Case, Context } from "./context.js";

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function filesOf(embedded: Readonly<Record<string, string>>): Map<number, Uint8Array> {
  return new Map(Object.entries(embedded).map(([number, base64]) => [Number(number), bytesOf(base64)]));
}

/** Puts the files of a database where a case has its place. */
async function place(storage: Storage, files: DatabaseFiles): Promise<void> {
  const session = await storage.open({ readOnly: false });
  for (const [number, bytes] of files.checkpoints) {
    const writer = await session.beginCheckpoint(number);
    await writer.write(bytes);
    await writer.commit();
  }
  for (const [number, bytes] of files.segments) await session.createSegment(number, bytes);
  await session.close();
}

async function read(context: Context, files: DatabaseFiles, contents: unknown): Promise<void> {
  await place(context.storage(), files);
  const db = await context.open();
  deepEqual(toJson(contentsOf(db)), contents, "contents");
  deepEqual(db.verify(), { valid: true }, "heap");
  db.run("agent").kv.put("written behind it", 1, { durability: "in-memory" });
  const again = await context.reopen();
  equal(again.run("agent").kv.get("written behind it"), 1);
  again.run("agent").kv.delete("written behind it", { durability: "in-memory" });
  deepEqual(toJson(contentsOf(again)), contents, "contents after opening it again");
}

function differences(
  what: string,
  written: ReadonlyMap<number, Uint8Array>,
  golden: ReadonlyMap<number, Uint8Array>,
): void {
  deepEqual([...written.keys()], [...golden.keys()], `numbers of ${what}`);
  for (const [number, bytes] of golden) deepEqual(written.get(number), bytes, `${what} ${number}`);
}

/** The files of a golden log, and what is in it. */
function embeddedFiles({ name }: GoldenLog): { readonly files: DatabaseFiles; readonly contents: string } {
  const embedded = EMBEDDED[name];
  if (embedded === undefined) throw new Error(`test/golden/ has no ${name}`);
  const files = { segments: filesOf(embedded.segments), checkpoints: filesOf(embedded.checkpoints) };
  return { files, contents: embedded.contents };
}

function readCases(): Case[] {
  return GOLDEN_LOGS.map((log) => {
    const { files, contents } = embeddedFiles(log);
    return {
      name: `reads ${log.name}`,
      needs: ({ persistent }) => persistent,
      run: (context) => read(context, files, JSON.parse(contents)),
    };
  });
}

function writeCases(): Case[] {
  return WRITTEN_LOGS.map((log) => {
    const { files } = embeddedFiles(log);
    return {
      name: `writes ${log.name} byte for byte`,
      async run(context) {
        // What is not kept is made in memory: beside a worker that writes for it, what was deleted goes a little later.
        const written = await writeGolden(log, (options, source) =>
          source === undefined
            ? context.open({ storage: memory(), ...options })
            : Database.import(source, { wasm: context.wasm, ...options }),
        );
        differences("segment", written.segments, files.segments);
        differences("checkpoint", written.checkpoints, files.checkpoints);
      },
    };
  });
}

/** Each golden log, read and written. */
export function goldenContract(): readonly Case[] {
  return [...readCases(), ...writeCases()];
}
