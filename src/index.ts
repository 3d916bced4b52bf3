/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Holdfast: the state of an agent's run, held fast. The public names, and nothing else.
 */
export type { Storage, StorageCapabilities, VanishedInfo } from "./adapters/storage.js";
export { type ErrorCode, type ErrorDetails, HoldfastError } from "./errors.js";
export type { ByteStream } from "./host/byte-stream.js";
export type { Value } from "./host/codec.js";
export type { WasmSource } from "./host/core-loader.js";
export {
  Database,
  DatabaseBuilder,
  type DatabaseStats,
  type ExportOptions,
  type VerifyReport,
} from "./host/database.js";
export {
  bufferedDefault,
  DurabilityMode,
  type DurabilityName,
  type DurabilityOption,
  flushInterval,
  maxPendingWrites,
  requiresImmediateFsync,
  requiresWal,
} from "./host/durability-mode.js";
export type { Environment } from "./host/environment.js";
export type { GraphReport } from "./host/graph/check.js";
export type {
  GraphEdgeOptions,
  GraphIndex,
  GraphNeighborOptions,
  GraphNodeUpdate,
  GraphPageOptions,
  GraphPatch,
  GraphPathOptions,
  GraphWalkOptions,
} from "./host/graph/given.js";
export type {
  GraphEdge,
  GraphNeighbor,
  GraphNode,
  Properties as GraphProperties,
} from "./host/graph/layout.js";
export type { GraphPath, GraphVisit, GraphWalk } from "./host/graph/walk.js";
export type { DatabaseHandle } from "./host/handle.js";
export type { DatabaseEvents } from "./host/listeners.js";
export type { AttachOptions, OpenOptions } from "./host/options.js";
export type {
  EventLog,
  EventLogReader,
  EventLogReport,
  LogEvent,
  LogPosition,
  ReadByTypeOptions,
} from "./host/primitives/event-log.js";
export type { GraphReader, GraphStore } from "./host/primitives/graph-store.js";
export type { KVReader, KVStore } from "./host/primitives/kv-store.js";
export type {
  RunIndex,
  RunIndexReader,
  RunInfo,
  RunListOptions,
  RunMetadata,
  RunSpec,
  RunStats,
  RunStatus,
} from "./host/primitives/run-index.js";
export type { Cell, StateCells, StateCellsReader, Transition } from "./host/primitives/state-cells.js";
export type {
  CustomEntry,
  DecisionEntry,
  ErrorEntry,
  QueryEntry,
  RecordOptions,
  ThoughtEntry,
  ToolCallEntry,
  Trace,
  TraceEntry,
  TraceListOptions,
  TraceMetadata,
  TraceStore,
  TraceStoreReader,
  TraceTree,
  TraceType,
  TraceTypeOptions,
} from "./host/primitives/trace-store.js";
export type { GraphDirection, StepOptions, Versioned, WriteOptions } from "./host/reader-writer.js";
export type { RecoveryProgress } from "./host/recovery.js";
export type { RetryOptions } from "./host/retry.js";
export type { AsyncTransactionOptions, Run, TransactionOptions } from "./host/run.js";
export type { ListOptions } from "./host/scan.js";
export type { DatabaseSnapshot, RunSnapshot, Snapshot } from "./host/snapshot.js";
export type { RecoveredInfo, SalvagedInfo, StorageInfo } from "./host/storage-info.js";
export type { BeginOptions, Transaction } from "./host/transaction.js";
