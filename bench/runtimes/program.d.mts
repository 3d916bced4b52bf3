/** What holds the data of one subject; it offers what it has. */
export interface Store {
  readonly keeps: boolean;
  [method: string]: unknown;
}
export interface Subject {
  readonly name: string;
  readonly isHoldfast?: boolean;
  readonly note?: string | undefined;
  open(): Promise<Store> | Store;
}
export interface Group {
  readonly storage: string;
  readonly mode: string;
  /** Why the storage is not there. */
  readonly missing?: string | undefined;
  readonly subjects: readonly Subject[];
}
export interface Sizes {
  readonly keys: number;
  readonly warmUpMs: number;
  readonly roundMs: number;
  readonly rounds: number;
  readonly openings: number;
}
export interface Row {
  readonly storage: string;
  readonly mode: string;
  readonly subject: string;
  readonly workload: string;
  readonly medianNs?: number;
  readonly p99Ns?: number;
  readonly samples?: number;
  readonly perSample?: number;
  readonly bytes?: number;
  readonly failure?: string;
  readonly missing?: string;
}
export declare function measure(
  groups: readonly Group[],
  options: {
    readonly size: "full" | "quick" | Sizes;
    report(line: { readonly progress: string } | { readonly row: Row }): void | Promise<void>;
  },
): Promise<void>;
