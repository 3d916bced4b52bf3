/**
 * Worker slots: who is attached to this memory, and what each keeps for itself.
 *
 *   Worker (two cache lines; slot 0 belongs to the instance that formatted the memory)
 *      0  state, held, open                         others look at these often
 *     64  barrier, pool, contexts, …                only its own worker, or whoever buries it
 *         bound                                     written with each commit; others look at it now and then
 *
 * What it keeps true: a slot is attached by one instance at a time, and each attachment has an incarnation of its own, so
 * that a lock word names not only the slot but who was in it. Both stand in one word, and the incarnation rises as the slot is
 * given back: who saw somebody in it can tell whether that is who is there now. A slot is marked dead on evidence alone, never
 * after a time.
 * In the single build slot 0 is the only one, and its address is known when it is compiled.
 */
import { load32, swap32 } from "./atomics";
import {
  WORKER_ATTACHED,
  WORKER_DEAD,
  WORKER_FREE,
  WORKER_INCARNATION_SHIFT,
  WORKER_NONE,
  WORKER_RESERVED,
  WORKERS_MAX,
} from "./constants";
import { Superblock, superblock, WORKER_SLOT_BYTES, WORKER_SLOTS_BASE } from "./superblock";

const SHARED: bool = ASC_FEATURE_THREADS;

@unmanaged
export class Worker {
  // Line 0: others look at it.
  pad10: u64;
  /** Its incarnation and its state: WORKER_INCARNATION_SHIFT bits of that. */
  state: u32;
  /** Snapshots that it holds, transactions included, and how many of them stand outside of its own slots. */
  held: u32;
  heldElsewhere: u32;
  /** Transactions that are open in it. */
  open: u32;
  pad0: u32;
  pad11: u32;
  pad1: u64;
  pad2: u64;
  pad3: u64;
  pad4: u64;
  // Line 1: its own.
  /** Written to for the order that this brings, never read. */
  barrier: u32;
  pad12: u32;
  /** Transaction contexts that are kept for reuse, and how many of them keep their buffers. */
  pool: usize;
  poolCount: u32;
  /** All contexts that were ever made for the slot. */
  contexts: usize;
  pad5: u32;
  /** How many bounds were ever announced in this slot, whoever was in it. */
  announced: u64;
  pad7: u64;
  pad8: u64;
  pad9: u64;
  /**
   * While it commits without a log: no version from here on is known to be published; 0 otherwise (COMMIT 14). Each commit writes
   * it, and others look at it now and then; what they look at with each commit of theirs stands on the other line.
   */
  bound: u64;
}

/** What stands at the front of a transaction context, for those who look through the contexts of all workers. */
@unmanaged
export class Context {
  /** The next of all that were ever made for the same worker. */
  nextOwned: usize;
  /** Between workers: the run that its transaction was begun on before the run's first commit was published; 0 otherwise. */
  begunOn: usize;
}

/** The lock word's parts: who holds it, whether somebody waits, whether who waits comes next, and the holder's incarnation. */
export const LOCK_OWNER: u32 = 0xff;
export const LOCK_WAITED: u32 = 0x100;
export const LOCK_HANDOFF: u32 = 0x200;
const LOCK_INCARNATION_SHIFT: u32 = 10;
const STATE_MASK: u32 = (1 << WORKER_INCARNATION_SHIFT) - 1;

let own: usize = 0;
let token: u32 = 0;
let waits: bool = false;

/** The slot at an index. */
export function workerAt(index: u32): Worker {
  return changetype<Worker>(WORKER_SLOTS_BASE + (index as usize) * WORKER_SLOT_BYTES);
}

/** This instance's own slot. */
export function worker(): Worker {
  return changetype<Worker>(SHARED ? own : WORKER_SLOTS_BASE);
}

/** The index of this instance's slot. */
export function workerIndex(): u32 {
  return SHARED ? (((own - WORKER_SLOTS_BASE) / WORKER_SLOT_BYTES) as u32) : 0;
}

/** What stands in a lock word that this instance holds. */
export function lockToken(): u32 {
  return token;
}

/** What stands in one that the worker holds who is, or was, in a slot whose word is that. */
function tokenIn(index: u32, word: u32): u32 {
  return (index + 1) | ((word >> WORKER_INCARNATION_SHIFT) << LOCK_INCARNATION_SHIFT);
}

/** What stands in one that the worker in a slot holds. */
export function lockTokenOf(index: u32): u32 {
  return tokenIn(index, workerWord(index));
}

/**
 * What stands in one that the dead worker in a slot has held; 0 if nobody dead is in it. By one look at the slot: by two it may be
 * another worker's, who has come into it meanwhile and lives.
 */
export function lockTokenOfDead(index: u32): u32 {
  const word = workerWord(index);
  return stateIn(word) == WORKER_DEAD ? tokenIn(index, word) : 0;
}

/** Whether this instance may be put to sleep while it waits. */
export function mayWait(): bool {
  return waits;
}

function stateAddress(index: u32): usize {
  return changetype<usize>(workerAt(index)) + offsetof<Worker>("state");
}

/** What becomes of the slot at an index; whether it was in the state that the caller expects. */
export function workerMove(index: u32, from: u32, to: u32): bool {
  if (!SHARED) return true;
  const word = workerWord(index);
  if (stateIn(word) != from) return false;
  return workerMoveFrom(index, word, to);
}

/** The same where the slot's word is still what the caller has seen. */
export function workerMoveFrom(index: u32, word: u32, to: u32): bool {
  const next = to == WORKER_FREE ? (word | STATE_MASK) + 1 : (word & ~STATE_MASK) | to;
  return swap32(stateAddress(index), word, next) == word;
}

/** A slot's incarnation and state. */
export function workerWord(index: u32): u32 {
  return SHARED ? load32(stateAddress(index)) : 0;
}

/** The state in a slot's word. */
export function stateIn(word: u32): u32 {
  return word & STATE_MASK;
}

/** Keeps a slot for a worker to come; its index, or WORKER_NONE. */
export function workerReserve(): u32 {
  if (!SHARED) return WORKER_NONE;
  for (let index: u32 = 0; index < WORKERS_MAX; index++) {
    if (workerMove(index, WORKER_FREE, WORKER_RESERVED)) return index;
  }
  return WORKER_NONE;
}

/**
 * Takes a slot for this instance, the one at an index if its word is still what the caller has seen, or with WORKER_NONE any;
 * false if it cannot be had.
 */
export function workerEnter(wanted: u32, word: u32, canWait: bool): bool {
  if (!SHARED) return true;
  const index = wanted == WORKER_NONE ? workerReserve() : wanted;
  if (index >= WORKERS_MAX) return false;
  const seen = wanted == WORKER_NONE ? workerWord(index) : word;
  const state = stateIn(seen);
  if (state == WORKER_ATTACHED || state == WORKER_DEAD || !workerMoveFrom(index, seen, WORKER_ATTACHED)) return false;
  own = changetype<usize>(workerAt(index));
  token = lockTokenOf(index);
  waits = canWait;
  return true;
}

/** Lets others know that there is somebody in this instance's slot. */
export function workerSeen(): void {
  const seen = workerIndex() + 1;
  const high = changetype<usize>(superblock()) + offsetof<Superblock>("workersHigh");
  if (!SHARED) {
    store<u32>(high, 1);
    return;
  }
  for (let before = load32(high); before < seen; before = load32(high)) {
    if (swap32(high, before, seen) == before) return;
  }
}

/** Transactions that are open, over all workers. */
export function openOfAll(): u32 {
  if (!SHARED) return worker().open;
  let open: u32 = 0;
  for (let index: u32 = 0; index < superblock().workersHigh; index++) open += workerAt(index).open;
  return open;
}
