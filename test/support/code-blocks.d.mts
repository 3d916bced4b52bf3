export interface Block {
  readonly language: "ts" | "js";
  /** The line of the text that the block's first line is. */
  readonly line: number;
  readonly code: string;
  /** Whether it stands for itself, so that its types can be checked. */
  readonly checkable: boolean;
  /** Whether it is run as well. */
  readonly runnable: boolean;
}
export declare const TESTED_ELSEWHERE: Readonly<Record<string, string>>;
export declare function blocksOf(markdown: string): Block[];
export declare function missingFrom(output: string, code: string): string[];
