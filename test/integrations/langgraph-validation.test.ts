/**
 * LangGraph's own validation of checkpointers, with its tests of delta channels, over the saver.
 */
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { deltaChannelHistoryTests, validate } from "@langchain/langgraph-checkpoint-validation";
import { HoldfastSaver } from "holdfast/integrations/langgraph";
import { collect, PLACES, type Place } from "./places.js";

type Config = Parameters<BaseCheckpointSaver["getTuple"]>[0];

/** The saver over a place: each call is one use of it. What it inherits is made of these calls. */
class Placed extends BaseCheckpointSaver {
  readonly place: Place;

  constructor(place: Place) {
    super();
    this.place = place;
  }

  #use<T>(call: (saver: HoldfastSaver) => Promise<T>): Promise<T> {
    return this.place.use((db) => call(new HoldfastSaver(db)));
  }

  getTuple(config: Config): Promise<CheckpointTuple | undefined> {
    return this.#use((saver) => saver.getTuple(config));
  }
  async *list(config: Config, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    yield* await this.#use((saver) => collect(saver.list(config, options)));
  }
  put(
    config: Config,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    versions: ChannelVersions,
  ): Promise<Config> {
    return this.#use((saver) => saver.put(config, checkpoint, metadata, versions));
  }
  putWrites(config: Config, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void> {
    return this.#use((saver) => saver.putWrites(config, writes, taskId, taskPath));
  }
  deleteThread(threadId: string): Promise<void> {
    return this.#use((saver) => saver.deleteThread(threadId));
  }
}

for (const [name, make] of Object.entries(PLACES)) {
  const initializer = {
    checkpointerName: `HoldfastSaver ${name}`,
    createCheckpointer: () => new Placed(make()),
    destroyCheckpointer: (saver: Placed) => saver.place.remove(),
  };
  validate(initializer);
  deltaChannelHistoryTests(initializer);
}
