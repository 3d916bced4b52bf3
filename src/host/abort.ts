/**
 * Waiting that a signal ends. What it keeps true: a signal has one listener of this package's, however many wait by it, since some
 * platforms take more for a leak; and none once nobody does.
 */

interface Waiting {
  readonly stops: Set<() => void>;
  readonly fire: () => void;
}

const waiting = new WeakMap<AbortSignal, Waiting>();

function waitingBy(signal: AbortSignal): Waiting {
  const known = waiting.get(signal);
  if (known !== undefined) return known;
  const stops = new Set<() => void>();
  const fire = (): void => {
    waiting.delete(signal);
    for (const stop of stops) stop();
  };
  signal.addEventListener("abort", fire, { once: true });
  const made = { stops, fire };
  waiting.set(signal, made);
  return made;
}

/** Calls `stop` once the signal fires, which it has not yet; returns what ends that. */
export function onAbort(signal: AbortSignal, stop: () => void): () => void {
  const by = waitingBy(signal);
  by.stops.add(stop);
  return () => {
    by.stops.delete(stop);
    if (by.stops.size > 0 || waiting.get(signal) !== by) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", by.fire);
  };
}

/** What `start` comes to, unless the signal fires before, which is then thrown as `aborted` says; nobody waits for it then. */
export async function untilAborted<T>(
  start: () => Promise<T> | T,
  signal: AbortSignal,
  aborted: () => unknown,
): Promise<T> {
  if (signal.aborted) throw aborted();
  let end = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    end = onAbort(signal, () => reject(aborted()));
  });
  const work = (async () => start())();
  work.catch(() => {});
  try {
    return await Promise.race([work, stopped]);
  } finally {
    end();
  }
}
