import type { Subject } from "../program.mjs";

export declare function holdfast(options: {
  readonly Database: object;
  readonly mode: "in-memory" | "buffered" | "strict";
  make(): object;
  readonly later?: boolean;
  readonly note?: string;
  remove?(): void | Promise<void>;
}): Subject;
