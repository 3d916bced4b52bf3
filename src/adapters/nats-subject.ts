/**
 * The subject that a database's log is, in a stream that others may share.
 *
 * What it keeps true:
 *  - each message is published on condition that the last one of the subject is the one that this writer knows: the log itself keeps
 *    out who has been overtaken, however late he wakes up;
 *  - servers look at that condition before they agree on a message, and some, or those that have just begun to lead, do not know then
 *    of another one that is under way. So who takes over looks what has come before him, readers go by epochs (`nats-fold.ts`), and
 *    an owner whose lease may be over looks whether his message was the next before he believes its acknowledgement;
 *  - a publish whose answer was lost is made again, and known again by its writer and count where it had arrived the first time;
 *  - one is under way at a time, so that none can stand before another that failed.
 */
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg, NextMsgRequest } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { HoldfastError } from "../errors.js";
import { refuseAborted, storageFull, storeFailed } from "./failures.js";
import {
  countAfter,
  decodeFrame,
  encodeFrame,
  FRAME_BYTES,
  type Frame,
  OPERATIONS,
  type Operation,
} from "./nats-frames.js";

/** What the server takes besides the bytes: the condition, the reply subject. */
const OVERHEAD_BYTES = 1024;
/** For how long an answer is waited for at first, and at most: with a connection that breaks what was under way is lost. */
const TIMEOUT_MS_MIN = 500;
const TIMEOUT_MS_MAX = 4_000;
/** After so long without a message those that are left are asked for anew. */
const STALL_MS = 1_000;
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 500;

const WRONG_LAST = [10071, 10164];
const NO_MESSAGE = 10037;
const NO_STREAM = 10059;
const UNAVAILABLE = 503;
/** There are fewer servers than replicas are wanted; or not all have heard of one another yet, which takes up to half a minute. */
const NO_PEERS = 10005;
/** Limits of the stream and of the account, and a disk that is full. */
const NO_ROOM = [10023, 10028, 10047, 10077, 10120, 10122];

/** What a server has answered that a call was refused for. Told by its shape: the clients may come in several copies. */
function answerOf(error: unknown): { readonly code: number; readonly status: number } | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, status } = at as { code?: unknown; status?: unknown };
    if (typeof code === "number" && typeof status === "number") return { code, status };
  }
  return undefined;
}

/** What a server has refused a call with, or 0 where it is not that a call has failed with. */
export function apiCode(error: unknown): number {
  return answerOf(error)?.code ?? 0;
}

/** Whether a server has answered, and taken nothing; it may also say that there is no answer yet, since nobody leads. */
function isRefusal(error: unknown): boolean {
  if (HoldfastError.is(error) || error instanceof Overtaken) return true;
  const answer = answerOf(error);
  if (answer === undefined || answer.code === NO_PEERS) return false;
  return answer.status !== UNAVAILABLE || NO_ROOM.includes(answer.code);
}

export function isMissing(error: unknown): boolean {
  return [NO_MESSAGE, NO_STREAM].includes(apiCode(error));
}

export function isWrongLast(error: unknown): boolean {
  return WRONG_LAST.includes(apiCode(error));
}

/** A typed error of whatever a client's call has failed with. */
export function failure(what: string, cause: unknown): HoldfastError {
  if (HoldfastError.is(cause)) return cause;
  return NO_ROOM.includes(apiCode(cause)) ? storageFull(what, 0, cause) : storeFailed(what, cause);
}

/** Thrown where somebody else has written to the subject. */
export class Overtaken extends Error {
  override readonly name = "Overtaken";
}

/** Where a database's log is. */
export interface SubjectPlace {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly stream: string;
  readonly subject: string;
  /** For how long a call is made again while the servers do not answer. */
  readonly patienceMs: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Makes a call until it is answered; a refusal is an answer.
 * @throws HoldfastError `STORE_FAILED` where none comes, `TIMEOUT` by the signal
 */
export async function insist<T>(
  what: string,
  patienceMs: number,
  call: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
    try {
      return await call();
    } catch (error) {
      if (isRefusal(error) || isClosed(error)) throw error;
      if (performance.now() + waitMs > endMs) throw storeFailed(`${what}: ${whyNot(error)}`, error);
    }
    await pause(waitMs);
    refuseAborted(signal);
  }
}

function whyNot(error: unknown): string {
  if (apiCode(error) !== NO_PEERS) return "the servers have not answered";
  return "there are fewer servers in the cluster than replicas are wanted. Start them, or ask for fewer by `replicas`";
}

function isClosed(error: unknown): boolean {
  const names = ["ClosedConnectionError", "DrainingConnectionError", "InvalidSubjectError", "PermissionViolationError"];
  for (let at = error; at instanceof Error; at = at.cause) if (names.includes(at.name)) return true;
  return false;
}

export class Subject {
  readonly #place: SubjectPlace;
  readonly #writer = crypto.getRandomValues(new BigUint64Array(1))[0] as bigint;
  #count = 0;
  /** The sequence of the last message of the subject, as far as this writer knows. */
  #last = 0;
  epoch = 0;
  /** Whether nobody can have taken over meanwhile: the lease is not over. */
  isSure: () => boolean = () => false;

  constructor(place: SubjectPlace) {
    this.#place = place;
  }

  /** The most bytes that go in one message. */
  get #partBytesMax(): number {
    return (this.#place.connection.info?.max_payload ?? 1024 * 1024) - FRAME_BYTES - OVERHEAD_BYTES;
  }

  /** The sequence of the last message that there is, 0 where there is none. */
  async end(): Promise<number> {
    return (await this.#newest())?.seq ?? 0;
  }

  async #newest(): Promise<{ seq: number; data: Uint8Array } | undefined> {
    const { jsm, stream, subject, patienceMs } = this.#place;
    return insist(`Cannot look for the end of ${subject}`, patienceMs, async () => {
      try {
        return (await jsm.streams.getMessage(stream, { last_by_subj: subject })) ?? undefined;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  /** Shows `visit` the messages from one sequence to another, in order, as far as they are there. */
  async replay(from: number, to: number, visit: (sequence: number, message: Uint8Array) => void): Promise<void> {
    let next = from;
    const take = ({ seq, data }: JsMsg): boolean => {
      if (seq >= next && seq <= to) visit(seq, data);
      next = Math.max(next, seq + 1);
      return next > to;
    };
    const { subject, patienceMs } = this.#place;
    const what = `Cannot read ${subject}`;
    while (next <= to) {
      const before = next;
      await insist(what, patienceMs, () => this.#deliver(next, take));
      if (next > before) continue;
      // What was there to the end has been taken away meanwhile, or the server was slow, or does not hold what the others do.
      const found = await insist(what, patienceMs, () => this.#after(next - 1));
      if (found === undefined || found.seq > to) return;
      visit(found.seq, found.data);
      next = found.seq + 1;
    }
  }

  /**
   * The same, each message asked for by itself of the server that leads: slow, but what one that was away shows instead of what its
   * cluster has agreed on is not among it.
   */
  async replayByLeader(
    from: number,
    to: number,
    visit: (sequence: number, message: Uint8Array) => void,
  ): Promise<void> {
    const { subject, patienceMs } = this.#place;
    for (let at = from - 1; at < to; ) {
      const next = await insist(`Cannot read ${subject}`, patienceMs, () => this.#after(at));
      if (next === undefined || next.seq > to) return;
      visit(next.seq, next.data);
      at = next.seq;
    }
  }

  /** The sequence of the last message from one sequence on and before another, as the server that leads has it; 0 where there is none. */
  async lastBetween(from: number, before: number): Promise<number> {
    let last = 0;
    await this.replayByLeader(from, before - 1, (sequence) => {
      last = sequence;
    });
    return last;
  }

  /** Has messages from a sequence on delivered, until that is enough, or none comes any more. */
  async #deliver(from: number, take: (message: JsMsg) => boolean): Promise<void> {
    const { js, stream, subject } = this.#place;
    // The servers wait where this process does not keep up, however large messages are.
    const consumer = await js.consumers.getPushConsumer(stream, {
      filter_subjects: subject,
      deliver_policy: "by_start_sequence",
      opt_start_seq: Math.max(from, 1),
    });
    let timer: ReturnType<typeof setInterval> | undefined;
    let messages: ConsumerMessages | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        let cameMs = performance.now();
        let isOver = false;
        timer = setInterval(() => {
          if (performance.now() - cameMs > STALL_MS) resolve();
        }, STALL_MS / 4);
        const callback = (message: JsMsg): void => {
          if (isOver) return;
          cameMs = performance.now();
          try {
            isOver = take(message);
            if (isOver) resolve();
          } catch (error) {
            isOver = true;
            reject(error);
          }
        };
        consumer.consume({ callback }).then((begun) => {
          messages = begun;
        }, reject);
      });
    } finally {
      clearInterval(timer);
      messages?.stop();
      consumer.delete().catch(() => {});
    }
  }

  /** Goes on behind a message. */
  follow(last: number, epoch: number): void {
    this.#last = last;
    this.epoch = epoch;
  }

  /**
   * Publishes what is done, in as many messages as it needs; the sequences of the first and the last.
   * @throws Overtaken; HoldfastError `STORAGE_FULL`, with nothing of it done; `STORE_FAILED`
   */
  async write(
    operation: Operation,
    file: number,
    at: number,
    body: Uint8Array,
  ): Promise<{ readonly first: number; readonly last: number }> {
    if (file > 0xffffffff) throw storeFailed(`${file} is too large for the number of a file`);
    const partBytesMax = this.#partBytesMax;
    let first = 0;
    let start = 0;
    do {
      const part = body.subarray(start, start + partBytesMax);
      const more = start + part.byteLength < body.byteLength;
      const count = countAfter(this.#count);
      const frame = { operation, more, epoch: this.epoch, file, count, at: at + start, writer: this.#writer };
      await this.#publish(frame, encodeFrame(frame, part));
      this.#count = count;
      if (first === 0) first = this.#last;
      start += part.byteLength;
    } while (start < body.byteLength);
    return { first, last: this.#last };
  }

  async #publish(frame: Frame, message: Uint8Array): Promise<void> {
    const { js, subject, stream, patienceMs } = this.#place;
    const what = `Cannot publish to ${subject}`;
    // Whether this may have arrived in spite of what is answered now.
    let isOpen = false;
    let timeout = TIMEOUT_MS_MIN / 2;
    try {
      await insist(what, patienceMs, async () => {
        const expect = { lastSubjectSequence: this.#last, streamName: stream };
        timeout = Math.min(2 * timeout, TIMEOUT_MS_MAX);
        try {
          const { seq } = await js.publish(subject, message, { expect, timeout });
          if (frame.operation === OPERATIONS.own || !this.isSure()) isOpen = true;
          else this.#last = seq;
        } catch (error) {
          if (!isRefusal(error)) isOpen = true;
          if (!isWrongLast(error)) throw error;
        }
        if (this.#last === expect.lastSubjectSequence) await this.#find(frame);
      });
    } catch (error) {
      if (error instanceof Overtaken) throw error;
      throw isOpen ? storeFailed(what, error) : failure(what, error);
    }
  }

  /**
   * Reads on to the end, in which a message of this writer's has to be.
   * @throws Overtaken if another owner came before it, or behind it; `Error` if it is not there, so that it can be published again
   */
  async #find({ writer, count, operation }: Frame): Promise<void> {
    let isThere = false;
    for (let next = await this.#after(this.#last); next !== undefined; next = await this.#after(this.#last)) {
      const frame = decodeFrame(next.data, next.seq);
      const isMine = frame.writer === writer;
      if (!isMine && (operation === OPERATIONS.own || frame.epoch >= this.epoch)) {
        throw new Overtaken(`another owner has written to ${this.#place.subject}`);
      }
      this.#last = next.seq;
      if (isMine && frame.count === count) isThere = true;
    }
    if (isThere) return;
    if ((await this.#newest()) === undefined) throw new Overtaken(`${this.#place.subject} was removed`);
    throw new Error("a server has not taken it");
  }

  /** The first message behind a sequence. */
  async #after(sequence: number): Promise<{ seq: number; data: Uint8Array } | undefined> {
    const { jsm, stream, subject } = this.#place;
    try {
      // The servers have known this for as long as the one for direct reads, whose type it is.
      const query: Required<NextMsgRequest> = { seq: sequence + 1, next_by_subj: subject };
      return (await jsm.streams.getMessage(stream, query)) ?? undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Takes away the messages before one. */
  async purge(before: number): Promise<void> {
    const { jsm, stream, subject, patienceMs } = this.#place;
    await insist(`Cannot purge ${subject}`, patienceMs, () =>
      jsm.streams.purge(stream, { filter: subject, seq: before }),
    );
  }
}
