/**
 * A worker that a suite has hired: it attaches to a database and does jobs of `workers-jobs.ts` there, one at a time. What its
 * side of that is stands in `answerHands`.
 */
import { Database, type DatabaseHandle, HoldfastError } from "../../src/index.js";
import { type JobInput, type JobResult, type Jobs, jobs } from "./workers-jobs.js";

/** A worker of a runtime, however that makes them. */
export interface WorkerPort {
  /** The worker's own object, as `db.share` takes it. */
  readonly object: object;
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Ends it from outside, wherever it is. */
  terminate(): unknown;
}

type Ask =
  | { readonly id: number; readonly attach: DatabaseHandle }
  | { readonly id: number; readonly job: keyof Jobs; readonly input: readonly unknown[] }
  | { readonly id: number; readonly leave: true };

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: string | undefined; readonly message: string; readonly run?: unknown };
}

/** What a job was refused with, as it was on the other side. */
export class JobError extends Error {
  readonly code: string | undefined;
  readonly run: unknown;

  constructor({ code, message, run }: NonNullable<Answer["error"]>) {
    super(`in the worker: ${code ?? "untyped"}: ${message}`);
    this.code = code;
    this.run = run;
  }
}

export class Hand {
  readonly #port: WorkerPort;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #next = 1;

  constructor(port: WorkerPort) {
    this.#port = port;
    port.onMessage((message) => {
      const { id, result, error } = message as Answer;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new JobError(error));
    });
  }

  get object(): object {
    return this.#port.object;
  }

  #ask(ask: Record<string, unknown>): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#port.post({ id, ...ask });
    });
  }

  /** Attaches there; the worker's id. */
  async attach(handle: DatabaseHandle): Promise<number> {
    return (await this.#ask({ attach: handle })) as number;
  }

  async call<N extends keyof Jobs>(job: N, ...input: JobInput<N>): Promise<JobResult<N>> {
    return (await this.#ask({ job, input })) as JobResult<N>;
  }

  /** Lets the worker end by itself, without closing anything. Nothing answers. */
  leave(): void {
    this.#port.post({ id: 0, leave: true });
  }

  terminate(): unknown {
    return this.#port.terminate();
  }
}

/** The worker's side: returns what every message is given to. */
export function answerHands(post: (message: unknown) => void, leave: () => void): (message: unknown) => void {
  let db: Database | undefined;
  const work = async (ask: Ask): Promise<unknown> => {
    if ("attach" in ask) {
      db = await Database.attach(ask.attach);
      return db.workerId;
    }
    if ("leave" in ask) return leave();
    if (db === undefined) throw new Error("the worker has not attached to anything");
    return (jobs[ask.job] as (db: Database, ...input: readonly unknown[]) => unknown)(db, ...ask.input);
  };
  return (message) => {
    const ask = message as Ask;
    work(ask).then(
      (result) => post({ id: ask.id, result } satisfies Answer),
      (error: unknown) => post({ id: ask.id, error: describeError(error) } satisfies Answer),
    );
  };
}

function describeError(error: unknown): NonNullable<Answer["error"]> {
  if (HoldfastError.is(error)) return { code: error.code, message: error.message, run: error.details["run"] };
  return { code: undefined, message: error instanceof Error ? `${error.stack}` : String(error) };
}
