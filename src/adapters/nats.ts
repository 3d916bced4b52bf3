/**
 * A storage on NATS JetStream: a database is a subject of a stream, and lives as long as the servers have it.
 *
 *     <STREAM>.log.<name>    the log, message by message (`nats-frames.ts`, `nats-fold.ts`)
 *     object store           the checkpoints
 *     key-value store        who has the database open, and which processes live (`nats-lease.ts`)
 *
 * What the modes mean there:
 *
 *     buffered              the commit is in this process when the call returns, and goes to the servers in the background, together
 *                           with all that came meanwhile
 *     strict, asynchronous  acknowledged: a majority of the stream's replicas has it. Each of them writes it to its file before that,
 *                           and syncs the file every `sync_interval` (two minutes unless the server's configuration says `always`): it
 *                           survives the loss of a minority of machines at once, and not that of a majority's power within that time
 *     strict, synchronous   refused: servers are asked asynchronously
 */
import { type JetStreamManager, jetstream } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/nats-core";
import { Objm } from "@nats-io/obj";
import { HoldfastError } from "../errors.js";
import { refuseAborted } from "./failures.js";
import { CheckpointObjects } from "./nats-checkpoints.js";
import { Fold } from "./nats-fold.js";
import { OPERATIONS } from "./nats-frames.js";
import { Lease, Presence } from "./nats-lease.js";
import { NatsSession, readOn, readSubject } from "./nats-session.js";
import { apiCode, failure, insist, isMissing, Overtaken, Subject } from "./nats-subject.js";
import type { Storage, StorageCapabilities, StorageOpenOptions, StorageSession } from "./storage.js";

/** Options of {@link nats}. */
export interface NatsOptions {
  /** The stream, and the buckets beside it; they are made where there are none. `"HOLDFAST"` if left out. */
  readonly stream?: string | undefined;
  /** On how many servers what is made is kept, 1 to 5; 3 in a cluster if left out. */
  readonly replicas?: number | undefined;
  /** Milliseconds after which an owner who has not been heard of counts as dead, at least 300; 10,000 if left out. */
  readonly leaseMs?: number | undefined;
  /** Milliseconds for which an owner who lives is waited for; 0 if left out. */
  readonly waitMs?: number | undefined;
  /**
   * Milliseconds for which servers that do not answer, or are not enough yet, are asked again, before a write fails; 30,000 if left
   * out.
   */
  readonly patienceMs?: number | undefined;
  /** The most bytes that the stream is to take, where it is made; no limit but the servers' if left out. */
  readonly maxBytes?: number | undefined;
}

const CAPABILITIES: StorageCapabilities = {
  kind: "nats",
  mechanism: "acknowledged by the replicas",
  persistent: true,
  syncAppend: false,
  syncFlush: false,
  asyncFlush: true,
  durableAppend: true,
  recordBytesMax: 32 * 1024 * 1024 + 64 * 1024,
  segmentBytesTarget: 16 * 1024 * 1024,
};

/** @internal */
export const STREAM = "HOLDFAST";
const LEASE_MS = 10_000;
const LEASE_MS_MIN = 300;
const PATIENCE_MS = 30_000;
const REPLICAS_MAX = 5;
const EPOCH_MAX = 2 ** 32 - 1;
const NAME_TAKEN = 10058;
const NOTHING = new Uint8Array(0);
/** How often an opening begins again because somebody who was overtaken has still written meanwhile. */
const ATTEMPTS_MAX = 10;

interface Settings {
  readonly stream: string;
  readonly replicas: number;
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly patienceMs: number;
  readonly maxBytes: number;
}

/**
 * A storage of that name over an open connection, which stays the caller's: close it after the database.
 * @throws HoldfastError `INVALID_ARGUMENT`
 */
export function nats(connection: NatsConnection, name: string, options: NatsOptions = {}): Storage {
  const settings = settingsOf(connection, name, options);
  return { capabilities: CAPABILITIES, open: (how) => openSession(connection, name, settings, how) };
}

/**
 * Removes the database of that name with everything in it; without complaint where there is none. Whoever has it open is locked out.
 * @throws HoldfastError `INVALID_ARGUMENT`, `STORE_FAILED`
 */
export async function removeNats(connection: NatsConnection, name: string, options: NatsOptions = {}): Promise<void> {
  const settings = settingsOf(connection, name, options);
  const what = `Cannot remove the database ${name}`;
  try {
    const place = await placeOf(connection, name, settings, false);
    for (const object of await objectsOf(new Subject(place))) await place.objects.remove(object);
    await insist(what, settings.patienceMs, () => place.jsm.streams.purge(settings.stream, { filter: place.subject }));
    await insist(what, settings.patienceMs, () => place.kv.purge(`run.${tokenOf(name)}`));
  } catch (error) {
    if (!HoldfastError.is(error, "NOT_FOUND")) throw failure(what, error);
  }
}

/** The checkpoints that a log speaks of, whether it is whole or not. */
async function objectsOf(subject: Subject): Promise<Iterable<string>> {
  const fold = new Fold(() => false);
  const end = await subject.end();
  try {
    if (end > 0) await subject.replay(1, end, (sequence, message) => fold.take(sequence, message));
  } catch (error) {
    if (!HoldfastError.is(error, "CORRUPTION")) throw error;
  }
  return fold.checkpoints.keys();
}

function settingsOf(connection: NatsConnection, name: string, options: NatsOptions): Settings {
  const refuse = (what: string): HoldfastError => new HoldfastError("INVALID_ARGUMENT", `nats: ${what}.`);
  if (typeof connection?.request !== "function") throw refuse("pass a connection, as connect() of the client gives it");
  if (typeof name !== "string" || name === "") throw refuse("the name must be a non-empty string");
  if (typeof options !== "object" || options === null) throw refuse("pass the options as an object, or leave them out");
  const { stream = STREAM, leaseMs = LEASE_MS, waitMs = 0, patienceMs = PATIENCE_MS, maxBytes = -1 } = options;
  const { replicas = connection.info?.cluster === undefined ? 1 : 3 } = options;
  if (typeof stream !== "string" || !/^[-\w]+$/.test(stream))
    throw refuse("stream must be of letters, digits, - and _");
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAX) throw refuse("replicas must be 1 to 5");
  if (!Number.isFinite(leaseMs) || leaseMs < LEASE_MS_MIN) throw refuse(`leaseMs must be ${LEASE_MS_MIN} at least`);
  if (!(waitMs >= 0) || !(patienceMs >= 0)) throw refuse("waitMs and patienceMs must be 0 or more");
  if (maxBytes !== -1 && !(Number.isSafeInteger(maxBytes) && maxBytes > 0)) throw refuse("maxBytes must be above 0");
  return { stream, replicas, leaseMs, waitMs, patienceMs, maxBytes };
}

/** The presences of this process, by connection. */
const presences = new WeakMap<NatsConnection, Map<string, Presence>>();

function presenceOf(connection: NatsConnection, kv: KV, { stream, leaseMs }: Settings): Presence {
  const mine = presences.get(connection) ?? new Map<string, Presence>();
  presences.set(connection, mine);
  const key = `${stream} ${leaseMs}`;
  const presence = mine.get(key) ?? new Presence(kv, leaseMs);
  mine.set(key, presence);
  return presence;
}

/** A name as one token of a subject. @internal */
export function tokenOf(name: string): string {
  if (/^[-\w]+$/.test(name)) return name;
  const bytes = new TextEncoder().encode(name);
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `=${base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

type Place = Awaited<ReturnType<typeof placeOf>>;

/**
 * Where the database of that name is; what holds it is made where it is missing and `makes` says so.
 * @throws HoldfastError `NOT_FOUND` where it is missing otherwise
 */
async function placeOf(
  connection: NatsConnection,
  name: string,
  settings: Settings,
  makes: boolean,
  signal?: AbortSignal,
) {
  const { stream, replicas, patienceMs } = settings;
  const js = jetstream(connection);
  const reach = <T>(call: () => Promise<T>): Promise<T> => insist("Cannot reach JetStream", patienceMs, call, signal);
  const jsm = await reach(() => js.jetstreamManager(false));
  if (makes) await reach(() => ensureStream(jsm, settings));
  else if (!(await reach(() => hasStream(jsm, stream)))) throw notThere(name);
  const leases = new Kvm(js);
  const kv = await reach(() =>
    makes ? leases.create(stream, { history: 1, replicas, allow_direct: false }) : leases.open(stream),
  );
  const stores = new Objm(js);
  const store = await reach(() => (makes ? stores.create(stream, { replicas }) : stores.open(stream)));
  const subject = `${stream}.log.${tokenOf(name)}`;
  return { connection, js, jsm, kv, stream, subject, patienceMs, objects: new CheckpointObjects(store) };
}

function notThere(name: string): HoldfastError {
  return new HoldfastError("NOT_FOUND", `There is no database ${name}. Open without readOnly to make one.`);
}

async function hasStream(jsm: JetStreamManager, stream: string): Promise<boolean> {
  try {
    await jsm.streams.info(stream);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function ensureStream(jsm: JetStreamManager, { stream, replicas, maxBytes }: Settings): Promise<void> {
  if (await hasStream(jsm, stream)) return;
  try {
    await jsm.streams.add({
      name: stream,
      subjects: [`${stream}.log.>`],
      num_replicas: replicas,
      max_bytes: maxBytes,
      // Refuse what does not fit; nothing that was acknowledged is ever pushed out.
      discard: "new",
    });
  } catch (error) {
    // Somebody else was faster.
    if (apiCode(error) !== NAME_TAKEN) throw error;
  }
}

async function openSession(
  connection: NatsConnection,
  name: string,
  settings: Settings,
  { readOnly, signal, onLockedOut }: StorageOpenOptions,
): Promise<StorageSession> {
  refuseAborted(signal);
  let lease: Lease | undefined;
  let ahead: Promise<Fold | undefined> | undefined;
  try {
    const place = await placeOf(connection, name, settings, !readOnly, signal);
    const { kv, objects } = place;
    const token = tokenOf(name);
    if (!readOnly) {
      const { waitMs, patienceMs } = settings;
      const presence = presenceOf(connection, kv, settings);
      // Until the lease of a dead owner is over there is time to read what he has left.
      const onDoubt = (): void => {
        ahead ??= readSubject(new Subject(place)).catch(() => undefined);
      };
      lease = await Lease.acquire({ kv, presence, token, name, waitMs, patienceMs, signal, onDoubt });
    }
    const { subject, fold } = await takeOver(place, readOnly, await ahead);
    subject.isSure = () => lease?.isFresh === true;
    if (readOnly && fold.last === 0) throw notThere(name);
    const epoch = readOnly ? 0 : subject.epoch;
    const session = new NatsSession({ subject, objects, fold, epoch, lease, prefix: token, onLockedOut });
    if (!readOnly) await session.removeLeftOvers();
    return session;
  } catch (error) {
    await lease?.release();
    throw failure(`Cannot open the database ${name}`, error);
  }
}

/** What is there, read to an end behind which nobody else can write any more; `ahead` was read before. */
async function takeOver(
  place: Place,
  readOnly: boolean,
  ahead: Fold | undefined,
): Promise<{ subject: Subject; fold: Fold }> {
  for (let attempt = 1; ; attempt++) {
    const subject = new Subject(place);
    const fold = await (attempt === 1 && ahead !== undefined ? readOn(subject, ahead) : readSubject(subject));
    if (readOnly) return { subject, fold };
    if (fold.epoch >= EPOCH_MAX) throw new Error("The database has used up its epochs; export it and import it anew");
    subject.follow(fold.last, fold.epoch + 1);
    try {
      fold.last = (await subject.write(OPERATIONS.own, 0, fold.last + 1, NOTHING)).last;
      return { subject, fold };
    } catch (error) {
      if (!(error instanceof Overtaken) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
