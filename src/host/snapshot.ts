/**
 * A snapshot: a version that reads are held at, of one run or of the whole database.
 */
import { HoldfastError } from "../errors.js";
import { RUN_ID_BYTES_MAX, STATUS_LIMIT } from "./abi.js";
import { readKeys } from "./arguments.js";
import type { Value } from "./codec.js";
import { encodeKey, encodeName } from "./codec.js";
import type { Core, RunHandle } from "./core.js";
import type { Engine } from "./engine.js";
import { KVReader } from "./primitives/kv-store.js";
import type { Reader, Versioned } from "./reader-writer.js";
import { type ListOptions, prepareScan } from "./scan.js";
import { countKeys, listEntries, listKeys, type Scanner } from "./view.js";

/** Whether a snapshot is still held, shared by it and by its views of single runs. */
class Hold {
  readonly #engine: Engine;
  readonly #slot: number;
  readonly #run: RunHandle | undefined;
  readonly version: number;
  #released = false;

  constructor(engine: Engine, run: RunHandle | undefined) {
    this.#engine = engine;
    this.#run = run;
    const { slot, version } = engine.core.takeSnapshot(run);
    this.#slot = slot;
    this.version = version;
  }

  get held(): { slot: number; run: RunHandle | undefined } {
    return { slot: this.#slot, run: this.#run };
  }

  /** The core to read in. */
  core(): Core {
    this.#engine.assertOpen();
    if (this.#released) {
      throw new HoldfastError("TRANSACTION_CLOSED", "The snapshot has been disposed of. Take a new one.");
    }
    return this.#engine.core;
  }

  release(): boolean {
    if (this.#released) return false;
    this.#released = true;
    if (this.#engine.isLive) this.#engine.core.dropSnapshot(this.#slot, this.#run);
    return true;
  }
}

/** One run as a snapshot sees it. */
class SnapshotReader implements Reader {
  readonly #hold: Hold;
  readonly #handle: RunHandle;

  constructor(hold: Hold, handle: RunHandle) {
    this.#hold = hold;
    this.#handle = handle;
  }

  /** The version record of a key, 0 if there was none. */
  #record(core: Core, table: number, key: string): number {
    core.renew();
    const keyBytes = encodeKey(key, core);
    if (this.#handle.pointer === 0) return 0;
    const pointer = core.getAt(this.#handle, table, keyBytes, this.#hold.version);
    return pointer < STATUS_LIMIT ? 0 : pointer;
  }

  #scan(core: Core, table: number): Scanner {
    return ({ bounds }, collect) => core.scan(this.#handle, table, this.#hold.version, bounds, collect);
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

  /** Whether the run did not exist; the options are checked all the same. */
  #isNowhere(core: Core, options: ListOptions | undefined): boolean {
    if (this.#handle.pointer !== 0) return false;
    prepareScan(core, options);
    return true;
  }
}

/** A snapshot of one run. Dispose of it when done: what only it sees stays in memory until then. */
export class Snapshot implements Disposable {
  readonly #engine: Engine;
  readonly #hold: Hold;
  /** The key-values as of the snapshot. */
  readonly kv: KVReader;

  /** @internal */
  constructor(engine: Engine, handle: RunHandle) {
    this.#engine = engine;
    this.#hold = new Hold(engine, handle);
    this.kv = new KVReader(new SnapshotReader(this.#hold, handle));
    engine.watch(this, { kind: "snapshot", ...this.#hold.held });
  }

  /** The version that reads are held at. */
  get version(): number {
    return this.#hold.version;
  }

  /** Lets go of the snapshot. Doing so again does nothing. */
  dispose(): void {
    if (this.#hold.release()) this.#engine.unwatch(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What a database snapshot shows of one run. */
export interface RunSnapshot {
  readonly id: string;
  readonly kv: KVReader;
}

/** A snapshot over all runs, at an instant when everything at or below its version was published. */
export class DatabaseSnapshot implements Disposable {
  readonly #engine: Engine;
  readonly #hold: Hold;

  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine;
    this.#hold = new Hold(engine, undefined);
    engine.watch(this, { kind: "snapshot", ...this.#hold.held });
  }

  /** The version that reads are held at. */
  get version(): number {
    return this.#hold.version;
  }

  /** One run as of the snapshot; one that did not exist then is empty. */
  run(id: string): RunSnapshot {
    const core = this.#hold.core();
    core.renew();
    const handle = core.resolveRun(encodeName(id, RUN_ID_BYTES_MAX, "The run id", core));
    return { id, kv: new KVReader(new SnapshotReader(this.#hold, handle)) };
  }

  /** Lets go of the snapshot. Doing so again does nothing. */
  dispose(): void {
    if (this.#hold.release()) this.#engine.unwatch(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
