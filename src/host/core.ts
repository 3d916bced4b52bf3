/**
 * The only file that knows there is a memory: views over it, the scratch that arguments and results go through, and every
 * export behind one guard. What only some ask of it is in files beside this one: core-scan.ts, core-graph.ts, core-reading.ts,
 * core-checkpoint.ts, core-shared-log.ts and core-workers.ts.
 *
 * What it keeps true:
 *  - views are renewed after every call that may have grown the memory (an old one has length 0, and what is written to it
 *    vanishes; over a shared memory it has the old length);
 *  - if an export ever traps, the instance is poisoned: every later call throws `STORE_FAILED`;
 *  - a status becomes an error in one place, {@link statusError}.
 */
import { HoldfastError } from "../errors.js";
import * as abi from "./abi.js";
import type { Value } from "./codec.js";
import { decodeText, decodeValue, type Scratch } from "./codec.js";
import type { CoreExports } from "./core-instance.js";

/** A run as the core knows it: the address of its header and the incarnation that the address was taken for. */
export interface RunHandle {
  pointer: number;
  generation: number;
}

/** A run as a checkpoint finds it: its header's address, and the version that it is at. */
export interface HeldRun {
  readonly pointer: number;
  readonly version: number;
}

/** Counters of what is in memory; see {@link Core.use}. */
export interface CoreUse {
  readonly extentBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly deadBytes: number;
  readonly snapshotsHeld: number;
  readonly transactionsOpen: number;
  readonly transactionsPooled: number;
}

/** A worker's slot as it was seen. */
export interface WorkerSlot {
  /** Which of those who have ever been in the slot. */
  readonly incarnation: number;
  /** One of the `WORKER_…` states. */
  readonly state: number;
  /** Both, as the core has them. */
  readonly word: number;
}

/** A slot and what was seen in it. */
export interface WorkerPlace {
  readonly worker: number;
  readonly seen: WorkerSlot;
}

/** Told where a lock could not be had: its holder may be dead, and there may be evidence of that. */
export const whenBusy = new Set<() => void>();

/** Turns a status of the core into the error that the caller gets. */
export function statusError(status: number, what = "The call"): HoldfastError {
  switch (status) {
    case abi.STATUS_STORE_FULL:
      return new HoldfastError(
        "STORE_FULL",
        `${what} needs more memory than the database may have; nothing has changed. Open it with a larger maxBytes, delete what is no longer needed, or let go of snapshots.`,
      );
    case abi.STATUS_CONFLICT:
    case abi.STATUS_CONFLICT_PENDING:
      return new HoldfastError(
        "CONFLICT",
        "Something that the transaction has read was changed by another commit; nothing has changed. Run it again, or pass retry.",
      );
    case abi.STATUS_BUSY_PENDING:
      return new HoldfastError(
        "BUSY",
        "A commit of this run is still on its way to a storage that cannot sync synchronously; nothing has changed. Await it or db.flush(), or use transactionAsync.",
      );
    case abi.STATUS_BUSY_LOCK:
      for (const tell of whenBusy) tell();
      return new HoldfastError(
        "BUSY",
        `${what} waited too long for another worker, which is in the middle of something; nothing has changed. Try again; if that worker is dead, db.detach(its id) says so.`,
      );
    case abi.STATUS_CLOSED:
      return new HoldfastError("CLOSED", "The database was closed by its owner; nothing has changed.");
    case abi.STATUS_POISONED:
      return new HoldfastError(
        "CORRUPTION",
        `A worker died while it was changing ${what}, and nobody can say what is in it. Where there is a log, rebuild it with db.recoverRun(id); otherwise remove it with db.deleteRun(id).`,
      );
    case abi.STATUS_BUSY_SNAPSHOTS:
      return new HoldfastError(
        "BUSY",
        `Snapshots and transactions hold ${abi.SNAPSHOT_SLOTS} different versions, the most there can be. Dispose of some, or let some end.`,
        { details: { limit: abi.SNAPSHOT_SLOTS } },
      );
    case abi.STATUS_TRANSACTION_CLOSED:
      return new HoldfastError("TRANSACTION_CLOSED", "The transaction has ended. Begin a new one.");
    case abi.STATUS_TRANSACTION_TOO_LARGE:
      return new HoldfastError(
        "TRANSACTION_TOO_LARGE",
        `The transaction's writes exceed ${abi.TRANSACTION_BYTES_MAX} bytes, or what its storage keeps in one record; nothing has changed. Split it.`,
        { details: { limit: abi.TRANSACTION_BYTES_MAX } },
      );
    case abi.STATUS_DAMAGED:
      return new HoldfastError(
        "CORRUPTION",
        `${what} came upon what cannot be: it was damaged, or written by something else. graph.verify() lists what is wrong, and graph.rebuild() makes the index anew.`,
      );
    case abi.STATUS_UNDONE:
      return new HoldfastError(
        "STORAGE_FULL",
        "The storage had no room for a commit that this transaction may have read; both are undone. Make room, then run it again.",
      );
    default:
      return new HoldfastError("STORE_FAILED", `${what} failed in the core (status ${status}). Reopen the database.`, {
        details: { status },
      });
  }
}

/** One instance of the core over one memory. */
export class Core implements Scratch {
  bytes: Uint8Array;
  view: DataView;
  readonly keyOffset: number;
  readonly #bounds: number;
  readonly #result: number;
  /** Where counters stand that are read after every commit. */
  readonly #versionAddress: number;
  readonly #drainPointerAddress: number;
  readonly #unpublishedAddress: number;
  readonly #heapEndAddress: number;
  readonly #knownGoneAddress: number;
  #knownEpoch = 0;
  /** Where the shared log is known; core-shared-log.ts. @internal */
  readonly logPlaceAddress: number;
  /** @internal */
  readonly closedAddress: number;
  valueOffset: number;
  valueCapacity: number;
  readonly shared: boolean;
  readonly #memory: WebAssembly.Memory;
  readonly #exports: CoreExports;
  /** The same, with their parameters: for the calls on the path of a single operation. */
  readonly #hot: HotExports;
  #trap: unknown;

  /** The slot of this instance among those that share the memory. */
  readonly worker: number;

  /** Over a memory in which the instance has a slot: {@link Core.format}, or `attach` of core-workers.ts. @internal */
  constructor(exports: CoreExports, memory: WebAssembly.Memory, shared: boolean) {
    this.#exports = exports;
    this.#hot = exports as unknown as HotExports;
    this.#memory = memory;
    this.shared = shared;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.#heapEndAddress = shared ? (exports["heapEndAddress"] as () => number)() >>> 0 : 0;
    this.logPlaceAddress = shared ? (exports["logPlaceAddress"] as () => number)() >>> 0 : 0;
    this.closedAddress = shared ? (exports["closedAddress"] as () => number)() >>> 0 : 0;
    this.renew();
    this.keyOffset = this.call("scratchKey") >>> 0;
    this.#bounds = this.call("scratchBounds") >>> 0;
    this.#result = this.call("scratchResult") >>> 0;
    this.worker = this.resultAt(0);
    this.#versionAddress = this.call("versionAddress") >>> 0;
    this.#drainPointerAddress = this.call("drainPointerAddress") >>> 0;
    this.#unpublishedAddress = this.call("unpublishedAddress") >>> 0;
    this.#knownGoneAddress = this.call("knownGoneAddress") >>> 0;
    this.valueOffset = this.call("scratchValue") >>> 0;
    this.valueCapacity = this.call("scratchValueBytes") >>> 0;
  }

  /** Formats a fresh memory as an empty database and attaches to it. */
  static format(
    exports: CoreExports,
    memory: WebAssembly.Memory,
    shared: boolean,
    options: {
      readonly maxBytes: number;
      readonly seed: Uint32Array;
      readonly capabilities: number;
      readonly recordBytesMax: number;
      /** Whether this thread may be put to sleep. */
      readonly canWait: boolean;
    },
  ): Core {
    const { seed } = options;
    assertInterface(exports);
    const format = exports["format"] as (...numbers: number[]) => number;
    let status = format(options.maxBytes, seed[0] ?? 0, seed[1] ?? 0, options.capabilities, options.recordBytesMax);
    if (status === abi.STATUS_OK) status = enter(exports, undefined, shared && options.canWait);
    if (status !== abi.STATUS_OK) throw statusError(status, "Opening");
    return new Core(exports, memory, shared);
  }

  /** Whether any other worker is attached. */
  get hasOthers(): boolean {
    for (let worker = 0; worker < abi.WORKERS_MAX; worker++) {
      if (worker !== this.worker && this.workerIn(worker).state === abi.WORKER_ATTACHED) return true;
    }
    return false;
  }

  /** Who is in a slot, as far as anybody. */
  workerIn(worker: number): WorkerSlot {
    return slotOf(this.call("workerSlot", worker) >>> 0);
  }

  /** Gives this instance's slot back. It is not used afterwards. */
  leave(): void {
    this.call("workerBury", this.worker, this.workerIn(this.worker).word);
  }

  /** Renews the views if memory has grown since they were made. */
  renew(): void {
    if (this.shared) {
      if (this.view.getUint32(this.#heapEndAddress, true) <= this.bytes.length) return;
    } else if (this.bytes.length !== 0) {
      return;
    }
    let { buffer } = this.#memory;
    // An engine may tell an instance late that another worker has grown the memory; who grows it by nothing is told at once.
    if (this.shared && buffer.byteLength < this.view.getUint32(this.#heapEndAddress, true)) {
      this.#memory.grow(0);
      buffer = this.#memory.buffer;
    }
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Poisons the instance and returns the error that says so. */
  #trapped(cause: unknown): HoldfastError {
    this.#trap = cause;
    this.#knownEpoch++;
    return new HoldfastError(
      "STORE_FAILED",
      "The core has trapped and is not used again; what was acknowledged as durable is safe. Close the database and open it anew.",
      { cause },
    );
  }

  /** Whether no export has trapped. Afterwards there is nothing left in it to let go of. */
  get isSound(): boolean {
    return this.#trap === undefined;
  }

  #assertSound(): void {
    if (this.#trap !== undefined) throw this.#trapped(this.#trap);
  }

  /** Calls an export by name: for everything that is not on the path of a single operation. @internal */
  call(name: string, ...numbers: number[]): number {
    this.#assertSound();
    const call = this.#exports[name];
    if (call === undefined) throw new HoldfastError("UNSUPPORTED", `This build of the core has no ${name}.`);
    try {
      const result = call(...numbers);
      this.renew();
      return result;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  /** {@inheritDoc Scratch.reserveValue} */
  reserveValue(byteLength: number): void {
    const status = this.call("scratchReserve", byteLength);
    if (status !== abi.STATUS_OK) throw statusError(status, "The value");
    this.valueOffset = this.call("scratchValue") >>> 0;
    this.valueCapacity = this.call("scratchValueBytes") >>> 0;
    this.renew();
  }

  // Results.

  /** A number at an offset in the result area. @internal */
  resultAt(offset: number): number {
    return this.view.getUint32(this.#result + offset, true);
  }

  /** The value of a version record that the core returned. */
  value(pointer: number): Value {
    this.renew();
    return decodeValue(
      this,
      pointer + abi.VERSION_HEADER_BYTES,
      this.view.getUint32(pointer + abi.VERSION_LENGTH_OFFSET, true),
    );
  }

  /** The version of a version record, 0 where a transaction has written it and not yet committed. */
  versionOf(pointer: number): number {
    this.renew();
    return this.u64At(pointer + abi.VERSION_NUMBER_OFFSET);
  }

  /** Reads an integer that is exact as a double. @internal */
  u64At(address: number): number {
    return this.view.getUint32(address, true) + this.view.getUint32(address + 4, true) * 4294967296;
  }

  /** The version in the result area: of a snapshot, or the actual one after a mismatch. */
  resultVersion(): number {
    this.renew();
    return this.view.getFloat64(this.#result, true);
  }

  /** The newest version that any commit was given. */
  version(): number {
    this.renew();
    return this.u64At(this.#versionAddress);
  }

  // Runs.

  /** The run whose id was encoded as a key of `nameBytes` bytes; pointer 0 if there is none. */
  resolveRun(nameBytes: number): RunHandle {
    const pointer = this.call("runResolve", nameBytes) >>> 0;
    if (pointer !== 0 && pointer < abi.STATUS_LIMIT) throw this.#namedError(pointer, nameBytes);
    return this.#found(pointer);
  }

  /** The same, made if it is not there. */
  createRun(nameBytes: number): RunHandle {
    const pointer = this.call("runCreate", nameBytes) >>> 0;
    if (pointer < abi.STATUS_LIMIT) throw this.#namedError(pointer, nameBytes);
    return this.#found(pointer);
  }

  /** The incarnation of a run that a version sees, whose id was encoded as a key; pointer 0 if there was none. */
  resolveRunAt(nameBytes: number, version: number): RunHandle {
    const pointer = this.call("runResolveAt", nameBytes, version) >>> 0;
    if (pointer !== 0 && pointer < abi.STATUS_LIMIT) throw this.#namedError(pointer, nameBytes);
    return this.#found(pointer);
  }

  /** A run that was just looked up: which incarnation that was stands in the result area. */
  #found(pointer: number): RunHandle {
    return { pointer, generation: pointer === 0 ? 0 : this.resultAt(0) };
  }

  /** The error for a status of the run whose id was encoded as a key. */
  #namedError(status: number, nameBytes: number): HoldfastError {
    if (status !== abi.STATUS_POISONED) return statusError(status, "The run");
    return poisoned(decodeText(this, this.keyOffset, nameBytes));
  }

  /** The error for a status that something on a run was refused with. Overwrites the key in scratch. */
  runError(status: number, pointer: number, what: string): HoldfastError {
    if (status !== abi.STATUS_POISONED) return statusError(status, what);
    return poisoned(this.#runId(pointer) ?? "");
  }

  /** The id of a run; undefined where it is gone. */
  #runId(pointer: number): string | undefined {
    const name = this.call("runName", pointer) >>> 0;
    if (name === 0) return undefined;
    if (name < abi.STATUS_LIMIT) throw statusError(name, "The index of runs");
    const nameBytes = this.view.getUint16(name + abi.ENTRY_KEY_BYTES_OFFSET, true);
    return decodeText(this, name + abi.ENTRY_HEADER_BYTES, nameBytes);
  }

  /** The ids of the runs that have something at a version, −1 for what is published; in no order. */
  runIds(version: number): string[] {
    const ids: string[] = [];
    for (let run = this.call("runNext", 0, version) >>> 0; run !== 0; run = this.call("runNext", run, version) >>> 0) {
      const id = this.#runId(run);
      // Otherwise it was deleted by another worker meanwhile.
      if (id !== undefined) ids.push(id);
    }
    return ids;
  }

  /** Commits the deletion of a run as a whole; the version, or a status negated. */
  deleteRun(run: RunHandle, mode: number): number {
    return this.call("runDelete", run.pointer, run.generation, mode);
  }

  /**
   * Commits the deletion of a poisoned run whose id was encoded as a key; the version, or a status negated: 0 where it is gone
   * without a commit. Of which run is {@link Core.besideResult} then.
   */
  banishRun(nameBytes: number, mode: number): number {
    return this.call("runBanish", nameBytes, mode);
  }

  /** The run that stands in the result area. */
  besideResult(): RunHandle {
    this.renew();
    return {
      pointer: this.resultAt(0),
      generation: this.resultAt(4),
    };
  }

  /** One of the steps in which a run is rebuilt (healing.ts); a status. */
  heal(step: "Only" | "Begin" | "Records" | "End", ...numbers: number[]): number {
    return this.call(`heal${step}`, ...numbers);
  }

  /** Takes a run that nobody has written to away again. */
  discardRun(run: RunHandle): void {
    if (run.pointer !== 0) this.call("runDiscard", run.pointer, run.generation);
  }

  /** The newest published version of a run; 0 where it has none or its handle is stale. */
  runVisible(run: RunHandle): number {
    return run.pointer === 0 ? 0 : Math.max(0, this.call("runVisible", run.pointer, run.generation));
  }

  /** Whether readers see a version of a run: also where the run was deleted since, which comes after all of its commits. */
  isPublished(run: RunHandle, version: number): boolean {
    const visible = this.call("runVisible", run.pointer, run.generation);
    return visible < 0 || visible >= version;
  }

  /** Live entries of a run, of all primitives or of its key-values. */
  runCount(run: RunHandle, onlyKv: boolean): number {
    return run.pointer === 0 ? 0 : Math.max(0, this.call("runCount", run.pointer, run.generation, onlyKv ? 1 : 0));
  }

  /** How many commits of a run are installed and not yet published. */
  runUnpublished(run: RunHandle): number {
    return run.pointer === 0 ? 0 : this.call("runUnpublished", run.pointer, run.generation);
  }

  // Single operations: written out, so that each is one call that the engine can inline.

  /** The published value of the key in scratch, as a version record; a status below STATUS_LIMIT. */
  get(pointer: number, generation: number, table: number, keyBytes: number): number {
    this.#assertSound();
    try {
      return this.#hot.get(pointer, generation, table, keyBytes) >>> 0;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  /**
   * The entry of the key in scratch, which the last read has found and which is marked now, so that {@link Core.knownEpoch} rises
   * before its memory is anything else.
   */
  keyKnown(pointer: number, table: number, keyBytes: number): number {
    return this.call("keyKnown", pointer, table, keyBytes) >>> 0;
  }

  /** No more of that for an entry. */
  keyForgotten(entry: number): void {
    const address = entry + abi.ENTRY_FLAGS_OFFSET;
    this.view.setUint16(address, this.view.getUint16(address, true) & ~abi.ENTRY_KNOWN, true);
  }

  /** Rises where a marked entry goes, and where the core traps: addresses of entries from before mean nothing. */
  get knownEpoch(): number {
    const { view } = this;
    if (view.getUint32(this.#knownGoneAddress, true) !== 0) {
      view.setUint32(this.#knownGoneAddress, 0, true);
      this.#knownEpoch++;
    }
    return this.#knownEpoch;
  }

  /** The value at a held version. */
  getAt(pointer: number, generation: number, table: number, keyBytes: number, version: number): number {
    this.#assertSound();
    try {
      return this.#hot.getAt(pointer, generation, table, keyBytes, version) >>> 0;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  /** Commits a put of key and value in scratch; the version, or a status negated. */
  put(
    pointer: number,
    generation: number,
    table: number,
    keyBytes: number,
    valueBytes: number,
    mode: number,
    expected: number,
  ): number {
    this.#assertSound();
    try {
      const version = this.#hot.put(pointer, generation, table, keyBytes, valueBytes, mode, expected);
      this.renew();
      return version;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  /** Commits a deletion of the key in scratch; the version, or a status negated. */
  remove(run: RunHandle, table: number, keyBytes: number, mode: number, expected: number): number {
    return this.call("remove", run.pointer, run.generation, table, keyBytes, mode, expected);
  }

  // Listings.

  /** Where the bounds of a listing are encoded, one behind the other. */
  get boundsOffset(): number {
    return this.#bounds;
  }

  // Snapshots.

  /**
   * Holds what is published now, of a run or with pointer 0 of the whole database; the slot, or SLOT_RUN_STALE. Throws
   * `BUSY`.
   */
  takeSnapshot(pointer: number, generation: number, reserved: boolean): number {
    this.#assertSound();
    let slot: number;
    try {
      slot = this.#hot.snapshotTake(pointer, generation, reserved ? 1 : 0) >>> 0;
    } catch (cause) {
      throw this.#trapped(cause);
    }
    if (slot === abi.SLOT_NONE) throw statusError(abi.STATUS_BUSY_SNAPSHOTS);
    return slot;
  }

  dropSnapshot(slot: number, pointer: number, generation: number): void {
    this.#assertSound();
    try {
      this.#hot.snapshotDrop(slot, pointer, generation);
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  // Transactions.

  /**
   * Begins a transaction on a run, as BEGIN_INSTALLED and BEGIN_STEP say; its context, or STATUS_RUN_STALE. What a
   * handle needs to know of it can be asked for right after: {@link Core.resultVersion}, {@link Core.begunDepends},
   * {@link Core.begunGeneration}.
   */
  begin(pointer: number, generation: number, how: number): number {
    this.#assertSound();
    let context: number;
    try {
      context = this.#hot.transactionOpen(pointer, generation, how) >>> 0;
    } catch (cause) {
      throw this.#trapped(cause);
    }
    if (context < abi.STATUS_LIMIT && context !== abi.STATUS_RUN_STALE) throw statusError(context, "The transaction");
    this.renew();
    return context;
  }

  /** The newest unpublished version that the transaction just begun may read; 0 where there is none. */
  begunDepends(): number {
    return this.view.getFloat64(this.#result + abi.BEGUN_DEPENDS_OFFSET, true);
  }

  begunGeneration(): number {
    return this.resultAt(abi.BEGUN_GENERATION_OFFSET);
  }

  transactionGet(pointer: number, generation: number, table: number, keyBytes: number): number {
    this.#assertSound();
    try {
      const record = this.#hot.transactionGet(pointer, generation, table, keyBytes) >>> 0;
      this.renew();
      return record;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  transactionPut(pointer: number, generation: number, table: number, keyBytes: number, valueBytes: number): number {
    this.#assertSound();
    try {
      const status = this.#hot.transactionPut(pointer, generation, table, keyBytes, valueBytes);
      this.renew();
      return status;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  transactionRemove(pointer: number, generation: number, table: number, keyBytes: number): number {
    return this.call("transactionRemove", pointer, generation, table, keyBytes);
  }

  /** The version of the commit, or a status negated. It has ended then, unless that is STATUS_DRAIN_FIRST. */
  commit(pointer: number, generation: number, mode: number): number {
    this.#assertSound();
    try {
      const version = this.#hot.transactionCommit(pointer, generation, mode);
      this.renew();
      return version;
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  /** Ends a transaction without a commit; STATUS_UNDONE where it may have read what was undone since it began. */
  end(pointer: number, generation: number): number {
    this.#assertSound();
    try {
      return this.#hot.transactionClose(pointer, generation);
    } catch (cause) {
      throw this.#trapped(cause);
    }
  }

  // The log.

  logBegin(position: number, chain: number, epoch: number, watermark: number): void {
    this.call("logBegin", position, chain, epoch, watermark);
  }

  versionRaise(version: number): void {
    this.call("versionRaise", version);
  }

  /** Seals the next records; the bytes to write, valid until the next call, or undefined when all is written. */
  drain(bytesMax: number): Uint8Array | undefined {
    this.#assertSound();
    let length: number;
    try {
      length = this.#hot.drain(bytesMax) >>> 0;
    } catch (cause) {
      throw this.#trapped(cause);
    }
    if (length === 0) return undefined;
    if (length === abi.LOG_BUSY) throw statusError(abi.STATUS_BUSY_LOCK, "The log");
    this.renew();
    const pointer = this.view.getUint32(this.#drainPointerAddress, true);
    return this.bytes.subarray(pointer, pointer + length);
  }

  /** What was sealed is written: publishes what that makes durable enough. Whether more is queued. */
  drained(): boolean {
    this.#assertSound();
    let more: number;
    try {
      more = this.#hot.drained() >>> 0;
    } catch (cause) {
      throw this.#trapped(cause);
    }
    if (more === abi.LOG_BUSY) throw statusError(abi.STATUS_BUSY_LOCK, "The log");
    return more !== 0;
  }

  /** After `appendedBytes` bytes there was no room: undoes what is unpublished behind; how many commits that were. */
  drainFailed(appendedBytes: number): number {
    const undone = this.call("drainFailed", appendedBytes) >>> 0;
    if (undone === abi.LOG_BUSY) throw statusError(abi.STATUS_BUSY_LOCK, "The log");
    return undone;
  }

  synced(position: number): void {
    if (this.call("synced", position) >>> 0 === abi.LOG_BUSY) throw statusError(abi.STATUS_BUSY_LOCK, "The log");
  }

  // What workers that share the memory know together of the log. Only in the shared build.

  /** Sees to it that what is written and synced is published too: another worker may be about to. */
  publishDue(): void {
    this.synced(0);
  }

  /** Queues a watermark record. */
  watermark(mode: number): void {
    const status = this.call("watermark", mode);
    if (status !== abi.STATUS_OK) throw statusError(status, "The watermark");
  }

  get logPosition(): number {
    return this.call("logPosition");
  }

  get logChain(): number {
    return this.call("counter", abi.COUNTER_LOG_CHAIN);
  }

  get logWatermark(): number {
    return this.call("logWatermark");
  }

  /** The highest version that the log holds. */
  get writtenVersion(): number {
    return this.call("writtenVersion");
  }

  /** Bytes of records that are queued and not yet written. */
  get unwrittenBytes(): number {
    return this.call("unwrittenBytes") >>> 0;
  }

  /** Commits that are installed and not yet published, over all runs. */
  get unpublished(): number {
    this.renew();
    return this.view.getUint32(this.#unpublishedAddress, true);
  }

  /** Whether the newest of each key is what readers see. */
  get newestIsPublished(): boolean {
    return this.unpublished === 0;
  }

  /** Commits so far, recovered ones included. */
  get commits(): number {
    return this.call("counter", abi.COUNTER_COMMITS);
  }

  /** The newest version at or below which everything is published. */
  get horizon(): number {
    return this.call("counter", abi.COUNTER_HORIZON);
  }

  get liveEntries(): number {
    return this.call("counter", abi.COUNTER_ENTRIES);
  }

  get runCountLive(): number {
    return this.call("counter", abi.COUNTER_RUNS);
  }

  /** The lowest version that is held; 0 where none is. */
  get oldestSnapshot(): number {
    return this.call("counter", abi.COUNTER_OLDEST_HELD);
  }

  /**
   * What the runs' arenas hold, in bytes: all, in use, free between what is in use, and of versions that are not the newest;
   * and how many snapshots and transactions are open, and contexts kept for the next ones.
   */
  use(): CoreUse {
    this.call("use");
    const at = (index: number): number => this.view.getFloat64(this.#result + index * 8, true);
    return {
      extentBytes: at(0),
      usedBytes: at(1),
      freeBytes: at(2),
      deadBytes: at(3),
      snapshotsHeld: at(4),
      transactionsOpen: at(5),
      transactionsPooled: at(6),
    };
  }

  // Bytes of a log or a checkpoint.

  /** Puts bytes into the value scratch, where the next call finds them. */
  stage(bytes: Uint8Array): void {
    if (bytes.length > this.valueCapacity) this.reserveValue(bytes.length);
    this.renew();
    this.bytes.set(bytes, this.valueOffset);
  }

  /** The runs that have something at a version, in no order. */
  runsAt(version: number): HeldRun[] {
    const runs: HeldRun[] = [];
    let pointer = this.call("runNext", 0, version) >>> 0;
    for (; pointer !== 0; pointer = this.call("runNext", pointer, version) >>> 0) {
      const held = this.#heldAt(pointer, version);
      if (held !== undefined) runs.push(held);
    }
    return runs;
  }

  /** The run whose id was encoded as a key, as a version sees it; undefined if there was none. */
  runAt(nameBytes: number, version: number): HeldRun | undefined {
    const { pointer } = this.resolveRunAt(nameBytes, version);
    return pointer === 0 ? undefined : this.#heldAt(pointer, version);
  }

  #heldAt(pointer: number, version: number): HeldRun | undefined {
    const at = this.call("runVersionAt", pointer, version);
    if (-at === abi.STATUS_MISSING) return undefined;
    if (at < 0) throw this.runError(-at, pointer, "The run");
    return { pointer, version: at };
  }

  /** The first `length` staged bytes, valid until the next call. */
  staged(length: number): Uint8Array {
    this.renew();
    return this.bytes.subarray(this.valueOffset, this.valueOffset + length);
  }

  /** The CRC32C of bytes. */
  crc32c(bytes: Uint8Array): number {
    this.stage(bytes);
    return this.call("crc32c", this.valueOffset, bytes.length) >>> 0;
  }

  // Looking inside.

  /**
   * Checks every invariant of the heap; 0, or the number of the one that is broken. Those that only hold while no other worker
   * is in the core are left out unless it is `atRest`.
   */
  verify(atRest = !this.shared || !this.hasOthers): number {
    return this.call("verify", atRest ? 1 : 0);
  }

  /** Bytes of linear memory, and how many of them no extent is using. */
  memoryUse(): { bytes: number; freeBytes: number } {
    return { bytes: this.#memory.buffer.byteLength, freeBytes: this.call("counter", abi.COUNTER_FREE_BYTES) };
  }

  /** Only in test builds: refuses the `count`th growth of memory and all after it; 0 ends that. */
  refuseGrowth(count: number): void {
    this.call("refuseGrowth", count);
  }
}

/** What a worker's word says. */
export function slotOf(word: number): WorkerSlot {
  const states = 2 ** abi.WORKER_INCARNATION_SHIFT;
  return { incarnation: word >>> abi.WORKER_INCARNATION_SHIFT, state: word % states, word };
}

/** The error for a run that nobody can say anything about. */
function poisoned(id: string): HoldfastError {
  const error = statusError(abi.STATUS_POISONED, `the run ${JSON.stringify(id)}`);
  return new HoldfastError(error.code, error.message, { details: { run: id } });
}

/** @throws HoldfastError `INVALID_ARGUMENT` where it is the core of another release. */
export function assertInterface(exports: CoreExports): void {
  const version = exports["abiVersion"]?.();
  if (version === abi.ABI_VERSION) return;
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    `The core is of interface ${version ?? "none"}, this package needs ${abi.ABI_VERSION}. Pass the wasm of the same release.`,
  );
}

/** Takes a slot that is still as it was seen, or any; a status. */
export function enter(exports: CoreExports, place: WorkerPlace | undefined, canWait: boolean): number {
  const attach = exports["attach"] as (worker: number, word: number, canWait: number) => number;
  return attach(place?.worker ?? abi.WORKER_NONE, place?.seen.word ?? 0, canWait ? 1 : 0);
}

interface HotExports {
  get(pointer: number, generation: number, table: number, keyBytes: number): number;
  getAt(pointer: number, generation: number, table: number, keyBytes: number, version: number): number;
  put(
    pointer: number,
    generation: number,
    table: number,
    keyBytes: number,
    valueBytes: number,
    mode: number,
    expected: number,
  ): number;
  snapshotTake(pointer: number, generation: number, reserved: number): number;
  snapshotDrop(slot: number, pointer: number, generation: number): void;
  transactionOpen(pointer: number, generation: number, how: number): number;
  transactionGet(pointer: number, generation: number, table: number, keyBytes: number): number;
  transactionPut(pointer: number, generation: number, table: number, keyBytes: number, valueBytes: number): number;
  transactionCommit(pointer: number, generation: number, mode: number): number;
  transactionClose(pointer: number, generation: number): number;
  drain(bytesMax: number): number;
  drained(): number;
}
