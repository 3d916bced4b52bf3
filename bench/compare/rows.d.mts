interface Row {
  readonly name: string;
  readonly unit: string;
  readonly isHoldfast?: boolean;
  readonly ns?: { readonly median: number; readonly min: number; readonly max: number };
  readonly figure?: { readonly median: number; readonly min: number; readonly max: number };
  readonly failure?: string;
}
interface Report {
  readonly rows: readonly Row[];
}
export declare function compareReports(reports: {
  readonly base: readonly Report[];
  readonly head: readonly Report[];
}): {
  readonly name: string;
  readonly unit: string;
  readonly verdict: string;
  readonly reason?: string;
}[];
