/**
 * What the page and the worker say to one another about the agent. (What is stored goes over a port of its own, to the inspector.)
 */
import type { DurabilityName, StorageInfo } from "holdfast";
import type { Standing } from "../agent/agent";

export type Kind = "opfs" | "indexeddb";

/** Where a database is. */
export interface Place {
  readonly kind: Kind;
  readonly name: string;
}

/** Every command, what it takes and what it returns. */
export interface Commands {
  /** Opens a place, and lets go of the one that was open. The port is the inspector's. */
  open: { takes: { place: Place; paceMs: number; port: MessagePort }; returns: Opened };
  go: { takes: object; returns: Standing };
  pause: { takes: object; returns: Standing };
  pace: { takes: { ms: number }; returns: unknown };
  mode: { takes: { mode: DurabilityName }; returns: Standing };
  startOver: { takes: object; returns: Standing };
  export: { takes: object; returns: Uint8Array[] };
  /**
   * Fills a new place with what was exported, and keeps it for the next `open`, so that nobody else gets it meanwhile; throws unless
   * the agent's run is in it. The database that is open stays.
   */
  fill: { takes: { place: Place; bytes: Uint8Array }; returns: unknown };
  /** Removes what the sandbox has left in every other place of that kind: imports that were cut off, and what they have replaced. */
  tidy: { takes: { place: Place }; returns: unknown };
}

export interface Opened {
  readonly storage: StorageInfo;
  readonly standing: Standing;
}

/** What the worker says by itself. */
export type News =
  | { readonly standing: Standing }
  | { readonly waiting: true }
  | { readonly failed: { readonly message: string; readonly code?: string } };
