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
 *  - a process that may have been taken for dead looks, as soon as it can renew again, which of its databases it still has.
 */
import type { KV, KvEntry } from "@nats-io/kv";
import { HoldfastError } from "../errors.js";
import { refuseAborted, storeFailed } from "./failures.js";
import { insist, isWrongLast } from "./nats-subject.js";

/** How often a presence is renewed in one lease, and how often one who waits looks. */
const RENEWALS = 3;
const LOOKS = 20;
const LOOK_MS_MAX = 200;

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
}

/** What stands in the entry of a database. */
interface Owner {
  readonly by: string;
  /** Which of all the times that a database was taken this is. */
  readonly lease: string;
  readonly since: string;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** That this process lives, as long as it has a lease. */
export class Presence {
  readonly id = crypto.randomUUID();
  readonly leaseMs: number;
  readonly #kv: KV;
  readonly #leases = new Set<Lease>();
  /** Leases, and who is about to take one. */
  #users = 0;
  /** What is done with the entry, one after another. */
  #tail: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the last renewal that has arrived was sent. */
  #sentMs = 0;

  constructor(kv: KV, leaseMs: number) {
    this.#kv = kv;
    this.leaseMs = leaseMs;
  }

  /** The entry of a presence. */
  static keyOf(id: string): string {
    return `alive.${id}`;
  }

  /** Sees to it that the entry is there, before anything points to it, and until `end`. */
  async begin(patienceMs: number): Promise<void> {
    this.#users++;
    try {
      await this.#inTurn(async () => {
        if (this.#timer !== undefined) return;
        await insist("Cannot say that this process lives", patienceMs, () => this.#put());
        this.#schedule();
      });
    } catch (error) {
      this.#users--;
      throw error;
    }
  }

  async #put(): Promise<void> {
    const sentMs = performance.now();
    await this.#kv.put(Presence.keyOf(this.id), JSON.stringify({ leaseMs: this.leaseMs }), {
      timeout: Math.max(this.leaseMs / RENEWALS, 100),
    });
    this.#sentMs = sentMs;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#inTurn(() => this.#renew()).catch(() => {});
    }, this.leaseMs / RENEWALS);
    // It must not keep a process alive.
    if (typeof this.#timer === "object") this.#timer.unref?.();
  }

  async #renew(): Promise<void> {
    if (this.#users === 0) return;
    const before = this.#sentMs;
    try {
      await this.#put();
      // Whoever watched may have seen nothing for a whole lease.
      if (performance.now() - before >= this.leaseMs)
        await Promise.all([...this.#leases].map((lease) => lease.check()));
    } catch {
      // Servers that do not answer are asked again; meanwhile the log says who may write.
    }
    this.#schedule();
  }

  add(lease: Lease): void {
    this.#leases.add(lease);
  }

  forget(lease: Lease): void {
    this.#leases.delete(lease);
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
  readonly #revision: number;
  #isOver = false;
  /** Called once where somebody else has it. */
  onLost: ((reason: string) => void) | undefined;

  private constructor(options: LeaseOptions, revision: number) {
    this.#options = options;
    this.#revision = revision;
    options.presence.add(this);
  }

  /**
   * Takes the lease: at once where nobody has it, and where its owner has not renewed his presence for as long as that is to last.
   * @throws HoldfastError `LOCKED` with the owner while that one lives, `TIMEOUT` by the signal, `STORE_FAILED`
   */
  static async acquire(options: LeaseOptions): Promise<Lease> {
    const { presence, patienceMs } = options;
    await presence.begin(patienceMs);
    try {
      return await Lease.#acquire(options);
    } catch (error) {
      await presence.end();
      throw error;
    }
  }

  static async #acquire(options: LeaseOptions): Promise<Lease> {
    const { waitMs, signal } = options;
    const endMs = performance.now() + waitMs;
    let watch: Watch | undefined;
    for (;;) {
      refuseAborted(signal);
      const entry = await look(options, keyOf(options));
      const owner = isThere(entry) ? ownerOf(entry) : undefined;
      if (watch === undefined || watch.id !== owner?.by) watch = owner && new Watch(options, owner.by);
      const state = (await watch?.look()) ?? "dead";
      if (state === "dead") {
        const revision = await take(options, entry?.revision ?? 0);
        if (revision !== undefined) return new Lease(options, revision);
      } else if (state === "alive" && performance.now() >= endMs) {
        throw locked(options, owner);
      }
      await pause(watch?.lookMs ?? 0);
    }
  }

  /** Looks whether it is still this process's. */
  async check(): Promise<void> {
    const entry = await this.#options.kv.get(keyOf(this.#options));
    if (this.#isOver || entry?.revision === this.#revision) return;
    this.#isOver = true;
    this.onLost?.(`another owner has taken ${this.#options.name} over`);
    await this.#leave();
  }

  async #leave(): Promise<void> {
    const { presence } = this.#options;
    presence.forget(this);
    await presence.end();
  }

  /** Gives it back, so that the next owner need not wait. Never throws. */
  async release(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#options.kv.delete(keyOf(this.#options), { previousSeq: this.#revision }).catch(() => {});
    await this.#leave();
  }
}

/** Looks at somebody's presence again and again. */
class Watch {
  readonly id: string;
  lookMs = LOOK_MS_MAX;
  readonly #options: LeaseOptions;
  #revision = -1;
  #sinceMs = 0;

  constructor(options: LeaseOptions, id: string) {
    this.#options = options;
    this.id = id;
  }

  /** `alive` once it was seen to be renewed, `dead` once it was not for a whole lease; `unknown` until then. */
  async look(): Promise<"alive" | "dead" | "unknown"> {
    const { presence } = this.#options;
    if (this.id === presence.id) return "alive";
    const entry = await look(this.#options, Presence.keyOf(this.id));
    // He has given back all that he had, and what still names him was left by his end.
    if (!isThere(entry)) return "dead";
    const leaseMs = leaseMsOf(entry) ?? presence.leaseMs;
    this.lookMs = Math.min(leaseMs / LOOKS, LOOK_MS_MAX);
    const nowMs = performance.now();
    if (entry.revision !== this.#revision) {
      const isFirst = this.#revision === -1;
      this.#revision = entry.revision;
      this.#sinceMs = nowMs;
      return isFirst ? "unknown" : "alive";
    }
    return nowMs - this.#sinceMs >= leaseMs ? "dead" : "unknown";
  }
}

const keyOf = ({ token }: LeaseOptions): string => `run.${token}`;

function look({ kv, name, patienceMs }: LeaseOptions, key: string): Promise<KvEntry | null> {
  return insist(`Cannot look who has ${name}`, patienceMs, () => kv.get(key));
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

/** The revision of the entry that was made, nothing where somebody else was faster. */
async function take(options: LeaseOptions, revision: number): Promise<number | undefined> {
  const { kv, patienceMs, name, presence } = options;
  const key = keyOf(options);
  const mine = JSON.stringify({
    by: presence.id,
    lease: crypto.randomUUID(),
    since: new Date().toISOString(),
  } satisfies Owner);
  try {
    return await insist(`Cannot take ${name}`, patienceMs, () =>
      revision === 0 ? kv.create(key, mine) : kv.update(key, mine, revision),
    );
  } catch (error) {
    if (!isWrongLast(error)) throw HoldfastError.is(error) ? error : storeFailed(`Cannot take ${name}`, error);
  }
  // It may have arrived the first time.
  const entry = await look(options, key);
  return isThere(entry) && entry.string() === mine ? entry.revision : undefined;
}

function locked({ name }: LeaseOptions, owner: Owner | undefined): HoldfastError {
  return new HoldfastError(
    "LOCKED",
    `The database ${name} has an owner who lives. Close it there, or pass waitMs to wait for that.`,
    { details: { name, owner } },
  );
}
