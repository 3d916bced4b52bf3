/**
 * The files of a log: those that are read back when a database is opened, and those that a checkpoint has taken the place of.
 */
import type { SegmentInfo, StorageSession } from "../adapters/storage.js";
import type { Environment } from "./environment.js";
import type { Log } from "./log.js";
import type { LogState } from "./log-state.js";

/** What is to be read: the newest checkpoint, and the segments from there on. */
export interface LogFiles {
  readonly checkpoint: SegmentInfo | undefined;
  readonly segments: readonly SegmentInfo[];
}

/** The files of a log while it is written to. */
export interface LogFilesInUse {
  readonly session: StorageSession;
  readonly writer: Log;
  readonly state: LogState;
  readonly environment: Environment;
}

/** So many files are removed at once. */
const REMOVALS_AT_ONCE = 32;

/** Lists what is to be read. An owner beside a reader may finish a checkpoint meanwhile: then it is looked at once more. */
export async function listFiles(session: StorageSession): Promise<LogFiles> {
  for (;;) {
    const checkpoint = (await session.checkpoints()).at(-1);
    const segments = await session.segments();
    const newest = (await session.checkpoints()).at(-1);
    if (newest?.number !== checkpoint?.number) continue;
    return { checkpoint, segments: segments.filter(({ number }) => number >= (checkpoint?.number ?? 0)) };
  }
}

/** Removes the segments and checkpoints that checkpoint `number`, which is durable, has taken the place of. */
export async function removeBefore(session: StorageSession, number: number): Promise<void> {
  // Some at once, so that a storage can share what makes it durable; not all, since the program waits for each.
  const remove = async (files: readonly SegmentInfo[], one: (number: number) => Promise<void>): Promise<void> => {
    const old = files.filter((file) => file.number < number);
    while (old.length > 0) await Promise.all(old.splice(0, REMOVALS_AT_ONCE).map((file) => one(file.number)));
  };
  await remove(await session.segments(), (old) => session.removeSegment(old));
  await remove(await session.checkpoints(), (old) => session.removeCheckpoint(old));
}
