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

/** One call of `on`: the same function may be given more than once, and each call ends by itself. */
interface Registration {
  readonly listener: Listener;
}

/** Who listens to one database. */
export class Listeners {
  readonly #byEvent = new Map<string, Set<Registration>>();

  add(event: string, listener: Listener): Registration {
    const registration = { listener };
    const registered = this.#byEvent.get(event) ?? new Set();
    this.#byEvent.set(event, registered);
    registered.add(registration);
    return registration;
  }

  remove(registration: Registration, event: string): void {
    this.#byEvent.get(event)?.delete(registration);
  }

  /** Tells one listener, if it still listens. */
  emitTo(registration: Registration, event: string, payload: unknown): void {
    if (!this.#byEvent.get(event)?.has(registration)) return;
    try {
      (registration.listener as (payload: unknown) => void)(payload);
    } catch {}
  }

  /** Tells every listener. */
  emit<E extends keyof DatabaseEvents>(event: E, payload: DatabaseEvents[E]): void {
    for (const registration of [...(this.#byEvent.get(event) ?? [])]) this.emitTo(registration, event, payload);
  }
}
