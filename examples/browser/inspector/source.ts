/**
 * The two places where answers come from: a probe in this very thread, and one at the other end of a port.
 */
import { Caller, type Port, serve } from "./link";
import type { Probe } from "./probe";
import type { Questions, Source, Topic } from "./questions";

/** Answers the inspector over a port. @returns what says that there is something new */
export function serveProbe(port: Port, probe: Probe): () => void {
  const tell = serve(port, (topic, question) => probe.answer(topic as Topic, question));
  return () => tell("changed");
}

/** A source at the other end of a port, where {@link serveProbe} is. */
export class RemoteSource implements Source {
  readonly #caller: Caller;
  readonly #listeners = new Set<() => void>();

  constructor(port: Port) {
    this.#caller = new Caller(port, () => {
      for (const listener of this.#listeners) listener();
    });
  }

  ask<T extends Topic>(topic: T, question: Questions[T]["ask"]): Promise<Questions[T]["answer"]> {
    return this.#caller.call(topic, question) as Promise<Questions[T]["answer"]>;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#caller.close();
  }
}

/** A source over a database of this thread. Call `changed` after each commit. */
export class LocalSource implements Source {
  readonly #probe: Probe;
  readonly #listeners = new Set<() => void>();

  constructor(probe: Probe) {
    this.#probe = probe;
  }

  async ask<T extends Topic>(topic: T, question: Questions[T]["ask"]): Promise<Questions[T]["answer"]> {
    return this.#probe.answer(topic, question);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(): void {
    this.#probe.note();
    for (const listener of this.#listeners) listener();
  }
}
