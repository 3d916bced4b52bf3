/**
 * How a thread of LangGraph's is kept: in a run of its own, so that it is read, written and deleted as one.
 *
 *   run  langgraph:<thread>                   in the index of runs, tagged, with the thread's id as metadata
 *   checkpoints/<namespace>/id                → { version, parent, checkpoint, metadata, values: [channel, version, id][] }
 *   values/<namespace>/<id>/<channel>         → [type, bytes]
 *   writes/<namespace>/<id>/<task>/<index>    → { task, path, index, channel, value: [type, bytes] }
 *
 * What it keeps true:
 *  - `<x>` is x as a component of a URI, or its digest where that is long, so that names of any length and content fit;
 *  - the checkpoints of a namespace sort by their ids, which rise with time, so that the last key is the newest checkpoint;
 *  - a channel's value is stored once, with the checkpoint that changed it, and those that follow name that checkpoint. Versions
 *    of channels name nothing, since two branches of a thread count them alike;
 *  - what was not said to have changed and is not in the checkpoint before is stored anew where the thread knows the channel at
 *    that version, as that of a copy, or no longer has the checkpoint before. A thread that never had it does not take it up;
 *  - what a serializer made is kept as the bytes that it made.
 */
import type { Database, KVReader, KVStore, Value } from "../../index.js";
import { HoldfastError } from "../../index.js";
import { digestOf } from "../digest.js";

const RUN_PREFIX = "langgraph:";
const TAG = "langgraph";
const CHECKPOINTS = "checkpoints/";
/** Longer components are stored by their digest: four of them are less than the bytes that a key may have. */
const PART_LENGTH_MAX = 200;
/** What one write may meet of others to the same thread. */
const RETRY = { attempts: 20 } as const;
/**
 * Of a commit that another follows or a flush, and that is no more lost than that one: it waits in memory, so that it costs no sync
 * and also works where a storage cannot keep the database's mode in a synchronous call.
 */
const DEFERRED = { durability: "in-memory" } as const;

/** Threads that are being put back into the index, by their runs, until that is durable. */
const entering = new WeakMap<Database, Map<string, Promise<void>>>();

/** What a serializer made of a value. */
export type Typed = readonly [type: string, bytes: Uint8Array];

/** A checkpoint as it is stored. */
export interface Stored {
  /** The version of LangGraph's format that it was made in. */
  readonly version: number;
  /** The id of the checkpoint that it follows. */
  readonly parent: string | null;
  /** Without the values of its channels. */
  readonly checkpoint: Typed;
  readonly metadata: Typed;
  /** Which checkpoint each channel's value is stored with, and at which of the channel's versions it was. */
  readonly values: readonly (readonly [channel: string, version: number | string, id: string])[];
}

/** A write that waits for the checkpoint after this one. */
export interface StoredWrite {
  readonly task: string;
  readonly path: string;
  readonly index: number;
  readonly channel: string;
  readonly value: Typed;
}

/** A checkpoint with all that belongs to it, as of one instant. */
export interface Whole {
  readonly stored: Stored;
  readonly values: readonly (readonly [channel: string, value: Typed])[];
  readonly writes: readonly StoredWrite[];
  /** Those of the checkpoint that it follows, where its format looks for sends among them. */
  readonly parentWrites: readonly StoredWrite[];
}

/** A channel of a checkpoint that is to be stored. */
export interface NewChannel {
  readonly name: string;
  readonly version: number | string;
  /** Whether it has changed since the checkpoint that it follows. */
  readonly isNew: boolean;
}

/** A checkpoint that is to be stored. */
export interface NewCheckpoint extends Omit<Stored, "values"> {
  readonly channels: readonly NewChannel[];
  /** What a channel holds: asked for where the checkpoint that it follows does not have it. */
  readonly dump: (channel: string) => Promise<Typed>;
}

type StoredValue = Stored["values"][number];

/** From this version of LangGraph's format on, sends are in a channel and no longer among the writes. */
export const SENDS_IN_CHANNEL_VERSION = 4;

function part(text: string): string {
  if (!text.isWellFormed()) {
    throw new HoldfastError("INVALID_KEY", "A name in the config has a lone surrogate; repair it with toWellFormed().");
  }
  const encoded = encodeURIComponent(text);
  return encoded.length <= PART_LENGTH_MAX ? encoded : `#${digestOf(text)}`;
}

const checkpointsOf = (namespace: string): string => `${CHECKPOINTS}${part(namespace)}/`;
const valueKey = (namespace: string, id: string, channel: string): string =>
  `values/${part(namespace)}/${part(id)}/${part(channel)}`;
const writesOf = (namespace: string, id: string): string => `writes/${part(namespace)}/${part(id)}/`;

/** Bytes as a value: a subclass such as Node's Buffer is none. */
function asValue([type, bytes]: Typed): Value {
  if (typeof type !== "string" || !ArrayBuffer.isView(bytes)) {
    throw new HoldfastError("INVALID_VALUE", "The serializer's dumpsTyped must make a name and bytes.");
  }
  return [type, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
}

function readStored(kv: KVReader, namespace: string, id: string): Stored | undefined {
  return kv.get(checkpointsOf(namespace) + id) as unknown as Stored | undefined;
}

function readWrites(kv: KVReader, namespace: string, id: string): StoredWrite[] {
  return kv.list({ prefix: writesOf(namespace, id) }).map(([, write]) => write as unknown as StoredWrite);
}

/** Those channels, by their names, that a checkpoint has at the same version: its rows say where they are stored. */
function inheritedFrom(
  kv: KVReader,
  namespace: string,
  parent: string | null,
  channels: readonly NewChannel[],
): ReadonlyMap<string, StoredValue> {
  const stored = parent === null ? undefined : readStored(kv, namespace, parent);
  const versions = new Map(channels.filter(({ isNew }) => !isNew).map(({ name, version }) => [name, version]));
  const inherited = (stored?.values ?? []).filter(([name, version]) => versions.get(name) === version);
  return new Map(inherited.map((value) => [value[0], value]));
}

/** Of channels that the checkpoint before does not have: those that are new, and those that the thread has had at that version. */
function knownOf(
  kv: KVReader,
  namespace: string,
  parent: string | null,
  channels: readonly NewChannel[],
): readonly NewChannel[] {
  if (channels.every(({ isNew }) => isNew)) return channels;
  if (parent !== null && readStored(kv, namespace, parent) === undefined) return channels;
  const had = new Map<string, Set<number | string>>();
  for (const [, stored] of kv.list({ prefix: checkpointsOf(namespace) })) {
    for (const [name, version] of (stored as unknown as Stored).values) {
      had.set(name, (had.get(name) ?? new Set()).add(version));
    }
  }
  return channels.filter(({ name, version, isNew }) => isNew || had.get(name)?.has(version) === true);
}

/** The ids of all threads that the database has. */
export function threadIds(db: Database): string[] {
  const threads = db.runs.list({ tag: TAG, includeArchived: true });
  return threads.filter(({ name }) => name.startsWith(RUN_PREFIX)).map(({ metadata }) => String(metadata["thread"]));
}

/** One thread. Reading one that is not there finds nothing, and makes nothing. */
export class Thread {
  readonly #db: Database;
  readonly #run: string;
  readonly id: string;

  /** @throws HoldfastError `INVALID_KEY` if the id has a lone surrogate. */
  constructor(db: Database, id: string) {
    this.#db = db;
    this.#run = RUN_PREFIX + part(id);
    this.id = id;
  }

  /** The id of the newest checkpoint of a namespace. */
  newest(namespace: string): string | undefined {
    const prefix = checkpointsOf(namespace);
    return this.#db.run(this.#run).kv.keys({ prefix, reverse: true, limit: 1 })[0]?.slice(prefix.length);
  }

  /** The ids of all checkpoints of a namespace, or of all namespaces, with what tells the namespace apart. */
  checkpoints(namespace: string | undefined): { readonly namespace: string; readonly id: string }[] {
    const { kv } = this.#db.run(this.#run);
    const keys = kv.keys({ prefix: namespace === undefined ? CHECKPOINTS : checkpointsOf(namespace) });
    return keys.map((key) => {
      const slash = key.indexOf("/", CHECKPOINTS.length);
      const id = key.slice(slash + 1);
      return { namespace: namespace ?? this.#namespace(kv, key.slice(CHECKPOINTS.length, slash)), id };
    });
  }

  /** A checkpoint alone, for what is said of it. */
  stored(namespace: string, id: string): Stored | undefined {
    return readStored(this.#db.run(this.#run).kv, namespace, id);
  }

  /** A checkpoint with its values and writes. */
  whole(namespace: string, id: string): Whole | undefined {
    const snapshot = this.#db.run(this.#run).snapshot();
    try {
      const { kv } = snapshot;
      const stored = readStored(kv, namespace, id);
      if (stored === undefined) return undefined;
      const { version, parent } = stored;
      const values = kv.getMany(stored.values.map(([channel, , at]) => valueKey(namespace, at, channel)));
      return {
        stored,
        values: stored.values.map(([channel], at) => [channel, values[at] as unknown as Typed]),
        writes: readWrites(kv, namespace, id),
        parentWrites: version < SENDS_IN_CHANNEL_VERSION && parent !== null ? readWrites(kv, namespace, parent) : [],
      };
    } finally {
      snapshot.dispose();
    }
  }

  /** Stores a checkpoint with those values that the one before it does not have, in one transaction. */
  async put(namespace: string, id: string, { channels, dump, ...checkpoint }: NewCheckpoint): Promise<void> {
    const dumped = new Map<string, Typed>();
    const parentIn = (kv: KVReader) => inheritedFrom(kv, namespace, checkpoint.parent, channels);
    for (let isStored = false; !isStored; ) {
      const { kv: published } = this.#db.run(this.#run);
      const inherited = parentIn(published);
      const missing = channels.filter(({ name }) => !inherited.has(name) && !dumped.has(name));
      const known = knownOf(published, namespace, checkpoint.parent, missing);
      await Promise.all(known.map(async ({ name }) => dumped.set(name, await dump(name))));
      const unknown = new Set(missing.filter((channel) => !known.includes(channel)));
      isStored = await this.#write((kv) => {
        const found = parentIn(kv);
        // The checkpoint before it was deleted meanwhile, with what was to be inherited.
        const taken = channels.filter((channel) => !unknown.has(channel));
        if (taken.some(({ name }) => !found.has(name) && !dumped.has(name))) return false;
        const values = taken.map(({ name, version }) => {
          const value = dumped.get(name);
          if (value === undefined) return found.get(name);
          kv.put(valueKey(namespace, id, name), asValue(value));
          return [name, version, id];
        });
        this.#keepNamespace(kv, namespace);
        kv.put(checkpointsOf(namespace) + id, {
          version: checkpoint.version,
          parent: checkpoint.parent,
          checkpoint: asValue(checkpoint.checkpoint),
          metadata: asValue(checkpoint.metadata),
          values: values as unknown as Value,
        });
        return true;
      });
    }
  }

  /** Stores writes in one transaction. One that is there stays as it is, unless its index is negative: such is replaced. */
  putWrites(namespace: string, id: string, writes: readonly StoredWrite[]): Promise<void> {
    return this.#write((kv) => {
      for (const write of writes) {
        const key = `${writesOf(namespace, id)}${part(write.task)}/${write.index}`;
        if (write.index >= 0 && kv.has(key)) continue;
        kv.put(key, { ...write, value: asValue(write.value) });
      }
    });
  }

  /** Deletes the thread with all that it has, in one commit; resolves once that is durable. */
  async delete(): Promise<void> {
    await this.#insist(() => this.#db.deleteRun(this.#run, DEFERRED));
    // Also where there was nothing: somebody else's deletion may be in memory only.
    await this.#db.flush();
  }

  /** Does a step again while a commit of the thread is on its way to a storage that no synchronous call can wait for. */
  async #insist(step: () => void): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        step();
        return;
      } catch (error) {
        if (attempt === RETRY.attempts || !HoldfastError.is(error, "BUSY")) throw error;
        await this.#db.flush();
      }
    }
  }

  /** A namespace that is stored by its digest is kept in full beside it. */
  #keepNamespace(kv: KVStore, namespace: string): void {
    const encoded = part(namespace);
    if (encoded.startsWith("#") && !kv.has(`namespaces/${encoded}`)) kv.put(`namespaces/${encoded}`, namespace);
  }

  #namespace(kv: KVReader, encoded: string): string {
    return encoded.startsWith("#") ? String(kv.get(`namespaces/${encoded}`)) : decodeURIComponent(encoded);
  }

  async #write<T>(body: (kv: KVStore) => T): Promise<T> {
    if (!this.#isEntered) await this.#insist(() => this.#enter());
    const result = await this.#db.run(this.#run).transactionAsync(async ({ kv }) => body(kv), { retry: RETRY });
    // Whoever has deleted the thread in between has taken its entry, and not what was written after that.
    while (!this.#isEntered && this.#db.run(this.#run).kv.keys({ limit: 1 }).length > 0) await this.#enterDurably();
    // Somebody beside may have put it back, and wait for that to be durable.
    await entering.get(this.#db)?.get(this.#run);
    return result;
  }

  #enterDurably(): Promise<void> {
    const all = entering.get(this.#db) ?? new Map<string, Promise<void>>();
    entering.set(this.#db, all);
    const underWay = all.get(this.#run);
    if (underWay !== undefined) return underWay;
    const entered = this.#insist(() => this.#enter())
      .then(() => this.#db.flush())
      .finally(() => all.delete(this.#run));
    all.set(this.#run, entered);
    return entered;
  }

  get #isEntered(): boolean {
    return this.#db.runs.get(this.#run) !== undefined;
  }

  /** Puts the run into the index, where threads are found: before its first write, so that none is missing there. */
  #enter(): void {
    if (this.#isEntered) return;
    try {
      this.#db.runs.create({ name: this.#run, tags: [TAG], metadata: { thread: this.id } }, DEFERRED);
    } catch (error) {
      // Another worker was faster.
      if (!HoldfastError.is(error, "ALREADY_EXISTS")) throw error;
    }
  }
}
