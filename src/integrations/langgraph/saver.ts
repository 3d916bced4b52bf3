/**
 * A checkpointer for LangGraph.js: its contract, over threads that are kept as `thread.ts` says.
 *
 * What it keeps true:
 *  - a call's writes are one transaction, and once it resolves they are as durable as the database's mode promises;
 *  - what a tuple holds is of one instant;
 *  - pending writes come in the order in which a superstep applies them.
 */
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointPendingWrite,
  type CheckpointTuple,
  compareWritesSortKeys,
  copyCheckpoint,
  getCheckpointId,
  maxChannelVersion,
  type PendingWrite,
  type SerializerProtocol,
  TASKS,
  WRITES_IDX_MAP,
  writesSortKey,
} from "@langchain/langgraph-checkpoint";
import { type Database, HoldfastError } from "../../index.js";
import { SENDS_IN_CHANNEL_VERSION, type StoredWrite, Thread, type Typed, threadIds, type Whole } from "./thread.js";

type Config = Parameters<BaseCheckpointSaver["getTuple"]>[0];

/** What is needed of a config's `configurable`, by its names there. */
function textOf(config: Config, name: "thread_id" | "checkpoint_ns" | "checkpoint_id"): string | undefined {
  if (typeof config !== "object" || config === null) {
    throw new HoldfastError(
      "INVALID_ARGUMENT",
      `A config must be an object, as in { configurable: { thread_id: "…" } }.`,
    );
  }
  const value: unknown = config.configurable?.[name];
  if (value === undefined || value === null || typeof value === "string") return value ?? undefined;
  throw new HoldfastError("INVALID_ARGUMENT", `"configurable.${name}" must be a string, got ${typeof value}.`);
}

function required(config: Config, name: "thread_id" | "checkpoint_id", what: string): string {
  const text = textOf(config, name);
  if (text) return text;
  throw new HoldfastError(
    "INVALID_ARGUMENT",
    `Cannot ${what}: the config has no "${name}" in "configurable". Pass one, as in { configurable: { ${name}: "…" } }.`,
  );
}

function configOf(thread: Thread, namespace: string, id: string): Config {
  return { configurable: { thread_id: thread.id, checkpoint_ns: namespace, checkpoint_id: id } };
}

function inOrder(writes: readonly StoredWrite[]): StoredWrite[] {
  const keyOf = ({ path, task, index }: StoredWrite) => writesSortKey(path, task, index);
  return [...writes].sort((a, b) => compareWritesSortKeys(keyOf(a), keyOf(b)));
}

/** Whether metadata has all that is asked for; what is no primitive is compared as JSON. */
function matches(metadata: CheckpointMetadata, filter: CheckpointListOptions["filter"]): boolean {
  const held = metadata as unknown as { readonly [key: string]: unknown };
  return Object.entries(filter ?? {}).every(
    ([name, wanted]) => held[name] === wanted || JSON.stringify(held[name]) === JSON.stringify(wanted),
  );
}

/**
 * Keeps the checkpoints of LangGraph's graphs in a Holdfast database: `graph.compile({ checkpointer: new HoldfastSaver(db) })`.
 *
 * Each thread is a run named `langgraph:` with the thread's id, and is in the index of runs with the tag `langgraph`. The
 * database stays that of whoever opened it.
 *
 * Besides what is named, its methods reject with what a transaction's commit throws: a checkpoint whose changed channels have
 * more than 32 MiB together, or one channel of more than 16 MiB, with `TRANSACTION_TOO_LARGE` or `VALUE_TOO_LARGE`.
 */
export class HoldfastSaver extends BaseCheckpointSaver {
  readonly #db: Database;

  /** `serde` makes bytes of what a graph holds; LangGraph's own if left out. */
  constructor(db: Database, serde?: SerializerProtocol) {
    super(serde);
    if (typeof db?.run !== "function") {
      throw new HoldfastError("INVALID_ARGUMENT", "HoldfastSaver: pass a Database, as Database.open makes it.");
    }
    this.#db = db;
  }

  /** The checkpoint that the config names, or the newest of its thread and namespace; `undefined` if there is none. */
  async getTuple(config: Config): Promise<CheckpointTuple | undefined> {
    const threadId = textOf(config, "thread_id");
    if (!threadId) return undefined;
    const thread = new Thread(this.#db, threadId);
    const namespace = textOf(config, "checkpoint_ns") ?? "";
    const id = getCheckpointId(config) || thread.newest(namespace);
    return id === undefined ? undefined : this.#tuple(thread, namespace, id);
  }

  /** The checkpoints of a thread, or of all threads, newest first: those for which all that is given holds. */
  async *list(config: Config, options: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    const { before, filter, limit = Number.POSITIVE_INFINITY } = options;
    let left = limit;
    const end = before === undefined || before === null ? "" : getCheckpointId(before);
    for (const { thread, namespace, id } of this.#found(config)) {
      if (left <= 0) return;
      if (end !== "" && id >= end) continue;
      const stored = thread.stored(namespace, id);
      if (stored === undefined) continue;
      if (filter !== undefined && !matches(await this.#load<CheckpointMetadata>(stored.metadata), filter)) continue;
      const tuple = await this.#tuple(thread, namespace, id);
      if (tuple === undefined) continue;
      left--;
      yield tuple;
    }
  }

  /**
   * Stores a checkpoint in one transaction, with those of its channels that `newVersions` names, and those that the thread has
   * had at their versions.
   * @throws HoldfastError `INVALID_ARGUMENT` without a `thread_id`.
   */
  async put(
    config: Config,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<Config> {
    const thread = new Thread(this.#db, required(config, "thread_id", "put a checkpoint"));
    const namespace = textOf(config, "checkpoint_ns") ?? "";
    const { channel_values: values, ...rest } = copyCheckpoint(checkpoint);
    const [dumped, dumpedMetadata] = await Promise.all([this.serde.dumpsTyped(rest), this.serde.dumpsTyped(metadata)]);
    await thread.put(namespace, checkpoint.id, {
      version: checkpoint.v,
      parent: getCheckpointId(config) || null,
      checkpoint: dumped,
      metadata: dumpedMetadata,
      channels: Object.keys(values).map((name) => ({
        name,
        version: newVersions[name] ?? checkpoint.channel_versions[name] ?? 0,
        isNew: Object.hasOwn(newVersions, name),
      })),
      dump: (channel) => this.serde.dumpsTyped(values[channel]),
    });
    return configOf(thread, namespace, checkpoint.id);
  }

  /**
   * Stores what a task has written since a checkpoint, in one transaction.
   * @throws HoldfastError `INVALID_ARGUMENT` without a `thread_id` and a `checkpoint_id`.
   */
  async putWrites(config: Config, writes: PendingWrite[], taskId: string, taskPath = ""): Promise<void> {
    const thread = new Thread(this.#db, required(config, "thread_id", "put writes"));
    const id = required(config, "checkpoint_id", "put writes");
    const stored = await Promise.all(
      writes.map(async ([channel, value], at) => ({
        task: taskId,
        path: taskPath,
        index: WRITES_IDX_MAP[channel] ?? at,
        channel,
        value: await this.serde.dumpsTyped(value),
      })),
    );
    await thread.putWrites(textOf(config, "checkpoint_ns") ?? "", id, stored);
  }

  /** Deletes a thread with all its checkpoints and writes, in one commit. */
  async deleteThread(threadId: string): Promise<void> {
    if (typeof threadId !== "string") {
      throw new HoldfastError(
        "INVALID_ARGUMENT",
        `deleteThread: the thread's id must be a string, got ${typeof threadId}.`,
      );
    }
    await new Thread(this.#db, threadId).delete();
  }

  /** What a config asks to list, newest first. */
  #found(config: Config): { thread: Thread; namespace: string; id: string }[] {
    const threadId = textOf(config, "thread_id");
    const only = textOf(config, "checkpoint_id");
    const threads = (threadId ? [threadId] : threadIds(this.#db)).map((id) => new Thread(this.#db, id));
    return threads
      .flatMap((thread) =>
        thread.checkpoints(textOf(config, "checkpoint_ns")).map((checkpoint) => ({ thread, ...checkpoint })),
      )
      .filter(({ id }) => !only || id === only)
      .sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
  }

  async #load<T>([type, bytes]: Typed): Promise<T> {
    return (await this.serde.loadsTyped(type, bytes)) as T;
  }

  async #tuple(thread: Thread, namespace: string, id: string): Promise<CheckpointTuple | undefined> {
    const whole = thread.whole(namespace, id);
    if (whole === undefined) return undefined;
    const { parent } = whole.stored;
    const [checkpoint, metadata, pendingWrites] = await Promise.all([
      this.#checkpoint(whole),
      this.#load<CheckpointMetadata>(whole.stored.metadata),
      Promise.all(
        inOrder(whole.writes).map(
          async ({ task, channel, value }): Promise<CheckpointPendingWrite> => [task, channel, await this.#load(value)],
        ),
      ),
    ]);
    const tuple = { config: configOf(thread, namespace, id), checkpoint, metadata, pendingWrites };
    return parent === null ? tuple : { ...tuple, parentConfig: configOf(thread, namespace, parent) };
  }

  async #checkpoint({ stored, values, parentWrites }: Whole): Promise<Checkpoint> {
    const checkpoint = await this.#load<Checkpoint>(stored.checkpoint);
    const loaded = values.map(async ([channel, value]) => [channel, await this.#load(value)] as const);
    checkpoint.channel_values = Object.fromEntries(await Promise.all(loaded));
    const movesSends = stored.version < SENDS_IN_CHANNEL_VERSION && stored.parent !== null;
    return movesSends ? this.#withSends(checkpoint, parentWrites) : checkpoint;
  }

  /** Moves what an older format has as sends among the parent's writes into the channel where they are looked for. */
  async #withSends(checkpoint: Checkpoint, parentWrites: readonly StoredWrite[]): Promise<Checkpoint> {
    const sends = inOrder(parentWrites).filter(({ channel }) => channel === TASKS);
    checkpoint.channel_values[TASKS] = await Promise.all(sends.map(({ value }) => this.#load(value)));
    const versions = Object.values(checkpoint.channel_versions);
    checkpoint.channel_versions[TASKS] =
      versions.length > 0 ? maxChannelVersion(...versions) : this.getNextVersion(undefined);
    return checkpoint;
  }
}
