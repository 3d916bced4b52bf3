export declare const RUNS: readonly string[];
export declare const JOINT_RUN: string;
export declare const UNACKNOWLEDGED_MAX: number;
export declare const JOINT_UNACKNOWLEDGED_MAX: number;
export declare const SAYS: {
  readonly opening: number;
  readonly ready: number;
  readonly returned: number;
  readonly durable: number;
  readonly jointReturned: number;
  readonly jointDurable: number;
  readonly checkpointBegun: number;
  readonly checkpointEnded: number;
  readonly checkpointMissing: number;
  readonly storageFailed: number;
};
export declare function planOf(sequence: number): {
  readonly run: string;
  readonly puts: readonly string[];
  readonly deletes: readonly string[];
  readonly deletesRun: boolean;
};
