/**
 * What the saver uses of `@langchain/langgraph-checkpoint`, so that the sources compile without it and what it stands on
 * (53 MB). It is no part of the package: who uses the saver has the real types, and so has the compilation beside the tests
 * (`test/integrations/tsconfig.json`), which leaves this file out.
 */
declare module "@langchain/langgraph-checkpoint" {
  interface RunnableConfig {
    configurable?: { readonly [key: string]: unknown };
  }
  type ChannelVersion = number | string;
  export type ChannelVersions = Record<string, ChannelVersion>;
  export interface Checkpoint {
    v: number;
    id: string;
    ts: string;
    channel_values: Record<string, unknown>;
    channel_versions: ChannelVersions;
    versions_seen: Record<string, ChannelVersions>;
  }
  export interface CheckpointMetadata {
    source: "input" | "loop" | "update" | "fork";
    step: number;
    parents: Record<string, string>;
  }
  export type PendingWrite = [channel: string, value: unknown];
  export type CheckpointPendingWrite = [task: string, channel: string, value: unknown];
  export interface CheckpointTuple {
    config: RunnableConfig;
    checkpoint: Checkpoint;
    metadata?: CheckpointMetadata;
    parentConfig?: RunnableConfig;
    pendingWrites?: CheckpointPendingWrite[];
  }
  export interface CheckpointListOptions {
    limit?: number;
    before?: RunnableConfig;
    filter?: Record<string, unknown>;
  }
  export interface SerializerProtocol {
    dumpsTyped(data: unknown): Promise<[string, Uint8Array]>;
    loadsTyped(type: string, data: Uint8Array | string): Promise<unknown>;
  }
  export abstract class BaseCheckpointSaver {
    serde: SerializerProtocol;
    constructor(serde?: SerializerProtocol);
    abstract getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined>;
    abstract list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple>;
    abstract put(
      config: RunnableConfig,
      checkpoint: Checkpoint,
      metadata: CheckpointMetadata,
      newVersions: ChannelVersions,
    ): Promise<RunnableConfig>;
    abstract putWrites(
      config: RunnableConfig,
      writes: PendingWrite[],
      taskId: string,
      taskPath?: string,
    ): Promise<void>;
    abstract deleteThread(threadId: string): Promise<void>;
    /** The version of a channel that follows `current`: one more. */
    getNextVersion(current: number | undefined): number;
  }
  type WritesSortKey = readonly [string, string, number];
  export const TASKS: string;
  export const WRITES_IDX_MAP: Record<string, number>;
  export function copyCheckpoint(checkpoint: Checkpoint): Checkpoint;
  export function getCheckpointId(config: RunnableConfig): string;
  export function maxChannelVersion(...versions: ChannelVersion[]): ChannelVersion;
  export function writesSortKey(taskPath: string, taskId?: string, index?: number): WritesSortKey;
  export function compareWritesSortKeys(a: WritesSortKey, b: WritesSortKey): number;
}
