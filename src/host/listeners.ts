/**
 * The events of a database, and who listens to them.
 *
 * What a listener throws is its own affair: it never takes the place of what the writer is told.
 */
import type { HoldfastError } from "../errors.js";
import type { RecoveredInfo } from "./storage-info.js";

/** The events of a database and what their listeners are given. */
export interface DatabaseEvents {
  /** Something failed in the background; writes will say so too. */
  error: HoldfastError;
  /** Somebody else has taken the database over. */
  "locked-out": string;
  /** The database had not been closed, and was recovered when it was opened. */
  recovered: RecoveredInfo;
}

export type Listener = (payload: never) => void;

/** Who listens to one database. */
export class Listeners {
  readonly #byEvent = new Map<string, Set<Listener>>();

  add(event: string, listener: Listener): () => void {
    const listeners = this.#byEvent.get(event) ?? new Set();
    this.#byEvent.set(event, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Tells one listener, if it still listens. */
  emitTo(listener: Listener, event: string, payload: unknown): void {
    if (!this.#byEvent.get(event)?.has(listener)) return;
    try {
      (listener as (payload: unknown) => void)(payload);
    } catch {}
  }

  /** Tells every listener. */
  emit<E extends keyof DatabaseEvents>(event: E, payload: DatabaseEvents[E]): void {
    for (const listener of [...(this.#byEvent.get(event) ?? [])]) this.emitTo(listener, event, payload);
  }
}
