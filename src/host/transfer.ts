/**
 * A database as one stream of bytes between any two platforms: out of a snapshot, and into an empty place.
 *
 * The stream is a checkpoint that stands for itself. What is imported is stored as the first checkpoint before it is served,
 * so that it is there whole or not at all.
 */
import type { StorageSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { describe, refuseArgument } from "./arguments.js";
import { breathe, CheckpointStream, storeCheckpoint } from "./checkpoint.js";
import type { Core, HeldRun } from "./core.js";
import type { Environment } from "./environment.js";
import type { CheckpointHeader } from "./log-format.js";
import { importedLog, type LogState, type RecoveryProgress } from "./recovery.js";
import { restoreCheckpoint } from "./restore.js";

/** What `Database.import` takes: pieces of any size, one after another. */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | ReadableStream<Uint8Array>;

const DATABASE_ID_BYTES = 16;
const EXPORT_EPOCH = 1;
const EXPORT_NUMBER = 1;
/** Bytes after which timers and messages get their turn. */
const BREATH_BYTES = 16 * 1024 * 1024;
/** What a piece counts for at least: a stream without an end may have no bytes in it. */
const PIECE_BYTES_LEAST = 16 * 1024;

/** The pieces of an export of what `version` sees of these runs; `assertLive` throws once that cannot be read any more. */
export async function* exportPieces(
  core: Core,
  version: number,
  runs: readonly HeldRun[],
  assertLive: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const databaseId = new Uint8Array(DATABASE_ID_BYTES);
  const header: CheckpointHeader = {
    databaseId,
    number: EXPORT_NUMBER,
    epoch: EXPORT_EPOCH,
    isExport: true,
    position: 0,
    chain: 0,
    version,
    given: version,
    written: 0,
    commits: core.commits,
  };
  const stream = new CheckpointStream(core, header, runs);
  try {
    for (;;) {
      assertLive();
      const piece = stream.next();
      if (piece === undefined) return;
      if (piece.length > 0) yield piece.slice();
    }
  } finally {
    stream.end();
  }
}

/** What an import needs beside the stream. */
export interface ImportOptions {
  readonly databaseId: Uint8Array;
  readonly environment: Environment;
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Restores an export into an empty core; what it says of itself. */
export async function importStream(core: Core, source: ByteStream, options: ImportOptions): Promise<CheckpointHeader> {
  const pieces = piecesOf(source);
  let rest: Uint8Array = new Uint8Array(0);
  let bytesDone = 0;
  let sinceBreath = 0;
  try {
    return await restoreCheckpoint(core, undefined, async (most) => {
      options.signal?.throwIfAborted();
      while (rest.length === 0) {
        const { done, value } = await pieces.next();
        if (done === true) return rest;
        if (!(value instanceof Uint8Array)) {
          throw refuseArgument(`Database.import takes a stream of Uint8Array, got ${describe(value)} in it.`);
        }
        rest = value;
        bytesDone += rest.length;
        options.onProgress?.({ phase: "import", bytesDone, bytesTotal: undefined });
        sinceBreath += Math.max(rest.length, PIECE_BYTES_LEAST);
        if (sinceBreath < BREATH_BYTES) continue;
        sinceBreath = 0;
        await breathe(options.environment);
        options.signal?.throwIfAborted();
      }
      const part = rest.subarray(0, most);
      rest = rest.subarray(part.length);
      return part;
    });
  } finally {
    await pieces.return?.();
  }
}

/** Stores what was imported as the first checkpoint of an empty storage; where its log goes on. */
export async function storeImport(
  core: Core,
  session: StorageSession,
  imported: CheckpointHeader,
  options: ImportOptions,
): Promise<LogState> {
  const { databaseId, environment } = options;
  const header: CheckpointHeader = { ...imported, databaseId, number: 1, epoch: session.epoch, isExport: true };
  const stream = new CheckpointStream(core, header, core.runsAt(imported.version));
  await storeCheckpoint(session, header.number, stream, environment);
  return importedLog(session, databaseId, header.number);
}

/** Refuses a place in which there is something: an import never mixes with it. */
export function refuseExisting(session: StorageSession): void {
  if (session.fresh) return;
  throw new HoldfastError(
    "ALREADY_EXISTS",
    "There is a database in this place already; an import needs an empty one. Name another, or remove what is there.",
  );
}

interface Readable {
  getReader(): ReadableStreamDefaultReader<Uint8Array>;
}

/** Refuses what is no stream, before anything is touched. */
export function checkSource(source: unknown): void {
  const isStream =
    typeof source === "object" &&
    source !== null &&
    (Symbol.asyncIterator in source || Symbol.iterator in source || "getReader" in source);
  if (isStream) return;
  throw refuseArgument(`Database.import takes a stream of bytes such as db.export() gives, got ${describe(source)}.`);
}

/** Walks any kind of stream. */
function piecesOf(source: ByteStream): AsyncIterator<unknown> | Iterator<unknown> {
  if (source instanceof Uint8Array) return [source].values();
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  if ("getReader" in source) return fromReader((source as Readable).getReader());
  return source[Symbol.iterator]();
}

/** Some browsers' streams cannot be walked by themselves. */
function fromReader(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncIterator<unknown> {
  return {
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}
