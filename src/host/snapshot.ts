/**
 * A snapshot: a version that reads are held at, of one run or of the whole database.
 */
import { HoldfastError } from "../errors.js";
import { RUN_ID_BYTES_MAX, STATUS_LIMIT, STATUS_RUN_STALE } from "./abi.js";
import { readKeys } from "./arguments.js";
import type { Value } from "./codec.js";
import { encodeKey, encodeName } from "./codec.js";
import type { Core, HeldRun, RunHandle } from "./core.js";
import { openTraversal, traverse } from "./core-graph.js";
import { scan } from "./core-scan.js";
import type { Engine, Held, Holder } from "./engine.js";
import { EventLogReader } from "./primitives/event-log.js";
import { GraphReader } from "./primitives/graph-store.js";
import { KVReader } from "./primitives/kv-store.js";
import { RunIndexReader } from "./primitives/run-index.js";
import { StateCellsReader } from "./primitives/state-cells.js";
import { TraceStoreReader } from "./primitives/trace-store.js";
import type { GraphDirection, HeldReader, Reader, RunsReader, Traversal, Versioned } from "./reader-writer.js";
import { type ListOptions, prepareScan } from "./scan.js";
import { CoreTraversal, SIDES } from "./traversal.js";
import { countKeys, listEntries, listKeys, type Scanner } from "./view.js";

function heldSnapshot(slot: number, pointer: number, generation: number, version: number): Held {
  return { version, giveBack: (core) => core.dropSnapshot(slot, pointer, generation) };
}

/**
 * One slot of the core's registry, held. Views refer to it, so that it is not taken for dropped while one of them is used.
 */
class Hold implements Holder, Disposable {
  /** @internal */
  readonly engine: Engine;
  readonly #slot: number;
  readonly #pointer: number;
  readonly #generation: number;
  #released = false;
  /** The version that reads are held at. */
  readonly version: number;
  /** Where it stands among the open handles that the engine watches. @internal */
  place = -1;

  /** @internal */
  constructor(engine: Engine, slot: number, pointer: number, generation: number, version: number) {
    this.engine = engine;
    this.#slot = slot;
    this.#pointer = pointer;
    this.#generation = generation;
    this.version = version;
  }

  /** What it holds in the core. @internal */
  held(): Held {
    return heldSnapshot(this.#slot, this.#pointer, this.#generation, this.version);
  }

  /** The core to read in. @internal */
  core(): Core {
    this.engine.assertOpen();
    if (this.#released) {
      throw new HoldfastError("TRANSACTION_CLOSED", "The snapshot has been disposed of. Take a new one.");
    }
    return this.engine.core;
  }

  /** Lets go of the snapshot. Doing so again does nothing. */
  dispose(): void {
    if (this.#released) return;
    this.#released = true;
    this.engine.unwatch(this);
    this.engine.keptSnapshot = this;
    if (this.engine.canGiveBack) this.engine.core.dropSnapshot(this.#slot, this.#pointer, this.#generation);
  }

  /** {@link dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** One run as a snapshot sees it. */
export class SnapshotReader implements HeldReader {
  readonly #hold: Hold;
  readonly #run: RunHandle;
  /** Lets go of the snapshot, where it was taken for this reader. */
  readonly #onRelease: (() => void) | undefined;

  constructor(hold: Hold, run: RunHandle, onRelease?: () => void) {
    this.#hold = hold;
    this.#run = run;
    this.#onRelease = onRelease;
  }

  /** The version record of a key, 0 if there was none. */
  #record(core: Core, table: number, key: string): number {
    core.renew();
    const keyBytes = encodeKey(key, core);
    const { pointer, generation } = this.#run;
    if (pointer === 0) return 0;
    const record = core.getAt(pointer, generation, table, keyBytes, this.#hold.version);
    if (record >= STATUS_LIMIT || record === 0) return record;
    if (record === STATUS_RUN_STALE) return 0;
    throw core.runError(record, pointer, "The read");
  }

  #scan(core: Core, table: number): Scanner {
    return (request, collect) => scan(core, this.#run, table, this.#hold.version, request, collect);
  }

  get(table: number, key: string): Value | undefined {
    const core = this.#hold.core();
    const record = this.#record(core, table, key);
    return record === 0 ? undefined : core.value(record);
  }

  getVersioned(table: number, key: string): Versioned | undefined {
    const core = this.#hold.core();
    const record = this.#record(core, table, key);
    return record === 0 ? undefined : { value: core.value(record), version: core.versionOf(record) };
  }

  getMany(table: number, keys: readonly string[]): (Value | undefined)[] {
    this.#hold.core();
    return readKeys(keys).map((key) => this.get(table, key));
  }

  has(table: number, key: string): boolean {
    return this.#record(this.#hold.core(), table, key) !== 0;
  }

  list(table: number, options: ListOptions | undefined): [string, Value][] {
    const core = this.#hold.core();
    return this.#isNowhere(core, options) ? [] : listEntries(core, options, this.#scan(core, table));
  }

  keys(table: number, options: ListOptions | undefined): string[] {
    const core = this.#hold.core();
    return this.#isNowhere(core, options) ? [] : listKeys(core, options, this.#scan(core, table));
  }

  count(table: number, prefix: string | undefined): number {
    const core = this.#hold.core();
    if (this.#isNowhere(core, prefix === undefined ? undefined : { prefix })) return 0;
    return countKeys(core, prefix, this.#scan(core, table));
  }

  view<T>(body: (reader: Reader) => T): T {
    this.#hold.core();
    return body(this);
  }

  hold(): HeldReader {
    this.#hold.core();
    return new SnapshotReader(this.#hold, this.#run);
  }

  release(): void {
    this.#onRelease?.();
  }

  traverse(start: number, types: readonly string[], direction: GraphDirection): Traversal {
    const hold = this.#hold;
    const run = this.#run;
    const { pointer: header, generation } = run;
    return new CoreTraversal(hold.engine, openTraversal(hold.core(), start, types), hold.version, (walk, rowsMax) =>
      traverse(hold.core(), "traverseStep", run, walk, header, generation, hold.version, SIDES[direction], rowsMax),
    );
  }

  /** Whether the run did not exist; the options are checked all the same. */
  #isNowhere(core: Core, options: ListOptions | undefined): boolean {
    if (this.#run.pointer !== 0) return false;
    prepareScan(core, options);
    return true;
  }
}

/** What a snapshot shows of one run. Each view is made when it is first asked for. */
export class RunSnapshot {
  readonly #reader: Reader;
  /** The run's name. */
  readonly id: string;
  #kv: KVReader | undefined;
  #events: EventLogReader | undefined;
  #state: StateCellsReader | undefined;
  #traces: TraceStoreReader | undefined;
  #graph: GraphReader | undefined;

  /** @internal */
  constructor(reader: Reader, id: string) {
    this.#reader = reader;
    this.id = id;
  }

  /** The key-values as of the snapshot. */
  get kv(): KVReader {
    this.#kv ??= new KVReader(this.#reader);
    return this.#kv;
  }

  /** The event log as of the snapshot. */
  get events(): EventLogReader {
    this.#events ??= new EventLogReader(this.#reader);
    return this.#events;
  }

  /** The state cells as of the snapshot. */
  get state(): StateCellsReader {
    this.#state ??= new StateCellsReader(this.#reader);
    return this.#state;
  }

  /** The traces as of the snapshot. */
  get traces(): TraceStoreReader {
    this.#traces ??= new TraceStoreReader(this.#reader);
    return this.#traces;
  }

  /** The graph as of the snapshot. */
  get graph(): GraphReader {
    this.#graph ??= new GraphReader(this.#reader);
    return this.#graph;
  }
}

/** A snapshot of one run. Dispose of it when done: what only it sees stays in memory until then. */
export class Snapshot extends Hold {
  readonly #run: RunHandle;
  #view: RunSnapshot | undefined;
  /** The run's name. */
  readonly id: string;

  /** @internal */
  constructor(engine: Engine, slot: number, run: RunHandle, version: number, id: string) {
    super(engine, slot, run.pointer, run.generation, version);
    this.#run = run;
    this.id = id;
    engine.watch(this);
  }

  #views(): RunSnapshot {
    this.#view ??= new RunSnapshot(new SnapshotReader(this, this.#run), this.id);
    return this.#view;
  }

  /** The key-values as of the snapshot. */
  get kv(): KVReader {
    return this.#views().kv;
  }

  /** The event log as of the snapshot. */
  get events(): EventLogReader {
    return this.#views().events;
  }

  /** The state cells as of the snapshot. */
  get state(): StateCellsReader {
    return this.#views().state;
  }

  /** The traces as of the snapshot. */
  get traces(): TraceStoreReader {
    return this.#views().traces;
  }

  /** The graph as of the snapshot. */
  get graph(): GraphReader {
    return this.#views().graph;
  }
}

/** Reads several things of one run as of one instant, by a slot that was just taken and that nobody else gets hold of. */
export function viewOnSnapshot<T>(
  engine: Engine,
  slot: number,
  run: RunHandle,
  version: number,
  body: (reader: Reader) => T,
): T {
  const hold = new Hold(engine, slot, run.pointer, run.generation, version);
  try {
    return body(new SnapshotReader(hold, run));
  } finally {
    hold.dispose();
  }
}

/** A snapshot over all runs, at an instant when everything at or below its version was published. */
export class DatabaseSnapshot extends Hold implements RunsReader {
  #runs: RunIndexReader | undefined;

  /** @internal */
  constructor(engine: Engine) {
    // In this order: the version stands where the next call may overwrite it.
    super(engine, engine.core.takeSnapshot(0, 0, false), 0, 0, engine.core.resultVersion());
    engine.watch(this);
  }

  /** One run as of the snapshot; one that did not exist then is empty. */
  run(id: string): RunSnapshot {
    return new RunSnapshot(this.reader(id), id);
  }

  /** The index of runs as of the snapshot. */
  get runs(): RunIndexReader {
    this.#runs ??= new RunIndexReader(this);
    return this.#runs;
  }

  /** The ids of the runs that existed. @internal */
  ids(): string[] {
    return this.core().runIds(this.version);
  }

  /**
   * The runs that existed, or those that are named, as a stream of records goes through them. @internal
   * @throws HoldfastError `NOT_FOUND`, `INVALID_KEY`.
   */
  heldRuns(ids: readonly unknown[] | undefined): HeldRun[] {
    const core = this.core();
    if (ids === undefined) return core.runsAt(this.version);
    return [...new Set(ids)].map((id) => {
      const run = core.runAt(encodeName(id, RUN_ID_BYTES_MAX, "The run id", core), this.version);
      if (run !== undefined) return run;
      throw new HoldfastError("NOT_FOUND", `There is no run ${JSON.stringify(id)}.`, { details: { run: id } });
    });
  }

  /** One run as its primitives read it. @internal */
  reader(id: string): Reader {
    const core = this.core();
    core.renew();
    const nameBytes = encodeName(id, RUN_ID_BYTES_MAX, "The run id", core);
    return new SnapshotReader(this, core.resolveRunAt(nameBytes, this.version));
  }
}
