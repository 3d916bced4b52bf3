/**
 * What writes until it is killed, and what looks at what is left: the same in a page and in a worker.
 *
 * Commit number i, counted from 1, writes i under three keys, under one of eight keys in turn, and appends the event i with a
 * payload of some length. So of any state it can be told up to which commit it goes, and whether of each it has all or nothing.
 */
import { indexedDb } from "../../dist/adapters/indexeddb.js";
import { opfs, removeOpfs } from "../../dist/adapters/opfs.js";
import { Database } from "../../dist/index.js";

const RUN = "ledger";
const KEYS = 8;
const IN_FLIGHT = 4;
const PAYLOAD_BYTES_MAX = 6_000;
/** What `bulk` adds to a commit, to be told apart from its payload. */
const BULK_KEY = "bulk";
/** The most random bytes that are given out at once. */
const NOISE_BYTES = 65_536;

/** Tells the parent process something, and returns when it has it. */
async function tell(path, about) {
  const response = await fetch(`/${path}`, { method: "POST", body: JSON.stringify(about) });
  if (!response.ok) throw new Error(`The parent answered ${response.status}`);
}

const storageOf = ({ storage, name }) => (storage === "opfs" ? opfs(name) : indexedDb(name));

const codeOf = (error) =>
  typeof error?.code === "string" && error.name === "HoldfastError" ? error.code : String(error);

/** The name of an error and those of its causes. */
const namesOf = (error) => (error instanceof Error ? [error.name, ...namesOf(error.cause)] : []);

/** Bytes that no storage can make smaller. */
function noise(byteLength) {
  const bytes = new Uint8Array(byteLength);
  for (let at = 0; at < byteLength; at += NOISE_BYTES) crypto.getRandomValues(bytes.subarray(at, at + NOISE_BYTES));
  return bytes;
}

/** One more commit on top of what the transaction sees; returns its number. */
function write(tx, bulk) {
  const i = (tx.kv.get("a") ?? 0) + 1;
  tx.kv.put("a", i);
  if (bulk !== undefined) tx.kv.put(`${BULK_KEY}${i}`, noise(bulk));
  tx.kv.put(`k${i % KEYS}`, i);
  tx.events.append("step", { i, payload: "x".repeat((i * 997) % PAYLOAD_BYTES_MAX) });
  if (tx.state.has("c")) tx.state.set("c", i);
  else tx.state.init("c", i);
  tx.kv.put("b", i);
  return i;
}

let opened;

/** Opens, and says how long that took, or with which code it was refused. */
async function open(settings) {
  const start = performance.now();
  try {
    opened = await Database.open({ storage: storageOf(settings), durability: settings.durability ?? "strict" });
    return { ms: performance.now() - start };
  } catch (error) {
    return { ms: performance.now() - start, code: codeOf(error) };
  }
}

/**
 * Commits until something ends it, and tells the parent of each commit that was acknowledged before it makes the next; with
 * `checkpoints` there is one behind each.
 */
async function writeOn({ id, how, bulk, checkpoints = false, count = Number.POSITIVE_INFINITY }) {
  const run = opened.run(RUN);
  opened.on("locked-out", (reason) => void tell("event", { id, event: "locked-out", reason }).catch(() => {}));
  try {
    const options = { durability: "strict", retry: { attempts: 100, baseMs: 1, maxMs: 10 } };
    let left = count;
    const one = async () => {
      while (left-- > 0) {
        const add = (tx) => write(tx, bulk);
        const i = how === "sync" ? run.transaction(add) : await run.transactionAsync(add, options);
        await tell("ack", { id, i });
        if (checkpoints) await opened.checkpoint();
      }
    };
    // Side by side they share flushes: one that is told of has everything that it has read before it durable, too.
    await Promise.all(Array.from({ length: how === "async" ? IN_FLIGHT : 1 }, one));
    await tell("event", { id, event: "over" });
  } catch (error) {
    const about = { id, event: "ended", code: codeOf(error), message: String(error), names: namesOf(error) };
    await tell("event", about).catch(() => {});
  }
}

/** What there is. `commits` is up to which commit it goes; `faults` what of it is in part, or out of order. */
function look() {
  const run = opened.run(RUN);
  const commits = run.kv.get("a") ?? 0;
  const faults = [];
  const expect = (what, actual, expected) => {
    if (actual !== expected) faults.push(`${what} is ${actual}, not ${expected}`);
  };
  expect("b", run.kv.get("b") ?? 0, commits);
  expect("c", run.state.read("c")?.value ?? 0, commits);
  expect("the number of events", run.events.length, commits);
  for (let key = 0; key < KEYS; key += 1) {
    const newest = commits - ((commits - key + KEYS) % KEYS);
    expect(`k${key}`, run.kv.get(`k${key}`), newest > 0 ? newest : undefined);
  }
  for (const { sequence, payload } of run.events.range(0, run.events.length)) {
    expect(`event ${sequence}`, payload.i, sequence + 1);
    expect(`the payload of event ${sequence}`, payload.payload.length, (payload.i * 997) % PAYLOAD_BYTES_MAX);
  }
  expect("the chain of events", run.events.verify().valid, true);
  expect("the heap", opened.verify().valid, true);
  return { commits, faults: faults.slice(0, 5), info: opened.storageInfo };
}

const beside = (name) => `beside-${name}`;

/** A database that is none of Holdfast's, with one value that was committed strictly before the first commit of the case. */
async function plantBeside({ name }) {
  const request = indexedDB.open(beside(name), 1);
  request.onupgradeneeded = () => request.result.createObjectStore("values");
  const database = await resultOf(request);
  await new Promise((resolve, reject) => {
    const transaction = database.transaction("values", "readwrite", { durability: "strict" });
    transaction.objectStore("values").put(true, "planted");
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  database.close();
}

/** Whether the browser still has what was planted; where it has not, the browser has lost what it kept, whoever wrote it. */
async function isBeside({ name }) {
  return (await indexedDB.databases()).some((database) => database.name === beside(name));
}

async function close() {
  await opened?.close();
}

/** What only these tests do to a database from outside. */
async function meddle({ what, name }) {
  if (what === "delete") return outcomeOf(indexedDB.deleteDatabase(name));
  if (what === "upgrade") return outcomeOf(indexedDB.open(name, 99));
  if (what === "fail a request") return failNextPut(undefined);
  if (what === "no room for a request") return failNextPut("QuotaExceededError");
  if (what === "abandon a checkpoint") return abandonCheckpoint(name);
  if (what === "remove files") {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
    await root.removeEntry(name, { recursive: true });
    return "done";
  }
  if (what === "vanished") {
    const session = await opfs(name).open({ readOnly: false });
    const { fresh, vanished, epoch } = session;
    await session.close();
    await removeOpfs(name);
    return { fresh, vanished, epoch };
  }
  return undefined;
}

/**
 * Has the request of the next put fail, with an error of that name or as a second one of its key does. Its transaction says nothing
 * of that, as is right for one that is aborted by whoever hears of the request; not every browser keeps to it.
 */
function failNextPut(name) {
  const { prototype } = IDBObjectStore;
  const { put } = prototype;
  prototype.put = function (value, key) {
    prototype.put = put;
    Object.defineProperty(this.transaction, "error", { value: null });
    this.add(value, key);
    const request = this.add(value, key);
    if (name !== undefined)
      Object.defineProperty(request, "error", { value: new DOMException("It is made up.", name) });
    return request;
  };
  return "done";
}

/** Gives a checkpoint up for whose end there was no room; what is left of it. */
async function abandonCheckpoint(name) {
  const session = await indexedDb(name).open({ readOnly: false });
  const writer = await session.beginCheckpoint(1);
  await writer.write(noise(NOISE_BYTES));
  failNextPut("QuotaExceededError");
  const outcome = await writer.commit().then(() => "committed", codeOf);
  await writer.abandon();
  await session.close();
  const database = await resultOf(indexedDB.open(name));
  const [store] = database.objectStoreNames;
  const keys = await resultOf(database.transaction(store).objectStore(store).getAllKeys());
  database.close();
  return { outcome, left: keys.filter(([kind]) => kind === "part" || kind === "checkpoint") };
}

function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function outcomeOf(request) {
  return new Promise((resolve) => {
    let wasBlocked = false;
    request.onblocked = () => {
      wasBlocked = true;
    };
    request.onsuccess = () => {
      request.result?.close?.();
      resolve(wasBlocked ? "done, but was blocked" : "done");
    };
    request.onerror = () => resolve(String(request.error));
  });
}

/** What can be asked for by its name. */
export const program = { open, writeOn, look, close, meddle, plantBeside, isBeside };
