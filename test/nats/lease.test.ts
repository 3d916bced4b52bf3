/**
 * Who has a database, where calls about its entry or its owner's presence are not answered: here a connection loses or holds back
 * what a test names, and everything else reaches a real server.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type NatsOptions, nats } from "../../src/adapters/nats.js";
import { Lease, Presence } from "../../src/adapters/nats-lease.js";
import { Database, HoldfastError } from "../../src/index.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { describeWithServer } from "./server.js";

const LEASE_MS = 400;
/** For as long as nothing is answered calls are made again. */
const PATIENCE_MS = 600;
const MS_MAX = 20 * LEASE_MS;

type Asked = "renewal" | "take" | "give back" | "look";
/**
 * What is lost never arrives; what is unanswered does, at once or, where it is late, on delivery; what is held is sent then, and
 * answered.
 */
type Fate = "answered" | "lost" | "unanswered" | "late" | "held";

/** A connection whose calls about one database's entry, and about the presence of its owner, a test decides on. */
class Meddled {
  readonly to: NatsConnection;
  /** How often each was asked. */
  readonly asked: Record<Asked, number> = { renewal: 0, take: 0, "give back": 0, look: 0 };
  fateOf: (asked: Asked) => Fate = () => "answered";
  deliver: () => void = () => {};

  constructor(connection: NatsConnection, name: string) {
    const delivered = new Promise<void>((resolve) => {
      this.deliver = resolve;
    });
    const request: NatsConnection["request"] = async (subject, data, options) => {
      const send = () => connection.request(subject, data, options);
      const asked = askedOf(name, subject, typeof data === "string" ? data : new TextDecoder().decode(data));
      if (asked === undefined) return send();
      this.asked[asked]++;
      const fate = this.fateOf(asked);
      if (fate === "late") delivered.then(send).catch(() => {});
      if (fate === "held") await delivered;
      if (fate === "answered" || fate === "held") return send();
      if (fate === "unanswered") await send();
      throw new Error("timeout");
    };
    this.to = Object.create(connection, { request: { value: request } });
  }
}

function askedOf(name: string, subject: string, data: string): Asked | undefined {
  if (subject.includes(".alive.")) return "renewal";
  if (subject.endsWith(`.run.${name}`)) return data === "" ? "give back" : "take";
  return subject.includes(".MSG.GET.") && data.includes(`.run.${name}"`) ? "look" : undefined;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + MS_MAX;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${MS_MAX} ms`);
    await pause(5);
  }
}

describeWithServer("a lease on a server of NATS", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;
  let names = 0;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 1 });
    connection = await cluster.connect();
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    for (const end of ends.splice(0).reverse()) await end().catch(() => {});
  });

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  const storageOf = (name: string, over: NatsConnection, options: NatsOptions = {}) =>
    nats(over, name, { leaseMs: LEASE_MS, patienceMs: PATIENCE_MS, ...options });

  const open = async (
    name: string,
    over: NatsConnection = connection,
    { signal, ...options }: NatsOptions & { signal?: AbortSignal } = {},
  ): Promise<Database> => {
    const db = await Database.open({ storage: storageOf(name, over, options), signal });
    ends.push(() => db.close());
    return db;
  };

  const codeOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "nothing",
      (error: unknown) => (HoldfastError.is(error) ? error.code : String(error)),
    );

  /** A connection that is meddled with, of a process that lives as long as the test. */
  const process = async (name: string): Promise<Meddled> => {
    const own = new Meddled(connection, name);
    await open(`beside ${name}`, own.to);
    return own;
  };

  // While no server leads, what an owner gives back is refused, and his process lives on. Everybody waited for it then, for ever.
  test("that could not be given back keeps neither its own process out nor, once the servers answer, others", async () => {
    const name = `kept-${++names}`;
    const own = await process(name);
    own.fateOf = (asked) => (asked === "give back" ? "lost" : "answered");
    const began = performance.now();
    await (await open(name, own.to)).close();
    expect(performance.now() - began, "the close waits no longer than a lease").toBeLessThan(3 * LEASE_MS);
    expect(own.asked["give back"], "times that it was tried meanwhile").toBeGreaterThan(1);
    const again = await open(name, own.to);
    again.run("r").kv.put("n", 1);
    await again.close();
    expect(await codeOf(open(name))).toBe("LOCKED");
    own.fateOf = () => "answered";
    expect((await open(name, connection, { waitMs: MS_MAX })).run("r").kv.get("n")).toBe(1);
  });

  test("that is being given back is not taken away from whoever has taken it meanwhile", async () => {
    const name = `given-${++names}`;
    const own = await process(name);
    own.fateOf = (asked) => (asked === "give back" ? "lost" : "answered");
    await (await open(name, own.to)).close();
    const again = await open(name, own.to);
    const tried = own.asked["give back"];
    own.fateOf = () => "answered";
    await until("what is left over is given back", () => own.asked["give back"] > tried);
    await pause(LEASE_MS);
    expect(await codeOf(open(name))).toBe("LOCKED");
    await again.run("r").transactionAsync((tx) => tx.kv.put("n", 1), { durability: "strict" });
  });

  // What takes a database may arrive though its answer does not, and whoever asked for it gives up then. His process lives on.
  test.each([
    ["before the signal fires", "TIMEOUT", true],
    ["before patience ends", "STORE_FAILED", false],
  ])("that was taken and not acknowledged %s keeps nobody out", async (_, code, hasSignal) => {
    const name = `unacknowledged-${++names}`;
    const own = await process(name);
    own.fateOf = (asked) => (asked === "take" ? "unanswered" : "answered");
    const signal = hasSignal ? AbortSignal.timeout(PATIENCE_MS / 3) : undefined;
    expect(await codeOf(open(name, own.to, signal && { signal }))).toBe(code);
    own.fateOf = () => "answered";
    await open(name, connection, { waitMs: MS_MAX }).then((db) => db.close());
    own.fateOf = (asked) => (asked === "take" ? "unanswered" : asked === "give back" ? "lost" : "answered");
    expect(await codeOf(open(name, own.to))).toBe("STORE_FAILED");
    own.fateOf = (asked) => (asked === "give back" ? "lost" : "answered");
    await open(name, own.to);
  });

  test("whose taking arrives after it was given up keeps nobody out", async () => {
    const name = `late-${++names}`;
    const own = await process(name);
    own.fateOf = (asked) => (asked !== "take" ? "answered" : own.asked.take === 1 ? "late" : "lost");
    expect(await codeOf(open(name, own.to))).toBe("STORE_FAILED");
    own.fateOf = () => "answered";
    const leases = await new Kvm(connection).open("HOLDFAST");
    expect(await leases.get(`run.${name}`)).toBeNull();
    own.deliver();
    while ((await leases.get(`run.${name}`)) === null) await pause(5);
    await open(name, connection, { waitMs: MS_MAX });
  });

  // Those who wanted a process's first databases at once waited one after another, each for its whole patience, whatever their signals.
  test("of a process that cannot say that it lives is waited for no longer by many than by one, and only until a signal fires", async () => {
    const name = `unsaid-${++names}`;
    await open(`before ${name}`);
    const own = new Meddled(connection, name);
    own.fateOf = (asked) => (asked === "renewal" ? "lost" : "answered");
    const began = performance.now();
    const msOf = async (opening: Promise<Database>): Promise<[string, number]> => {
      const code = await codeOf(opening);
      return [code, performance.now() - began];
    };
    const five = Array.from({ length: 5 }, (_, n) => msOf(open(`${name} ${n}`, own.to)));
    const signalled = await msOf(open(`${name} 5`, own.to, { signal: AbortSignal.timeout(100) }));
    expect(signalled).toEqual(["TIMEOUT", expect.any(Number)]);
    expect(signalled[1]).toBeLessThan(PATIENCE_MS);
    for (const [code, ms] of await Promise.all(five)) {
      expect(code).toBe("STORE_FAILED");
      expect(ms).toBeLessThan(3 * PATIENCE_MS);
    }
    own.fateOf = () => "answered";
    await open(name, own.to);
    expect(await codeOf(open(name))).toBe("LOCKED");
  });

  test("whose taking was given up while its process was saying that it lives leaves nothing of that behind", async () => {
    const name = `given-up-${++names}`;
    await open(`before ${name}`);
    const leases = await new Kvm(connection).open("HOLDFAST");
    const living = async (): Promise<number> => {
      // One that is renewed meanwhile may be shown twice.
      const shown = new Set<string>();
      for await (const key of await leases.keys("alive.>")) shown.add(key);
      return shown.size;
    };
    const before = await living();
    const own = new Meddled(connection, name);
    own.fateOf = (asked) => (asked === "renewal" ? "held" : "answered");
    const given = new AbortController();
    const opening = codeOf(open(name, own.to, { signal: given.signal }));
    await until("it is being said", () => own.asked.renewal > 0);
    given.abort();
    expect(await opening).toBe("TIMEOUT");
    own.fateOf = () => "answered";
    own.deliver();
    await until("it is said, and taken back", () => own.asked.renewal > 1);
    await pause(LEASE_MS);
    expect(await living()).toBe(before);
    await open(name, own.to);
  });

  /** A lease by itself. */
  const leaseOf = async (name: string, own: Meddled): Promise<Lease> => {
    const kv = await new Kvm(own.to).create("HOLDFAST", { allow_direct: false });
    const presence = new Presence(kv, LEASE_MS);
    const options = { kv, presence, token: name, name, waitMs: 0, patienceMs: PATIENCE_MS, signal: undefined };
    const lease = await Lease.acquire(options);
    ends.push(() => lease.release());
    return lease;
  };

  /** Lets nothing be renewed for longer than a lease. */
  const silence = async (own: Meddled): Promise<void> => {
    own.fateOf = (asked) => (asked === "renewal" ? "lost" : "answered");
    await pause(1.5 * LEASE_MS);
  };

  // After a silence the first renewal made an owner sure again, while his look at what had happened meanwhile was under way.
  test("after a silence is believed only once it was looked at", async () => {
    const own = new Meddled(connection, `sure-${++names}`);
    const lease = await leaseOf(`sure-${names}`, own);
    ends.push(async () => own.deliver());
    expect(lease.isFresh).toBe(true);
    await silence(own);
    expect(lease.isFresh).toBe(false);
    const { look, renewal } = own.asked;
    own.fateOf = (asked) => (asked === "look" ? "held" : "answered");
    await until("it is looked at", () => own.asked.look > look);
    await until("it is renewed meanwhile", () => own.asked.renewal > renewal + 2);
    expect(lease.isFresh, "sure before it was looked at").toBe(false);
    own.deliver();
    await until("it is sure again", () => lease.isFresh);
  });

  // The look of an owner who had been away failed, and was never made again: one who only reads went on with what was another's.
  test("that another has taken is known as lost although the first looks fail", async () => {
    const name = `looked-${++names}`;
    const own = new Meddled(connection, name);
    const first = await open(name, own.to);
    const told: string[] = [];
    first.on("locked-out", (reason) => told.push(reason));
    own.fateOf = (asked) => (asked === "renewal" ? "lost" : "answered");
    await open(name);
    const { look } = own.asked;
    own.fateOf = (asked) => (asked === "look" && own.asked.look < look + 4 ? "lost" : "answered");
    await until("it is known", () => told.length > 0);
    expect(told).toEqual([`another owner has taken ${name} over`]);
    expect(own.asked.look - look).toBeGreaterThanOrEqual(4);
  });

  test("that another takes a moment after the first look is known as lost", async () => {
    const name = `raced-${++names}`;
    const own = new Meddled(connection, name);
    const lease = await leaseOf(name, own);
    const told: string[] = [];
    lease.onLost = (reason) => told.push(reason);
    await silence(own);
    const { look } = own.asked;
    own.fateOf = () => "answered";
    await until("it is looked at", () => own.asked.look > look);
    await pause(LEASE_MS / 10);
    await takenByAnother(name);
    await until("it is known", () => told.length > 0);
  });

  const takenByAnother = async (name: string): Promise<void> => {
    const leases = await new Kvm(connection).open("HOLDFAST");
    await leases.put(`run.${name}`, JSON.stringify({ by: "another", lease: "another's", since: "now" }));
  };

  // While a machine sleeps one of its clocks stands still, and its owner did not look then whether he had been taken for dead.
  test("that another has taken while the machine slept is known as lost", async () => {
    const name = `asleep-${++names}`;
    const lease = await leaseOf(name, new Meddled(connection, name));
    const told: string[] = [];
    lease.onLost = (reason) => told.push(reason);
    await takenByAnother(name);
    await pause(LEASE_MS);
    expect(told, "it is not looked at while it is renewed").toEqual([]);
    const wallMs = Date.now;
    vi.spyOn(Date, "now").mockImplementation(() => wallMs() + 3_600_000);
    expect(lease.isFresh).toBe(false);
    await until("it is known", () => told.length > 0);
    expect(lease.isFresh).toBe(false);
  });

  test.each([
    ["forward", 3_600_000],
    ["back", -3_600_000],
  ])("stays where a clock is set %s", async (_, byMs) => {
    const name = `set-${++names}`;
    const own = new Meddled(connection, name);
    const lease = await leaseOf(name, own);
    const wallMs = Date.now;
    vi.spyOn(Date, "now").mockImplementation(() => wallMs() + byMs);
    const { renewal } = own.asked;
    await until("it is renewed", () => own.asked.renewal > renewal + 4);
    expect(lease.isFresh).toBe(true);
  });
});
