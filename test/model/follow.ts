/**
 * The model as properties: a random sequence is followed on a fresh database, and a violation names what led to it.
 */
import fc from "fast-check";
import type { Build } from "../support/builds.js";
import { type Mode, show } from "../support/history.js";
import { Clients, type Ending, type Event } from "./clients.js";
import { interleavings } from "./events.js";
import { type Operation, sequences } from "./operations.js";
import { Subject, type SubjectOptions } from "./subject.js";

/** What multiplies the sequences, and what they come from. */
export const TIMES = Number(process.env["HOLDFAST_MODEL_RUNS"] ?? 1);
export const SEED = Number(process.env["HOLDFAST_MODEL_SEED"] ?? Date.now() % 2 ** 31);
export const TIMEOUT_MS = 120_000 * Math.max(1, TIMES);

function violation(error: unknown, sequence: readonly unknown[], ending = ""): Error {
  const message = error instanceof Error ? error.message : String(error);
  return new Error(`${message}; after ${show(sequence)}${ending}`, { cause: error });
}

async function follow(options: SubjectOptions, operations: readonly Operation[]): Promise<void> {
  const subject = await Subject.make(options);
  try {
    for (const operation of operations) {
      await subject.apply(operation);
      if (options.build.debug) subject.verify();
    }
    await subject.end();
  } catch (error) {
    await subject.abandon();
    throw violation(error, operations);
  }
}

async function followClients(
  build: Build,
  isSync: boolean,
  seed: number,
  ending: Ending,
  events: readonly Event[],
): Promise<void> {
  const clients = await Clients.make(build, seed, isSync);
  try {
    for (const one of events) await clients.apply(one);
    await clients.end(build, ending);
  } catch (error) {
    await clients.abandon();
    throw violation(error, events, `, ${ending}`);
  }
}

/** Sequences of operations, one after the other, in memory or over a disk. */
export function modelOf(build: Build, persistent: boolean): fc.IAsyncProperty<unknown> {
  const modes: Mode[] = persistent ? ["in-memory", "buffered", "strict"] : ["in-memory"];
  const options = fc.record({
    seed: fc.nat(),
    mode: fc.constantFrom(...modes),
    maxPendingWrites: fc.constantFrom(3, 1000),
  });
  return fc.asyncProperty(options, sequences(persistent), (chosen, operations) =>
    follow({ build, persistent, ...chosen }, operations),
  );
}

/** Interleavings of asynchronous transactions with everything else, over a disk that appends synchronously or not. */
export function asyncModelOf(build: Build, isSync: boolean): fc.IAsyncProperty<unknown> {
  const ending = fc.constantFrom<Ending>("close", "kill", "power");
  return fc.asyncProperty(fc.nat(), ending, interleavings(), (seed, chosen, events) =>
    followClients(build, isSync, seed, chosen, events),
  );
}
