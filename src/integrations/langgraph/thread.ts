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
 *  - a channel's value is stored once, with the checkpoint that changed it: later ones name that checkpoint. Versions of
 *    channels name nothing, since two branches of a thread count them alike;
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

/** A checkpoint that is to be stored. */
export interface NewCheckpoint extends Omit<Stored, "values"> {
  /** The channels that have changed, with what they hold. */
  readonly changed: readonly (readonly [channel: string, version: number | string, value: Typed])[];
  /** Those that hold what they held in the checkpoint that it follows. */
  readonly unchanged: readonly (readonly [channel: string, version: number | string | undefined])[];
}

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
  return [type, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)];
}

function readStored(kv: KVReader, namespace: string, id: string): Stored | undefined {
  return kv.get(checkpointsOf(namespace) + id) as unknown as Stored | undefined;
}

function readWrites(kv: KVReader, namespace: string, id: string): StoredWrite[] {
  return kv.list({ prefix: writesOf(namespace, id) }).map(([, write]) => write as unknown as StoredWrite);
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

  /** Stores a checkpoint with the values that have changed, in one transaction. */
  put(namespace: string, id: string, { changed, unchanged, ...checkpoint }: NewCheckpoint): Promise<void> {
    return this.#write((kv) => {
      const parent = checkpoint.parent === null ? undefined : readStored(kv, namespace, checkpoint.parent);
      const inherited = (parent?.values ?? []).filter(([channel, version]) =>
        unchanged.some(([name, at]) => name === channel && at === version),
      );
      for (const [channel, , value] of changed) kv.put(valueKey(namespace, id, channel), asValue(value));
      this.#keepNamespace(kv, namespace);
      kv.put(checkpointsOf(namespace) + id, {
        version: checkpoint.version,
        parent: checkpoint.parent,
        checkpoint: asValue(checkpoint.checkpoint),
        metadata: asValue(checkpoint.metadata),
        values: [...inherited, ...changed.map(([channel, version]) => [channel, version, id])] as unknown as Value,
      });
    });
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
    if (this.#db.deleteRun(this.#run, DEFERRED)) await this.#db.flush();
  }

  /** A namespace that is stored by its digest is kept in full beside it. */
  #keepNamespace(kv: KVStore, namespace: string): void {
    const encoded = part(namespace);
    if (encoded.startsWith("#") && !kv.has(`namespaces/${encoded}`)) kv.put(`namespaces/${encoded}`, namespace);
  }

  #namespace(kv: KVReader, encoded: string): string {
    return encoded.startsWith("#") ? String(kv.get(`namespaces/${encoded}`)) : decodeURIComponent(encoded);
  }

  async #write(body: (kv: KVStore) => void): Promise<void> {
    this.#enter();
    await this.#db.run(this.#run).transactionAsync(({ kv }) => body(kv), { retry: RETRY });
  }

  /** Puts the run into the index, where threads are found: before its first write, so that none is missing there. */
  #enter(): void {
    if (this.#db.runs.get(this.#run) !== undefined) return;
    try {
      this.#db.runs.create({ name: this.#run, tags: [TAG], metadata: { thread: this.id } }, DEFERRED);
    } catch (error) {
      // Another worker was faster.
      if (!HoldfastError.is(error, "ALREADY_EXISTS")) throw error;
    }
  }
}
