/**
 * The fixed memory map: what stands below HEAP_BASE, and the counters of the database.
 *
 *      0  nothing: a null pointer and every status are below the first address
 *   1024  Superblock          counters, each contended one on a cache line of its own
 *         buddy lists         the first free extent of each order
 *         snapshot bitmap     one bit for each slot in use
 *         snapshot slots      SNAPSHOT_SLOTS_ALL words, see snapshots.ts
 *         worker slots        two lines for each instance, see workers.ts
 *         checksum tables     8 × 256 words, computed when the memory is formatted
 *         system arena        run headers, the run directory and transaction contexts live in it
 *  65536  HEAP_BASE           extents of the buddy allocator, up to Superblock.heapEnd
 *
 * The compiler is told to keep everything below HEAP_BASE free (`memoryBase`), and the release modules have no static
 * data at all, so that instantiating one over a memory that is in use changes nothing in it.
 */
import { SNAPSHOT_SLOTS, SNAPSHOT_SLOTS_RESERVED, WORKERS_MAX } from "./constants";

export const CACHE_LINE_BYTES: usize = 64;

/** "HOLDFAST" in ASCII: the memory has been formatted. */
export const SUPERBLOCK_MAGIC: u64 = 0x545341_46444c4f48;

export const BUDDY_ORDER_MIN: u32 = 10;
export const BUDDY_ORDER_MAX: u32 = 26;
export const BUDDY_ORDERS: u32 = BUDDY_ORDER_MAX - BUDDY_ORDER_MIN + 1;

export const SUPERBLOCK_BASE: usize = 1024;
export const SUPERBLOCK_BYTES: usize = 1024;
export const BUDDY_LISTS_BASE: usize = SUPERBLOCK_BASE + SUPERBLOCK_BYTES;
export const BUDDY_LISTS_BYTES: usize = 128;
export const SNAPSHOT_BITMAP_BASE: usize = BUDDY_LISTS_BASE + BUDDY_LISTS_BYTES;
/** Every slot, with those in reserve. */
export const SNAPSHOT_SLOTS_ALL: u32 = SNAPSHOT_SLOTS + SNAPSHOT_SLOTS_RESERVED;
/** Whole cache lines, so that what comes behind begins one. */
export const SNAPSHOT_BITMAP_BYTES: usize = ((SNAPSHOT_SLOTS_ALL / 8 + 63) & ~63) as usize;
export const SNAPSHOT_SLOTS_BASE: usize = SNAPSHOT_BITMAP_BASE + SNAPSHOT_BITMAP_BYTES;
export const SNAPSHOT_SLOTS_BYTES: usize = SNAPSHOT_SLOTS_ALL * 8;
export const WORKER_SLOTS_BASE: usize = SNAPSHOT_SLOTS_BASE + SNAPSHOT_SLOTS_BYTES;
export const WORKER_SLOT_BYTES: usize = 2 * CACHE_LINE_BYTES;
export const WORKER_SLOTS_BYTES: usize = (WORKERS_MAX as usize) * WORKER_SLOT_BYTES;
export const CHECKSUM_TABLES_BASE: usize = WORKER_SLOTS_BASE + WORKER_SLOTS_BYTES;
export const CHECKSUM_TABLES_BYTES: usize = 8 * 256 * 4;
export const SYSTEM_ARENA_BASE: usize = CHECKSUM_TABLES_BASE + CHECKSUM_TABLES_BYTES;
export const SYSTEM_ARENA_BYTES: usize = 1024;
export const MAP_END: usize = SYSTEM_ARENA_BASE + SYSTEM_ARENA_BYTES;
/** Equal to `memoryBase` in asconfig.json and aligned to the page size of linear memory. */
export const HEAP_BASE: usize = 65536;

/**
 * The counters of the database. Fields that different workers change often are on lines of their own.
 */
@unmanaged
export class Superblock {
  // Line 0: set when the memory is formatted, then only read.
  magic: u64;
  abiVersion: u32;
  /** CAPABILITY_* of the storage. */
  capabilities: u32;
  /** Secret; keys are hashed with it. */
  seed: u64;
  /** No extent reaches beyond this address. */
  memoryLimit: usize;
  /** The largest record that the storage can keep. */
  recordBytesMax: u32;
  /** The address of the table of runs. */
  directory: usize;
  /** The first run header ever made; headers are linked and never freed. */
  firstRun: usize;
  pad1: u64;
  pad20: u64;
  /** CLOSED_…; 0 while the database is open where it was opened. */
  closed: u32;
  pad17: u32;

  // Line 1: the allocator.
  allocatorLock: u32;
  /** The first address that is not part of the heap. */
  heapEnd: usize;
  /** One bit for each order that has a free extent. */
  freeOrders: u32;
  heapFreeBytes: u32;
  /** Growths from which on all are refused, counted down to 1; 0 = never. For tests. */
  refuseGrowthIn: u32;
  /** Set where an entry goes that the host finds by itself, and read and cleared by the host. */
  knownGone: u32;
  pad2: u64;
  pad3: u64;
  pad4: u64;
  pad5: u64;
  pad6: u64;

  // Line 2: the version counter, and where there is no log nothing else that a commit shares.
  version: u64;
  pad7: u64;
  pad8: u64;
  pad9: u64;
  pad10: u64;
  pad11: u64;
  pad12: u64;
  pad13: u64;

  // Line 3: what pruning and snapshots meet over.
  /** What pruners have gone by: raised by each before it looks at the snapshots (COMMIT 13, acquire.ts). */
  floor: u64;
  /** One more than the highest worker slot that was ever attached: nobody need look further. */
  workersHigh: u32;
  runCount: u32;
  directoryLock: u32;
  freeRun: usize;
  runsLive: u32;
  pad14: u32;
  pad15: u64;
  pad16: u64;
  pad18: u64;
  pad19: u64;

  // Line 4 and 5: the log queue.
  logLock: u32;
  queueItems: usize;
  queueCapacity: u32;
  /** Sequence numbers, never wrapping in practice: released ≤ publishedTo, released ≤ written ≤ tail. */
  queueReleased: u32;
  queuePublishedTo: u32;
  queueWritten: u32;
  queueSealed: u32;
  queueTail: u32;
  queueUnpublished: u32;
  /** Bytes of published records that are not yet written. */
  queueDeferredBytes: u32;
  /** Bytes of records that are queued and neither written nor undone. */
  queueUnwrittenBytes: u32;
  queueChunkFirst: usize;
  queueChunkLast: usize;
  queueChunkSpare: usize;
  /** The contiguous bytes that the drainer is to write. */
  drainPointer: usize;
  drainBytes: u32;

  // Line 6 and 7: the log.
  /** Log position of the next record to be written; counts record bytes only. */
  logPosition: u64;
  /** Everything below this position is durable. */
  logWatermark: u64;
  logEpoch: u32;
  /** Checksum of the last record that was sealed for good, or of the segment header. */
  logChain: u32;
  /** The highest version that was written. */
  logWrittenVersion: u64;
  /** The first version of the queue that is not published; VERSION_MAX where all are. */
  unpublishedFrom: u64;
  sealedPosition: u64;
  sealedChain: u32;
  publishPass: u32;
  /** The lowest version that has ever been undone, per call of undo; asynchronous transactions compare. */
  undoneGeneration: u32;
  /** Extents that were given back while the allocator could not be had: a stack. */
  freedLater: usize;
  /** How often the directory was made anew behind a dead worker. */
  directoriesLost: u32;

  /** What `verify` found first: an invariant's number, and where. */
  faultCode: u32;
  faultAddress: u32;
  /** Entries moved by the last put, and the most by any: the bound on the longest put is a count, not a time. */
  movedMax: u32;
  undoneCommits: u32;
  /** Deleted runs that a snapshot may still see: a queue. */
  retiredRuns: usize;
  retiredLast: usize;
  /** Commits of runs that are gone, and those that a checkpoint has taken the place of. */
  commitsForgotten: u64;
  /** While a log is read back: what a checkpoint has brought is of this version or older. */
  restoredVersion: u64;

  // Between workers: whose turn it is to write to the storage, whose to sync it, and what the next one must know.
  /** Where the segment that is written to begins. */
  logSegmentPosition: u64;
  logSegment: u32;
  /** Set once a write or a sync has failed in any worker: nothing is ever written again. */
  logFailed: u32;
  logSyncs: u32;
  drainLock: u32;
  syncLock: u32;
  /** Set while commits are undone: no place in the queue is given. */
  undoing: u32;
  /** The segment that is being made, 0 between two: where it begins, its header's checksum, and its epoch. */
  planSegment: u32;
  planChain: u32;
  planPosition: u64;
  planEpoch: u32;
  /** Runs whose deletion was just published: a stack, until somebody with the directory's lock takes them over. */
  retiredNew: usize;
  /** The item that is being published, 0 between two; and what its run counted before. */
  publishing: usize;
  publishingLive: u32;
  publishingLiveKv: u32;
  /** Set where somebody has died while he published a deletion: the lists of headers are to be made anew. */
  headersTorn: u32;
  /** While a log is read back for one run alone (healing.ts): an entry whose key is its name; 0 otherwise. */
  onlyRun: usize;
  /** Set once a worker has died in the middle of changing the queue: nobody can say what is whole in it, and nobody looks. */
  queueLost: u32;
}

/** The one superblock of this memory. */
export function superblock(): Superblock {
  return changetype<Superblock>(SUPERBLOCK_BASE);
}

/**
 * Makes this instance know memory that another one has grown. An engine tells an instance late of that, and until then atomic
 * accesses to it, and copies, trap there.
 */
export function noticeGrowth(): void {
  if ((memory.size() as u64) << 16 < (superblock().heapEnd as u64)) memory.grow(0);
}
