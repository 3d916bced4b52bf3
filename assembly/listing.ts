/**
 * Collecting a range at a version that is held, whoever else is at work on the run: what listings, counts and traversals
 * have in common. Where the range stands and what becomes of the matches is the caller's business.
 */
import { STATUS_BUSY_LOCK } from "./constants";
import { refusal } from "./lock";
import { READS_MAX, readAbandon, readBegin, readHolds } from "./optimistic";
import { Run, runLock, runSequence, runUnlock } from "./run";
import { Range, scanCollect } from "./scan";
import { scratchCursors } from "./scratch";
import { Transaction } from "./transaction";

const SHARED: bool = ASC_FEATURE_THREADS;

/** Collects until nobody has come between, in the end under the run's lock; a status. */
export function collect(
  run: Run,
  tag: u32,
  at: u64,
  range: Range,
  transaction: Transaction | null,
  limit: u32,
  reverse: bool,
): u32 {
  const cursors = scratchCursors();
  if (!SHARED) return scanCollect(run, tag, at, range, transaction, cursors, limit, reverse);
  for (let attempt: u32 = 0; attempt < READS_MAX && readBegin(runSequence(run)); attempt++) {
    const status = scanCollect(run, tag, at, range, transaction, cursors, limit, reverse);
    if (readHolds()) return refusal(status);
  }
  readAbandon();
  if (!runLock(run)) return STATUS_BUSY_LOCK;
  const status = scanCollect(run, tag, at, range, transaction, cursors, limit, reverse);
  runUnlock(run);
  return refusal(status);
}
