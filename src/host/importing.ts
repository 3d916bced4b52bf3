/**
 * Importing: a stream that an export has given, into an empty place.
 *
 * What is imported is stored as the first checkpoint before it is served, so that it is there whole or not at all.
 *
 * Loaded only where something is imported.
 */
import type { StorageSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { untilAborted } from "./abort.js";
import { describe, refuseArgument } from "./arguments.js";
import { type ByteStream, endPieces, piecesOf } from "./byte-stream.js";
import { CheckpointStream, storeCheckpoint } from "./checkpoint.js";
import type { Core } from "./core.js";
import { type Environment, pause } from "./environment.js";
import type { CheckpointHeader } from "./log-format.js";
import { type LogState, logWithoutSegments, versionsUnseen } from "./log-state.js";
import type { RecoveryProgress } from "./recovery.js";
import { restoreCheckpoint } from "./restore.js";

/** Bytes after which timers and messages get their turn. */
const BREATH_BYTES = 16 * 1024 * 1024;
/** What a piece counts for at least: a stream without an end may have no bytes in it. */
const PIECE_BYTES_LEAST = 16 * 1024;

/** What an import needs beside the stream. */
interface ImportOptions {
  readonly databaseId: Uint8Array;
  readonly environment: Environment;
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the storage keeps anything. */
  readonly persistent: boolean;
}

/**
 * Fills an empty core from a stream, and stores what has come; where the log goes on, if anything is kept.
 * @throws HoldfastError `ALREADY_EXISTS` where there is something already: an import never mixes with it; what is wrong with the
 *   stream, and what the storage throws.
 */
export async function importInto(
  core: Core,
  session: StorageSession,
  source: ByteStream,
  options: ImportOptions,
): Promise<LogState | undefined> {
  if (!session.fresh) {
    throw new HoldfastError(
      "ALREADY_EXISTS",
      "There is a database in this place already; an import needs an empty one. Name another, or remove what is there.",
    );
  }
  const imported = pastLost(await importStream(core, source, options));
  core.versionRaise(imported.given);
  return options.persistent ? storeImport(core, session, imported, options) : undefined;
}

/**
 * An export does not tell what it was made of: where that had lost commits, as of a damaged log, their versions were given
 * all the same, and what somebody remembers of them must not come again (COMMIT 11).
 */
function pastLost(exported: CheckpointHeader): CheckpointHeader {
  return { ...exported, given: exported.given + versionsUnseen(1) };
}

/** Restores an export into an empty core; what it says of itself. */
async function importStream(core: Core, source: ByteStream, options: ImportOptions): Promise<CheckpointHeader> {
  const pieces = piecesOf(source);
  let rest: Uint8Array = new Uint8Array(0);
  let bytesDone = 0;
  let sinceBreath = 0;
  try {
    return await restoreCheckpoint(core, undefined, async (most) => {
      options.signal?.throwIfAborted();
      while (rest.length === 0) {
        const { done, value } = await nextOf(pieces, options.signal);
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
        await pause(options.environment);
        options.signal?.throwIfAborted();
      }
      const part = rest.subarray(0, most);
      rest = rest.subarray(part.length);
      return part;
    });
  } finally {
    endPieces(pieces);
  }
}

/** The next piece, which may never come. */
async function nextOf(
  pieces: AsyncIterator<unknown> | Iterator<unknown>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<unknown>> {
  if (signal === undefined) return pieces.next();
  return untilAborted(
    () => pieces.next(),
    signal,
    () => signal.reason,
  );
}

/** Stores what was imported as the first checkpoint of an empty storage; where its log goes on. */
async function storeImport(
  core: Core,
  session: StorageSession,
  imported: CheckpointHeader,
  options: ImportOptions,
): Promise<LogState> {
  const { databaseId, environment } = options;
  const header: CheckpointHeader = { ...imported, databaseId, number: 1, epoch: session.epoch, isExport: true };
  const stream = new CheckpointStream(core, header, core.runsAt(imported.version), environment);
  await storeCheckpoint(session, header.number, stream, environment);
  return logWithoutSegments(session, databaseId, header.number);
}
