import type { encodeKey, encodeValue } from "../../src/host/codec.js";
import type { Core } from "../../src/host/core.js";
import type * as scans from "../../src/host/core-scan.js";

/** One thing that a worker does; `as` names a snapshot or a transaction of its own. */
export interface Act {
  readonly do: string;
  readonly run?: string;
  readonly table?: number;
  readonly key?: string;
  readonly value?: number;
  readonly bytes?: number;
  readonly prefix?: string;
  readonly as?: string;
  readonly worker?: number;
  readonly step?: boolean;
}

export interface Cell {
  readonly value: number | string | null;
  readonly version?: number;
}

/** One act as it went: between which steps, and what it returned; without an end where its worker was killed in it. */
export interface Event {
  readonly worker: number;
  readonly act: Act;
  readonly began: number;
  ended: number;
  result?: number | string | null | Cell | [string, Cell][];
  /** The version that it read at. */
  at?: number;
}

export declare class Player {
  constructor(
    core: Core,
    codec: { encodeKey: typeof encodeKey; encodeValue: typeof encodeValue },
    listings: typeof scans,
  );
}

export declare function perform(player: Player, act: Act, event: Event): void;
export declare function textOf(value: number, bytes?: number): string;
