export declare const LEAST_DIFFERENCE: number;
export declare function adjacentRatios(base: readonly number[], head: readonly number[]): number[];
export declare function compareFigures(
  base: readonly number[],
  head: readonly number[],
  isMoreBetter?: boolean,
): {
  readonly ratio: { readonly median: number; readonly min: number; readonly max: number };
  readonly noise: number;
  readonly verdict: "slower" | "faster" | "no difference";
};
