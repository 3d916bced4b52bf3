/**
 * How those who queue commits in a shared memory and the one worker that writes them tell each other: words of a small shared
 * buffer of their own.
 *
 *   CALLED        counts all calls; the one who writes sleeps on it
 *   ROUND         counts rounds of writing; those who wait sleep on it
 *   WRITE_CALLED  calls to write        WRITE_DONE   how many of them have been answered
 *   SYNC_CALLED   calls to write and sync   SYNC_DONE   the same
 *   SYNCS         syncs that were made, for those who count
 *   WRITER        who writes: its place in the core, and what that place's word is while it lives
 *
 * Whoever calls has installed its commit before, so a round that begins after the call writes that as well. Counters wrap around.
 * A caller that dies leaves nothing behind but a count. Where a thread may not sleep, it is told by `Atomics.waitAsync`, or, where
 * there is none, by a message after each round.
 */

const CALLED = 0;
const ROUND = 1;
const WRITE_CALLED = 2;
const WRITE_DONE = 3;
const SYNC_CALLED = 4;
const SYNC_DONE = 5;
const SYNCS = 6;
const WRITER = 7;
const WRITER_WORD = 8;
const WORDS = 16;

/** How long the one who writes sleeps at a time where it cannot be woken while it does other things. */
const SLICE_MS = 20;

/** What has been asked for so far. */
export interface Calls {
  readonly write: number;
  readonly sync: number;
}

export class LogPost {
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** Where waiters are told without `Atomics.waitAsync`: made when it is first needed. */
  readonly #name: string;
  #channel: BroadcastChannel | undefined;

  /** @param name tells this database from others */
  constructor(
    name: string,
    readonly buffer = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT),
  ) {
    this.#name = `holdfast/${name}`;
    this.#words = new Int32Array(buffer);
  }

  // For those who queue.

  /** Asks for everything that is queued to be written, `durably` also synced; what {@link isDone} is asked with. */
  call(durably: boolean): number {
    const ticket = Atomics.add(this.#words, durably ? SYNC_CALLED : WRITE_CALLED, 1) + 1;
    this.ring();
    return ticket;
  }

  /** Wakes the one who writes. */
  ring(): void {
    Atomics.add(this.#words, CALLED, 1);
    Atomics.notify(this.#words, CALLED);
  }

  isDone(durably: boolean, ticket: number): boolean {
    return ((this.#load(durably ? SYNC_DONE : WRITE_DONE) - ticket) | 0) >= 0;
  }

  /** The place of the one who writes, as it is for as long as that lives. */
  get writer(): { readonly worker: number; readonly word: number } {
    return { worker: this.#load(WRITER), word: this.#load(WRITER_WORD) >>> 0 };
  }

  get round(): number {
    return this.#load(ROUND);
  }

  get syncs(): number {
    return this.#load(SYNCS);
  }

  /** Sleeps until the round is over, at most for so long. */
  waitSync(round: number, msMax: number): void {
    Atomics.wait(this.#words, ROUND, round, msMax);
  }

  /** The same without sleeping. */
  async wait(round: number, msMax: number): Promise<void> {
    if (hasWaitAsync()) {
      await Atomics.waitAsync(this.#words, ROUND, round, msMax).value;
      return;
    }
    const channel = this.#openChannel();
    if (this.round !== round) return;
    await new Promise<void>((resolve) => {
      const told = (): void => {
        clearTimeout(timer);
        channel.removeEventListener("message", told);
        resolve();
      };
      const timer = setTimeout(told, Math.min(msMax, SLICE_MS));
      channel.addEventListener("message", told);
    });
  }

  /** Gives up what telling others has needed. */
  close(): void {
    this.#channel?.close();
  }

  // For the one who writes.

  setWriter(worker: number, word: number): void {
    Atomics.store(this.#words, WRITER_WORD, word);
    Atomics.store(this.#words, WRITER, worker);
  }

  get called(): number {
    return this.#load(CALLED);
  }

  get calls(): Calls {
    return { write: this.#load(WRITE_CALLED), sync: this.#load(SYNC_CALLED) };
  }

  /** What has been answered so far. */
  get answered(): Calls {
    return { write: this.#load(WRITE_DONE), sync: this.#load(SYNC_DONE) };
  }

  /** Answers calls. */
  answer({ write, sync }: Calls, syncs: number): void {
    Atomics.store(this.#words, SYNCS, syncs);
    Atomics.store(this.#words, WRITE_DONE, write);
    Atomics.store(this.#words, SYNC_DONE, sync);
  }

  /** A round is over: those who wait look again. */
  endRound(): void {
    Atomics.add(this.#words, ROUND, 1);
    Atomics.notify(this.#words, ROUND);
    if (!hasWaitAsync()) this.#openChannel().postMessage(0);
  }

  /** Sleeps until somebody calls, at most for so long; whether somebody has. */
  sleep(called: number, msMax: number): boolean {
    return Atomics.wait(this.#words, CALLED, called, msMax) !== "timed-out";
  }

  /** Waits for the next call, while this thread does other things. */
  async nextCall(called: number): Promise<void> {
    if (hasWaitAsync()) {
      await Atomics.waitAsync(this.#words, CALLED, called).value;
      return;
    }
    while (!this.sleep(called, SLICE_MS)) await turn();
  }

  #load(word: number): number {
    return Atomics.load(this.#words, word);
  }

  #openChannel(): BroadcastChannel {
    this.#channel ??= new BroadcastChannel(this.#name);
    return this.#channel;
  }
}

function hasWaitAsync(): boolean {
  return typeof Atomics.waitAsync === "function";
}

/** Lets everything else have its turn that has come up: messages, timers, what the storage has to tell. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
