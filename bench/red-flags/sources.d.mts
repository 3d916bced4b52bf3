import type { From } from "./rows.mjs";

export interface Source {
  readonly key: string;
  readonly script: string;
  readonly args: readonly string[];
}
export function goalOf(from: From): object | undefined;
export function sourceOf(from: From): Source;
export function commandOf(source: Source): string;
