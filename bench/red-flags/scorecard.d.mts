/** What docs/figures/figures.json holds; only who made it looks inside. */
export interface Figures {
  readonly machine: { readonly date: string };
  readonly rows: ReadonlyArray<{ readonly gate: string; readonly title: string; readonly verdict: string }>;
}
export function renderScorecard(data: Figures): string;
