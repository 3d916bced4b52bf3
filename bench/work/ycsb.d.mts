interface Workload {
  readonly title: string;
  readonly shares: readonly (readonly [kind: number, share: number])[];
  readonly isLatest?: boolean;
}
type YcsbRecord = Readonly<Record<string, string>>;

export declare const FIELDS: readonly string[];
export declare const TOLD_BY: number;
export declare const READ: number;
export declare const UPDATE: number;
export declare const INSERT: number;
export declare const SCAN: number;
export declare const READ_MODIFY_WRITE: number;
export declare const WORKLOADS: Readonly<Record<"a" | "b" | "c" | "d" | "e" | "f", Workload>>;
export declare function openWorkload(
  workload: Workload,
  sizes: {
    readonly records: number;
    readonly operations: number;
    readonly rounds: number;
    readonly seed: number;
  },
): {
  readonly keys: readonly string[];
  readonly records: readonly YcsbRecord[];
  makeInput(round: number): {
    readonly kinds: Uint8Array;
    readonly keys: readonly string[];
    readonly fields: readonly string[];
    readonly texts: readonly string[];
    readonly records: readonly (YcsbRecord | undefined)[];
    readonly lengths: Uint8Array;
    readonly count: number;
    readonly expected: number;
    readonly values: Readonly<Record<number, string>>;
  };
};
