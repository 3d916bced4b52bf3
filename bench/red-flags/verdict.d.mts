export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly min?: number;
}
export interface Given {
  readonly figure?: Spread | undefined;
  readonly unit?: string;
  readonly isMore?: boolean;
  readonly wanted?: readonly number[];
  readonly red?: number | undefined;
  readonly needs?: string;
  readonly failure?: string;
  readonly disturbed?: string;
  readonly isShown?: boolean;
}
export interface Verdict {
  readonly verdict: string;
  readonly text: string;
}
export const MARGIN: number;
export function judgeRow(given: Given): Verdict;
export function confirm(first: Verdict, second: Verdict): Verdict;
