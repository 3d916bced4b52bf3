export interface Gathered {
  readonly measurements: ReadonlyArray<{ readonly name: string; readonly machine: { readonly date: string } }>;
  readonly workloads: ReadonlyArray<{ readonly name: string; readonly cells: readonly object[] }>;
  readonly scorecard: { readonly machine: { readonly date: string } } | undefined;
}
export function gather(folder: string, others?: readonly string[]): Gathered;
