/**
 * Who has a database, and whether he lives: entries of the key-value store.
 *
 *     run.<name>     the owner, by the id of his presence
 *     alive.<id>     a process, which renews this as long as it has any database: one entry however many those are
 *
 * What it keeps true:
 *  - leases say whom to wait for, and never who may write: that is the log's own condition (`nats-subject.ts`). So nothing depends on
 *    clocks that agree: whoever waits watches a presence for as long as its lease is, by his own clock, and takes over where it was
 *    not renewed meanwhile. Nothing expires on the servers;
 *  - a process that may have been taken for dead looks, as soon as it can renew again, which of its databases it still has, and is sure
 *    of none before it has seen that;
 *  - a process whose entry could not be given back, or of which it does not know whether it was made, does not keep others out for
 *    longer than the servers do not answer: with each renewal it tries to take it away, and whoever asks here need not wait for that.
 */
import type { KV, KvEntry } from "@nats-io/kv";
import { HoldfastError } from "../errors.js";
import { refuseAborted, storeFailed } from "./failures.js";
import { insist, isWrongLast } from "./nats-subject.js";

/** How often a presence is renewed in one lease, and how often one who waits looks. */
const RENEWALS = 3;
const LOOKS = 20;
const LOOK_MS_MAX = 200;
const NOT_SAID = "Cannot say that this process lives";

export interface LeaseOptions {
  readonly kv: KV;
  readonly presence: Presence;
  /** Of the database, as one token. */
  readonly token: string;
  /** The name of the database, for messages. */
  readonly name: string;
  /** For how long an owner who lives is waited for. */
  readonly waitMs: number;
  readonly patienceMs: number;
  readonly signal: AbortSignal | undefined;
  /** Called, more than once perhaps, while an owner is waited for who seems to be dead: most likely this will be taken soon. */
  readonly onDoubt?: (() => void) | undefined;
}

/** What stands in the entry of a database. */
interface Owner {
  readonly by: string;
  /** Which of all the times that a database was taken this is. */
  readonly lease: string;
  readonly since: string;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A moment by two clocks: the one that nobody sets may stand still while the machine sleeps. */
interface Moment {
  readonly steadyMs: number;
  readonly wallMs: number;
}

const LONG_AGO: Moment = { steadyMs: Number.NEGATIVE_INFINITY, wallMs: Number.NEGATIVE_INFINITY };

const moment = (): Moment => ({ steadyMs: performance.now(), wallMs: Date.now() });

/** How long ago that was, by the clock that says more: one that was set forward costs a look, and no more. */
function msSince({ steadyMs, wallMs }: Moment): number {
  return Math.max(performance.now() - steadyMs, Date.now() - wallMs);
}

/** That this process lives, as long as it has a lease. */
export class Presence {
  readonly id = crypto.randomUUID();
  readonly leaseMs: number;
  /** How often to look whether this very process has let go. */
  readonly lookMs: number;
  readonly #kv: KV;
  readonly #leases = new Set<Lease>();
  /** Leases, and who is about to take one. */
  #users = 0;
  /** What is done with the entry, one after another. */
  #tail: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the last renewal that has arrived was sent. */
  #sent = LONG_AGO;
  /** When the last one failed. */
  #failedMs = Number.NEGATIVE_INFINITY;
  /** Leases that somebody else may have taken during a silence, by the renewal that has ended it. */
  readonly #doubts = new Map<Lease, Moment>();
  /** The ids of the leases that are held here, or about to be taken. */
  readonly #claims = new Set<string>();
  /** What is left to be given back, by the token of its database. */
  readonly #owed = new Map<string, () => Promise<void>>();
  /** Of other presences, by their ids: whoever waits for the same one shares its watch. */
  readonly #watches = new Map<string, Watch>();

  constructor(kv: KV, leaseMs: number) {
    this.#kv = kv;
    this.leaseMs = leaseMs;
    this.lookMs = lookMsOf(leaseMs);
  }

  /** The entry of a presence. */
  static keyOf(id: string): string {
    return `alive.${id}`;
  }

  /**
   * Sees to it that the entry is there, before anything points to it, and until `end`. Those who ask at once wait one after another,
   * each no longer than its own patience.
   * @throws HoldfastError `STORE_FAILED`, `TIMEOUT` by the signal
   */
  async begin(patienceMs: number, signal: AbortSignal | undefined): Promise<void> {
    const beganMs = performance.now();
    this.#users++;
    try {
      await unlessAborted(
        this.#inTurn(async () => {
          if (this.#timer !== undefined) return;
          refuseAborted(signal);
          const leftMs = beganMs + patienceMs - performance.now();
          // Who has waited all the time for another one's attempt need not make one of his own.
          if (leftMs <= 0 && this.#failedMs > beganMs) throw storeFailed(`${NOT_SAID}: the servers have not answered`);
          this.#sent = await insist(NOT_SAID, leftMs, () => this.#put(), signal);
          this.#schedule();
        }),
        signal,
      );
    } catch (error) {
      // Not waited for: what is under way may still say so.
      void this.end();
      throw error;
    }
  }

  /** Renews the entry; when that was sent. */
  async #put(): Promise<Moment> {
    const sent = moment();
    try {
      await this.#kv.put(Presence.keyOf(this.id), JSON.stringify({ leaseMs: this.leaseMs }), {
        timeout: Math.max(this.leaseMs / RENEWALS, 100),
      });
    } catch (error) {
      this.#failedMs = performance.now();
      throw error;
    }
    return sent;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#inTurn(() => this.#renew()).catch(() => {});
    }, this.leaseMs / RENEWALS);
    // It must not keep a process alive.
    if (typeof this.#timer === "object") this.#timer.unref?.();
  }

  async #renew(): Promise<void> {
    if (this.#users === 0) {
      // Whoever ends it is in turn next, and finds it begun again perhaps.
      if (this.#timer !== undefined) this.#schedule();
      return;
    }
    try {
      const sent = await this.#put();
      // Whoever watched may have seen nothing for a whole lease.
      if (msSince(this.#sent) >= this.leaseMs) for (const lease of this.#leases) this.#doubts.set(lease, sent);
      this.#sent = sent;
      // None of this is waited for: the next renewal must not be late.
      for (const [lease, since] of this.#doubts) void this.#look(lease, since);
      for (const [token, giveBack] of [...this.#owed]) void this.#settle(token, giveBack);
    } catch {
      // Servers that do not answer are asked again; meanwhile the log says who may write.
    }
    this.#schedule();
  }

  /**
   * Looks whether a lease is still held here. Whoever has seen the silence may take it a moment later: what counts is the look with a
   * renewal after the one that has ended it.
   */
  async #look(lease: Lease, since: Moment): Promise<void> {
    const counts = since !== this.#sent;
    try {
      await lease.check();
    } catch {
      // It is looked at again with the next renewal.
      return;
    }
    if (counts && this.#doubts.get(lease) === since) this.#doubts.delete(lease);
  }

  /** Tries once to give back what is owed; where that fails it stays so, unless something later is owed for the same database. */
  async #settle(token: string, giveBack: () => Promise<void>): Promise<void> {
    this.#owed.delete(token);
    try {
      await giveBack();
    } catch {
      if (!this.#owed.has(token)) this.#owed.set(token, giveBack);
    }
  }

  /** Whether nobody can have taken a lease for want of renewals, by this process's clocks. */
  isSureOf(lease: Lease): boolean {
    return !this.#doubts.has(lease) && msSince(this.#sent) < this.leaseMs;
  }

  /** The watch of another presence, shared by all who wait for it here. */
  watch(id: string): Watch {
    for (const [other, watch] of this.#watches) if (watch.isStale) this.#watches.delete(other);
    const watch = this.#watches.get(id) ?? new Watch(this.#kv, id, this.leaseMs);
    this.#watches.set(id, watch);
    return watch;
  }

  add(lease: Lease): void {
    this.#leases.add(lease);
  }

  forget(lease: Lease): void {
    this.#leases.delete(lease);
    this.#doubts.delete(lease);
  }

  /** From before an entry names a lease until it need not be waited for any more. */
  claim(lease: string): void {
    this.#claims.add(lease);
  }

  disclaim(lease: string): void {
    this.#claims.delete(lease);
  }

  /** Whether a lease is held here or about to be taken: an entry that names this presence by another one is a left-over. */
  claims(lease: string): boolean {
    return this.#claims.has(lease);
  }

  /** Calls `giveBack` with each renewal until it does not throw: as long as this process lives others wait for what it names. */
  owe(token: string, giveBack: () => Promise<void>): void {
    this.#owed.set(token, giveBack);
  }

  /** Without leases there is nothing that anybody could wait for. Never throws. */
  async end(): Promise<void> {
    this.#users--;
    if (this.#users > 0) return;
    await this.#inTurn(async () => {
      if (this.#users > 0 || this.#timer === undefined) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      await this.#kv.delete(Presence.keyOf(this.id)).catch(() => {});
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => {});
    return done;
  }
}

/** That a database is this process's. */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #id: string;
  readonly #revision: number;
  #isOver = false;
  /** Called once where somebody else has it. */
  onLost: ((reason: string) => void) | undefined;

  private constructor(options: LeaseOptions, id: string, revision: number) {
    this.#options = options;
    this.#id = id;
    this.#revision = revision;
    options.presence.add(this);
  }

  /**
   * Takes the lease: at once where nobody has it, and where its owner has not renewed his presence for as long as that is to last.
   * @throws HoldfastError `LOCKED` with the owner while that one lives, `TIMEOUT` by the signal, `STORE_FAILED`
   */
  static async acquire(options: LeaseOptions): Promise<Lease> {
    const { presence, patienceMs, signal } = options;
    await presence.begin(patienceMs, signal);
    try {
      return await Lease.#acquire(options);
    } catch (error) {
      await presence.end();
      throw error;
    }
  }

  static async #acquire(options: LeaseOptions): Promise<Lease> {
    const { presence, waitMs, signal } = options;
    const endMs = performance.now() + waitMs;
    for (;;) {
      refuseAborted(signal);
      const entry = await look(options);
      const owner = isThere(entry) ? ownerOf(entry) : undefined;
      const watch = owner === undefined || owner.by === presence.id ? undefined : presence.watch(owner.by);
      let state: State = owner !== undefined && presence.claims(owner.lease) ? "alive" : "dead";
      if (watch !== undefined) state = await unlessAborted(watch.look(options), signal);
      if (watch?.isDoubtful) options.onDoubt?.();
      if (state === "dead") {
        const lease = await Lease.#take(options, entry?.revision ?? 0);
        if (lease !== undefined) return lease;
      } else if (state !== "unknown" && performance.now() >= endMs) {
        throw locked(options, owner);
      }
      await pause(watch?.lookMs ?? presence.lookMs);
    }
  }

  /** The lease, nothing where somebody else was faster. */
  static async #take(options: LeaseOptions, before: number): Promise<Lease | undefined> {
    const { presence, token } = options;
    const id = crypto.randomUUID();
    presence.claim(id);
    let revision: number | undefined;
    try {
      revision = await take(options, id, before);
    } catch (error) {
      presence.owe(token, takeBack(options, before));
      throw error;
    } finally {
      if (revision === undefined) presence.disclaim(id);
    }
    return revision === undefined ? undefined : new Lease(options, id, revision);
  }

  /** Whether nobody can have taken it meanwhile, as long as clocks run at the same pace. */
  get isFresh(): boolean {
    return !this.#isOver && this.#options.presence.isSureOf(this);
  }

  /** Looks whether it is still this process's. */
  async check(): Promise<void> {
    const entry = await this.#options.kv.get(keyOf(this.#options));
    // An older one is what a server says that does not know of its successor yet.
    if (this.#isOver || entry === null || entry.revision <= this.#revision) return;
    this.#isOver = true;
    this.onLost?.(`another owner has taken ${this.#options.name} over`);
    // Not waited for: whoever asks is in turn himself.
    void this.#leave();
  }

  async #leave(): Promise<void> {
    const { presence } = this.#options;
    presence.forget(this);
    presence.disclaim(this.#id);
    await presence.end();
  }

  /** Gives it back, so that the next owner need not wait. Never throws. */
  async release(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { presence, token, name, patienceMs } = this.#options;
    const giveBack = (): Promise<void> => remove(this.#options, this.#revision);
    try {
      // After a lease others need not wait any more, or are let in by the renewals.
      await insist(`Cannot give ${name} back`, Math.min(patienceMs, presence.leaseMs), giveBack);
    } catch {
      presence.owe(token, giveBack);
    }
    await this.#leave();
  }
}

type State = "alive" | "dead" | "unknown";

/** Looks at somebody's presence again and again. */
class Watch {
  readonly id: string;
  lookMs: number;
  readonly #kv: KV;
  #leaseMs: number;
  #revision = -1;
  /** When that was first seen, whether it was seen to come, and when it was last looked at. */
  #sinceMs = 0;
  #isRenewed = false;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<State> | undefined;

  /** @param leaseMs of whoever says no other */
  constructor(kv: KV, id: string, leaseMs: number) {
    this.#kv = kv;
    this.id = id;
    this.#leaseMs = leaseMs;
    this.lookMs = lookMsOf(leaseMs);
  }

  /** Whether nobody has looked for so long that it has to begin anew. */
  get isStale(): boolean {
    return this.#looking === undefined && performance.now() - this.#lookedMs > this.#leaseMs;
  }

  /**
   * `alive` once it was seen to be renewed, `dead` once it was not for a whole lease; `unknown` until then. Of the time between two
   * answers of the servers no more counts than that between two renewals: whoever lives could not renew it either while they do not
   * answer, and yet servers that are always slow let somebody take over in the end.
   */
  look({ name, patienceMs }: LeaseOptions): Promise<State> {
    if (performance.now() - this.#lookedMs < this.lookMs) return Promise.resolve(this.#state);
    this.#looking ??= insist(`Cannot look who has ${name}`, patienceMs, () => this.#look()).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<State> {
    const entry = await this.#kv.get(Presence.keyOf(this.id));
    const nowMs = performance.now();
    const wasAwayMs = nowMs - this.#lookedMs;
    this.#lookedMs = nowMs;
    // He has given back all that he had, and what still names him was left by his end.
    if (!isThere(entry)) {
      this.#sinceMs = Number.NEGATIVE_INFINITY;
      return this.#state;
    }
    this.#leaseMs = leaseMsOf(entry) ?? this.#leaseMs;
    this.lookMs = lookMsOf(this.#leaseMs);
    if (entry.revision !== this.#revision) {
      this.#isRenewed = this.#revision !== -1;
      this.#revision = entry.revision;
      this.#sinceMs = nowMs;
    } else {
      this.#sinceMs += Math.max(0, wasAwayMs - this.#leaseMs / RENEWALS);
    }
    return this.#state;
  }

  /** Whether a renewal is long overdue. */
  get isDoubtful(): boolean {
    return this.#silenceMs >= (1.5 * this.#leaseMs) / RENEWALS;
  }

  get #silenceMs(): number {
    return this.#lookedMs - this.#sinceMs;
  }

  get #state(): State {
    if (this.#silenceMs >= this.#leaseMs) return "dead";
    return this.#isRenewed ? "alive" : "unknown";
  }
}

const lookMsOf = (leaseMs: number): number => Math.min(leaseMs / LOOKS, LOOK_MS_MAX);

/** What a promise gives, unless the signal fires first. @throws HoldfastError `TIMEOUT` by the signal */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stop = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener("abort", stop, { once: true });
  });
  if (signal.aborted) stop();
  try {
    await Promise.race([promise, aborted]);
    refuseAborted(signal);
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const keyOf = ({ token }: LeaseOptions): string => `run.${token}`;

function look(options: LeaseOptions): Promise<KvEntry | null> {
  const { kv, name, patienceMs, signal } = options;
  return insist(`Cannot look who has ${name}`, patienceMs, () => kv.get(keyOf(options)), signal);
}

function isThere(entry: KvEntry | null): entry is KvEntry {
  return entry !== null && entry.operation === "PUT";
}

function ownerOf(entry: KvEntry): Owner | undefined {
  const value = parsed(entry);
  return typeof value["by"] === "string" ? (value as unknown as Owner) : undefined;
}

function leaseMsOf(entry: KvEntry): number | undefined {
  const { leaseMs } = parsed(entry);
  return typeof leaseMs === "number" && leaseMs > 0 ? leaseMs : undefined;
}

function parsed(entry: KvEntry): Record<string, unknown> {
  try {
    return entry.json<Record<string, unknown>>() ?? {};
  } catch {
    return {};
  }
}

/** Takes an entry away, unless somebody has made another one since. */
async function remove(options: LeaseOptions, revision: number): Promise<void> {
  try {
    await options.kv.delete(keyOf(options), { previousSeq: revision });
  } catch (error) {
    if (!isWrongLast(error)) throw error;
  }
}

/**
 * What takes an entry away that was made behind revision `before` perhaps, by an attempt that was not answered: it throws while the
 * entry may still come. After a whole lease without it, it does not.
 */
function takeBack(options: LeaseOptions, before: number): () => Promise<void> {
  const { kv, presence } = options;
  let looks = 0;
  return async () => {
    const entry = await kv.get(keyOf(options));
    const revision = entry?.revision ?? 0;
    const owner = isThere(entry) ? ownerOf(entry) : undefined;
    if (owner?.by === presence.id && !presence.claims(owner.lease)) return remove(options, revision);
    // Behind any other entry it is refused.
    if (revision <= before && ++looks < RENEWALS) throw new Error("It may still come");
  };
}

/** The revision of the entry that was made, nothing where somebody else was faster. */
async function take(options: LeaseOptions, lease: string, revision: number): Promise<number | undefined> {
  const { kv, patienceMs, name, presence, signal } = options;
  const key = keyOf(options);
  const mine = JSON.stringify({
    by: presence.id,
    lease,
    since: new Date().toISOString(),
  } satisfies Owner);
  try {
    // Behind this revision and no other: what comes late is looked for there.
    const put = () => kv.put(key, mine, { previousSeq: revision });
    return await insist(`Cannot take ${name}`, patienceMs, put, signal);
  } catch (error) {
    if (!isWrongLast(error)) throw HoldfastError.is(error) ? error : storeFailed(`Cannot take ${name}`, error);
  }
  // It may have arrived the first time.
  const entry = await look(options);
  return isThere(entry) && entry.string() === mine ? entry.revision : undefined;
}

function locked({ name }: LeaseOptions, owner: Owner | undefined): HoldfastError {
  return new HoldfastError(
    "LOCKED",
    `The database ${name} has an owner who lives. Close it there, or pass waitMs to wait for that.`,
    { details: { name, owner } },
  );
}
