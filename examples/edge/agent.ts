/**
 * The agent's run, one to an object: each step is one transaction over its cursor, its events and its traces, so that whoever comes
 * after an end that nobody chose goes on where it was.
 */
import { HoldfastError, type Run } from "holdfast";

export interface Step {
  readonly tool: string;
  readonly result: string;
}

/** What is answered for a step, and what a reader may hold the object to. */
export interface Taken {
  readonly step: number;
  /** The hash that seals the step and all before it. */
  readonly hash: string;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

type Transaction = Parameters<Parameters<Run["transaction"]>[0]>[0];

function record(tx: Transaction, { tool, result }: Step): Taken {
  const step = tx.state.transitionOrInit("cursor", 0, (done) => [Number(done) + 1, Number(done) + 1]);
  tx.traces.record({ type: "tool-call", name: tool, args: { step }, result });
  const { hash } = tx.events.append("step", { step, tool, result });
  return { step, hash: hex(hash) };
}

/**
 * Takes a step. It is in the object's storage when this returns; the output gate lets the answer out once it is durable. While a
 * strict step is on its way this one would have to wait for it, which a synchronous call cannot: then it is a strict one too.
 */
export function takeStep(run: Run, step: Step): Taken | Promise<Taken> {
  try {
    return run.transaction((tx) => record(tx, step));
  } catch (error) {
    if (!HoldfastError.is(error, "BUSY")) throw error;
    return takeStrictStep(run, step);
  }
}

/** Takes a step that is durable before it is visible, to this object too. */
export function takeStrictStep(run: Run, step: Step): Promise<Taken> {
  return run.transactionAsync((tx) => record(tx, step), { durability: "strict" });
}

/** All that the run remembers. */
export function story(run: Run): object {
  const snapshot = run.snapshot();
  const steps = Array.from(snapshot.events.range(0, snapshot.events.length), ({ payload, hash }) => ({
    ...(payload as unknown as Step & { step: number }),
    hash: hex(hash),
  }));
  const cursor = snapshot.state.read("cursor")?.value ?? 0;
  const told = { cursor, steps, calls: snapshot.traces.count(), verified: snapshot.events.verify().valid };
  snapshot.dispose();
  return told;
}
