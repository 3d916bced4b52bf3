export interface From {
  readonly measurement?: string;
  readonly goal?: string;
  readonly shown?: string;
  readonly workload?: string;
  readonly workers?: number;
  readonly kind?: string;
  readonly isFloor?: boolean;
  readonly size?: string;
}
export interface Row {
  readonly gate: string;
  readonly title: string;
  readonly from: From;
}
export const gates: readonly string[];
export const rows: readonly Row[];
