/**
 * Limits, statuses and tags: every number that the core and its host must agree on.
 *
 * `src/host/abi.ts` repeats this file for the host, and a test compares the two line by line. A change to a number that
 * stands in the log format (see docs/FORMAT.md) needs a new FORMAT_VERSION; a change to any other needs a new
 * ABI_VERSION.
 */

/** Raised whenever an export, a status or a structure that the host reads changes its meaning. */
export const ABI_VERSION: u32 = 1;
/** Raised whenever the bytes of a segment or a record change their meaning. */
export const FORMAT_VERSION: u32 = 1;

// Statuses. Every export that can fail returns one of these: as itself where it returns an integer or a pointer (no
// address is below STATUS_LIMIT), and negated where it returns a version.
export const STATUS_OK: u32 = 0;
/** There is no such key, run or version. */
export const STATUS_MISSING: u32 = 0;
/** Memory cannot grow as far as this needs; nothing has changed. */
export const STATUS_STORE_FULL: u32 = 1;
/** Something that the transaction has read is no longer so; nothing has changed. */
export const STATUS_CONFLICT: u32 = 2;
/** Like STATUS_CONFLICT, and the newer version is not yet published: the host makes it durable before it reports. */
export const STATUS_CONFLICT_PENDING: u32 = 3;
/** The commit stands behind one that is not yet published, and the storage cannot sync synchronously. */
export const STATUS_BUSY_PENDING: u32 = 4;
/** A lock could not be had in the time allowed. */
export const STATUS_BUSY_LOCK: u32 = 5;
/** Every snapshot slot is taken. */
export const STATUS_BUSY_SNAPSHOTS: u32 = 6;
/** The transaction handle is of an earlier generation. */
export const STATUS_TRANSACTION_CLOSED: u32 = 7;
export const STATUS_TRANSACTION_TOO_LARGE: u32 = 8;
/** The key is not at the version that the caller expected. The version it has is in the result area. */
export const STATUS_VERSION_MISMATCH: u32 = 9;
/** The run handle names an incarnation that is gone: resolve the name again. */
export const STATUS_RUN_STALE: u32 = 10;
/** Deferred commits would pass DEFERRED_BYTES_MAX: drain the queue, then call again. */
export const STATUS_DRAIN_FIRST: u32 = 11;
/** Nothing to do: the key to delete was not there. */
export const STATUS_NOTHING: u32 = 12;
/** The same, where the deletion that took it is not yet published: the host makes that durable before it tells. */
export const STATUS_NOTHING_PENDING: u32 = 18;
/** Bytes from outside are damaged. Where, is in the result area. */
export const STATUS_CORRUPTION: u32 = 13;
/** An argument is outside what the export takes. The host checks first, so this is a fault of the host. */
export const STATUS_INVALID_ARGUMENT: u32 = 14;
/** More bytes are needed to decide. */
export const STATUS_MORE: u32 = 15;
/** A transaction that may have read what was undone after a failed append. */
export const STATUS_UNDONE: u32 = 16;
/** A record whose checksums hold says what cannot be: not a torn tail but somebody's error. */
export const STATUS_DAMAGED: u32 = 17;
/** The value is too large to be copied without a lock: the host reads it at a version that it holds. */
export const STATUS_LARGE: u32 = 19;
/** The database was closed by its owner. */
export const STATUS_CLOSED: u32 = 20;
/** A worker died while it was changing the run, which must be rebuilt. */
export const STATUS_POISONED: u32 = 21;
/** Instead of a count of bytes or commits: another worker is in the middle of the log, and has been for too long. */
export const LOG_BUSY: u32 = 0xffffffff;
/** Statuses are below this, addresses are not. */
export const STATUS_LIMIT: u32 = 64;

// Limits of SPEC section 4.
export const KEY_BYTES_MAX: u32 = 1024;
export const RUN_ID_BYTES_MAX: u32 = 256;
export const VALUE_BYTES_MAX: u32 = 16777216;
export const TRANSACTION_BYTES_MAX: u32 = 33554432;
export const SNAPSHOT_SLOTS: u32 = 1024;
/** Beyond those: for operations that end within one call, so that no number of held snapshots refuses them. */
export const SNAPSHOT_SLOTS_RESERVED: u32 = 64;
/** Instances that one memory can have at a time. */
export const WORKERS_MAX: u32 = 64;
/** Instead of the index of a worker's slot: any, or none. */
export const WORKER_NONE: u32 = 0xffffffff;
/** The state of a slot: nobody's, kept for a worker to come, a worker's, or that of one that is known to be dead. */
export const WORKER_FREE: u32 = 0;
export const WORKER_RESERVED: u32 = 1;
export const WORKER_ATTACHED: u32 = 2;
export const WORKER_DEAD: u32 = 3;
/** A slot's word has its incarnation above its state; the incarnation rises each time that the slot is given back. */
export const WORKER_INCARNATION_SHIFT: u32 = 2;
/** Commits that are published before they are written wait in memory up to this many bytes of log. */
export const DEFERRED_BYTES_MAX: u32 = 1048576;
/** Transaction buffers that are kept for reuse. */
export const TRANSACTION_POOL_MAX: u32 = 8;
/** No version is given beyond this: 2^53 - 2, so that each is exact as a double. */
export const VERSION_MAX: u64 = 9007199254740990;
/** Versions skipped after an unclean open, so that one that was lost with the tail is never given again. */
export const VERSION_GAP_AFTER_CRASH: u64 = 1048576;

// Durability modes, as they stand in a record.
export const MODE_IN_MEMORY: u32 = 0;
export const MODE_BUFFERED: u32 = 1;
export const MODE_STRICT: u32 = 2;

// One table of a run for each primitive. The numbers stand in the log.
export const TABLE_KV: u32 = 0;
export const TABLE_EVENTS: u32 = 1;
export const TABLE_STATE: u32 = 2;
export const TABLE_TRACES: u32 = 3;
export const TABLE_GRAPH: u32 = 4;
export const TABLE_META: u32 = 5;
export const TABLE_COUNT: u32 = 16;
/**
 * Tables from here on are the indices of those before: their keys are grouped by what stands before the first zero byte, so
 * that one group is found without looking at the others. They hold nothing that a user would count.
 */
export const TABLE_INDEX_BASE: u32 = 8;

// What the core knows of a graph, to walk it: an edge stands in the index under each of its ends, the key's member being the
// edge's id, the other end's and the type. An id is a letter for how many digits it has, a the first, and those digits.
export const GRAPH_OUT: u32 = 111;
export const GRAPH_IN: u32 = 105;
/** Directions of a traversal: bits. */
export const TRAVERSE_OUT: u32 = 1;
export const TRAVERSE_IN: u32 = 2;
// A row of a traversal: a node, and the row that it was come upon from.
export const TRAVERSE_NODE_OFFSET: u32 = 0;
export const TRAVERSE_PARENT_OFFSET: u32 = 8;
export const TRAVERSE_ROW_BYTES: u32 = 16;
// What a traversal begins with: where its rows stand, which of them are the level under way, and the next of them to look at.
export const TRAVERSE_ROWS_OFFSET: u32 = 0;
export const TRAVERSE_LEVEL_OFFSET: u32 = 4;
export const TRAVERSE_END_OFFSET: u32 = 8;
export const TRAVERSE_NEXT_OFFSET: u32 = 12;

// What a storage can do, as the core needs to know it.
export const CAPABILITY_LOG: u32 = 1;
export const CAPABILITY_SYNC_APPEND: u32 = 2;
export const CAPABILITY_SYNC_FLUSH: u32 = 4;

// The segment header. All integers of the format are little-endian.
export const SEGMENT_MAGIC: u64 = 0x31545346444c4f48;
export const SEGMENT_MAGIC_OFFSET: u32 = 0;
export const SEGMENT_FORMAT_OFFSET: u32 = 8;
export const SEGMENT_HEADER_BYTES_OFFSET: u32 = 12;
export const SEGMENT_DATABASE_OFFSET: u32 = 16;
export const SEGMENT_NUMBER_OFFSET: u32 = 32;
export const SEGMENT_EPOCH_OFFSET: u32 = 40;
export const SEGMENT_FLAGS_OFFSET: u32 = 44;
export const SEGMENT_POSITION_OFFSET: u32 = 48;
export const SEGMENT_FIRST_VERSION_OFFSET: u32 = 56;
export const SEGMENT_SYNCED_END_OFFSET: u32 = 64;
export const SEGMENT_PREDECESSOR_OFFSET: u32 = 72;
export const SEGMENT_PREDECESSOR_END_OFFSET: u32 = 80;
export const SEGMENT_PREDECESSOR_CRC_OFFSET: u32 = 88;
export const SEGMENT_RESERVED_OFFSET: u32 = 92;
export const SEGMENT_CRC_OFFSET: u32 = 124;
export const SEGMENT_HEADER_BYTES: u32 = 128;

// The header of a checkpoint: what the segment header has up to the flags, and then its own.
export const CHECKPOINT_MAGIC: u64 = 0x31504b4344464c48;
export const CHECKPOINT_POSITION_OFFSET: u32 = 48;
export const CHECKPOINT_VERSION_OFFSET: u32 = 56;
export const CHECKPOINT_GIVEN_OFFSET: u32 = 64;
export const CHECKPOINT_COMMITS_OFFSET: u32 = 72;
export const CHECKPOINT_WRITTEN_OFFSET: u32 = 80;
export const CHECKPOINT_CHAIN_OFFSET: u32 = 88;
/** The flags of a checkpoint that stands for itself, without a log behind it. */
export const CHECKPOINT_EXPORT: u32 = 1;

// The record header.
export const RECORD_HEADER_CRC_OFFSET: u32 = 0;
export const RECORD_LENGTH_OFFSET: u32 = 4;
export const RECORD_VERSION_OFFSET: u32 = 8;
export const RECORD_POSITION_OFFSET: u32 = 16;
export const RECORD_WATERMARK_OFFSET: u32 = 24;
export const RECORD_EPOCH_OFFSET: u32 = 32;
export const RECORD_PREVIOUS_CRC_OFFSET: u32 = 36;
export const RECORD_KIND_OFFSET: u32 = 40;
export const RECORD_MODE_OFFSET: u32 = 41;
export const RECORD_RUN_BYTES_OFFSET: u32 = 42;
export const RECORD_OPERATIONS_OFFSET: u32 = 44;
export const RECORD_HEADER_BYTES: u32 = 48;
/** The checksum over the whole record stands in its last four bytes. */
export const RECORD_TRAILER_BYTES: u32 = 4;
/** The largest record: a transaction at its limit, with a run id and the overhead of its operations. */
export const RECORD_BYTES_MAX: u32 = 33555456;
/**
 * The longest record that a checkpoint is written with, unless it holds one entry only: what the value scratch has room for from
 * the beginning, so that reading it back needs no more memory than an empty store has.
 */
export const CHECKPOINT_RECORD_BYTES_MAX: u32 = 131040;

export const RECORD_COMMIT: u32 = 1;
export const RECORD_WATERMARK: u32 = 2;
/** In a checkpoint: entries of one run, each with its version. */
export const RECORD_RUN: u32 = 3;
/** In a checkpoint: its last record. */
export const RECORD_END: u32 = 4;
/** The mode byte of a watermark record that `close` wrote: the versions after it were never given. */
export const WATERMARK_CLOSED: u32 = 1;

// One operation of a record: kind, table, key bytes, value bytes; then the key and the value.
export const OPERATION_KIND_OFFSET: u32 = 0;
export const OPERATION_TABLE_OFFSET: u32 = 1;
export const OPERATION_KEY_BYTES_OFFSET: u32 = 2;
export const OPERATION_VALUE_BYTES_OFFSET: u32 = 4;
export const OPERATION_HEADER_BYTES: u32 = 8;
export const OPERATION_PUT: u32 = 1;
export const OPERATION_DELETE: u32 = 2;
/** The run as a whole: the only operation of its record, without table, key and value. */
export const OPERATION_DELETE_RUN: u32 = 3;
/** In a checkpoint: a value that stands, its version behind the header of the operation. */
export const OPERATION_HELD: u32 = 4;
export const OPERATION_VERSION_BYTES: u32 = 8;

// A version record in memory: the host reads the value straight from here.
export const VERSION_NUMBER_OFFSET: u32 = 0;
export const VERSION_PREVIOUS_OFFSET: u32 = 8;
export const VERSION_LENGTH_OFFSET: u32 = 12;
/** The length of a record that says: deleted. */
export const TOMBSTONE: u32 = 0xffffffff;
export const VERSION_HEADER_BYTES: u32 = 16;

// An entry in memory: the host reads keys of a listing straight from here.
export const ENTRY_HEAD_OFFSET: u32 = 4;
export const ENTRY_KEY_BYTES_OFFSET: u32 = 12;
export const ENTRY_FLAGS_OFFSET: u32 = 14;
/** The host finds the entry by itself; only where memory is not shared. */
export const ENTRY_KNOWN: u32 = 0x200;
export const ENTRY_HEADER_BYTES: u32 = 16;

// Instead of the slot of a snapshot: every slot is taken; the run's handle is stale.
export const SLOT_NONE: u32 = 0xffffffff;
export const SLOT_RUN_STALE: u32 = 0xfffffffe;

// What each instance owns: a key and bounds, results, and a value that can move when it must grow.
export const SCRATCH_KEY_BYTES: u32 = 4096;
export const SCRATCH_BOUNDS_BYTES: u32 = 16384;
export const SCRATCH_RESULT_BYTES: u32 = 64;
export const SCRATCH_VALUE_BYTES_MIN: u32 = 65536;

// Counters of the whole database.
/** D: the newest version at or below which everything is published. */
export const COUNTER_HORIZON: u32 = 0;
/** Live entries over all runs. */
export const COUNTER_ENTRIES: u32 = 1;
/** Commits since the memory was formatted, recovered ones included. */
export const COUNTER_COMMITS: u32 = 2;
/** The lowest version that a snapshot or a transaction holds; 0 where none does. */
export const COUNTER_OLDEST_HELD: u32 = 3;
/** Runs that are there. */
export const COUNTER_RUNS: u32 = 4;
/** Bytes of the heap that no extent is using. */
export const COUNTER_FREE_BYTES: u32 = 5;
/** The checksum that the next record of the log carries. */
export const COUNTER_LOG_CHAIN: u32 = 6;

// How a transaction begins.
/** At what is installed, its outcome withheld, instead of at what is published. */
export const BEGIN_INSTALLED: u32 = 1;
/** As the step of one operation, which ends within the call that began it. */
export const BEGIN_STEP: u32 = 2;

// What stands in the result area after a step of writing a checkpoint: whether the run has more.
export const STEP_MORE: u32 = 0;
export const STEP_DONE: u32 = 1;
/** The next entry does not fit behind what was written; a record of its own needs the bytes that stand behind this. */
export const STEP_ROOM: u32 = 2;
/** Memory cannot grow as far as the step needs. */
export const STEP_FULL: u32 = 3;
/** A worker died while it was changing the run: nobody can say what is in it. */
export const STEP_LOST: u32 = 4;
/** Another worker has been in the middle of the run for too long: nothing was written, and the step can be made again. */
export const STEP_BUSY: u32 = 5;
export const STEP_NEEDS_OFFSET: u32 = 4;

// What the workers of a shared memory know together of the log, from logPlaceAddress on.
export const LOG_PLACE_POSITION_OFFSET: u32 = 0;
export const LOG_PLACE_SEGMENT_OFFSET: u32 = 8;
export const LOG_PLACE_FAILED_OFFSET: u32 = 12;
export const LOG_PLACE_SYNCS_OFFSET: u32 = 16;
export const LOG_PLACE_PLAN_OFFSET: u32 = 32;

/** The database is being closed where it was opened: nothing more is installed; what is installed is written and synced. */
export const CLOSED_TO_WRITES: u32 = 1;
/** It has given the storage up: nobody touches that any more. */
export const CLOSED_WHOLLY: u32 = 2;

// What stands in the result area after a transaction has begun, behind the version that it started at.
export const BEGUN_DEPENDS_OFFSET: u32 = 8;
export const BEGUN_GENERATION_OFFSET: u32 = 16;
