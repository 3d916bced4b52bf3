/** Runs that processes take, hold, give back and take from one another: here each fleet stands for a process of its own. */
import { setTimeout as pause } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Fleet, type FleetOptions, type FleetRun } from "../../src/fleet/fleet.js";
import { HoldfastError } from "../../src/index.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { Wire } from "./proxy.js";
import { describeWithServer } from "./server.js";

const LEASE_MS = 600;
/** For how long servers that do not answer are waited for, where that is what a test is about. */
const PATIENCE_MS = 1_500;

describeWithServer("a fleet on a cluster of NATS", () => {
  let cluster: NatsServers;
  let ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 3 });
  });

  afterEach(async () => {
    for (const end of ends.reverse()) await end().catch(() => {});
    ends = [];
  });

  afterAll(() => cluster?.close());

  const fleetOf = async (options: FleetOptions = {}, given?: NatsConnection): Promise<Fleet> => {
    const connection = given ?? (await cluster.connect());
    const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS, ...options });
    ends.push(
      () => connection.close(),
      () => fleet.close(),
    );
    return fleet;
  };

  const codeOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "nothing",
      (error: unknown) => (HoldfastError.is(error) ? error.code : String(error)),
    );

  const strictly = (run: FleetRun, key: string): Promise<unknown> =>
    run.transactionAsync((tx) => tx.kv.put(key, 1), { durability: "strict" });

  test("gives a run with everything that runs have, and takes it back at the end of a block", async () => {
    const [one, other] = [await fleetOf(), await fleetOf()];
    let node: number;
    {
      await using run = await one.acquire("whole");
      expect(run.id).toBe("whole");
      run.kv.put("a", 1);
      run.transaction((tx) => tx.events.append("b", { c: 1 }));
      await run.transactionAsync((tx) => tx.state.set("d", 2));
      run.traces.record({ type: "thought", content: "f" });
      node = run.graph.addNode("h");
      using snapshot = run.snapshot();
      run.kv.put("a", 2);
      expect([snapshot.kv.get("a"), run.kv.get("a")]).toEqual([1, 2]);
      expect(run.version).toBeGreaterThan(0);
    }
    const run = await other.acquire("whole");
    expect(run.kv.get("a")).toBe(2);
    expect(run.events.length).toBe(1);
    expect(run.state.read("d")?.value).toBe(2);
    expect(run.graph.getNode(node)?.labels).toEqual(["h"]);
  });

  test("has one owner of a run, says who that is, and waits for him as long as it is told", async () => {
    const [one, other] = [await fleetOf(), await fleetOf()];
    const held = await one.acquire("held");
    const error = await other.acquire("held").catch((reason: unknown) => reason as HoldfastError);
    expect(error).toMatchObject({ code: "LOCKED", details: { owner: { by: expect.any(String) } } });
    const began = performance.now();
    expect(await codeOf(other.acquire("held", { waitMs: 500 }))).toBe("LOCKED");
    expect(performance.now() - began).toBeGreaterThanOrEqual(500);
    const waiting = other.acquire("held", { waitMs: 10_000 });
    held.kv.put("a", 1);
    await held.release();
    const run = await waiting;
    expect(run.kv.get("a")).toBe(1);
    expect(one.stats()).toMatchObject({ held: 0, idle: 0 });
  });

  test("stops waiting by its signal, alone and beside others who wait", async () => {
    const [one, other] = [await fleetOf(), await fleetOf()];
    const held = await one.acquire("signalled");
    const controller = new AbortController();
    const patient = other.acquire("signalled", { waitMs: 10_000 });
    const stopped = codeOf(other.acquire("signalled", { waitMs: 10_000, signal: controller.signal }));
    const first = new AbortController();
    const alone = codeOf((await fleetOf()).acquire("signalled", { waitMs: 10_000, signal: first.signal }));
    await pause(100);
    controller.abort();
    first.abort();
    expect(await stopped).toBe("TIMEOUT");
    expect(await alone).toBe("TIMEOUT");
    await held.release();
    await patient;
  });

  test("shares a run within the process, and lets go once nobody holds it and somebody asks", async () => {
    const [one, other] = [await fleetOf(), await fleetOf()];
    const [a, b] = await Promise.all([one.acquire("shared"), one.acquire("shared")]);
    a.kv.put("by", "a");
    expect(b.kv.get("by")).toBe("a");
    await a.release();
    await a.release();
    expect(await codeOf(other.acquire("shared"))).toBe("LOCKED");
    await b.release();
    expect(one.stats()).toMatchObject({ held: 0, idle: 1 });
    const again = await one.acquire("shared");
    await again.release();
    expect((await other.acquire("shared")).kv.get("by")).toBe("a");
  });

  test("lets those go that were used least recently where there is no room, and loads them again", async () => {
    const fleet = await fleetOf({ runsMax: 10 });
    for (let n = 0; n < 30; n++) {
      await using run = await fleet.acquire(`many-${n}`);
      run.kv.put("n", n);
      await using kept = await fleet.acquire("many-0");
      kept.kv.put("used", n);
    }
    expect(fleet.stats().idle).toBeLessThanOrEqual(10);
    for (let n = 0; n < 30; n++) {
      await using run = await fleet.acquire(`many-${n}`);
      expect(run.kv.get("n")).toBe(n);
    }
    const small = await fleetOf({ memoryBytesMax: 1 });
    for (let n = 0; n < 3; n++) await (await small.acquire(`small-${n}`)).release();
    expect(small.stats().idle).toBe(0);
  });

  test("has thousands of runs at once", async () => {
    const fleet = await fleetOf({ runsMax: 10_000, leaseMs: 10_000 });
    const ids = Array.from({ length: 2_000 }, (_, n) => `thousand-${n}`);
    const runs: FleetRun[] = [];
    for (let at = 0; at < ids.length; at += 100) {
      runs.push(...(await Promise.all(ids.slice(at, at + 100).map((id) => fleet.acquire(id)))));
    }
    for (const run of runs) run.kv.put("mine", run.id);
    expect(fleet.stats()).toMatchObject({ held: 2_000, idle: 0 });
    expect(fleet.stats().memoryBytes / 2_000).toBeLessThan(1_000_000);
    await fleet.close();
    const next = await fleetOf();
    for (const id of ["thousand-0", "thousand-1234", "thousand-1999"]) {
      await using run = await next.acquire(id);
      expect(run.kv.get("mine")).toBe(id);
    }
  });

  test("tells whoever has lost a run, once, what becomes of his commits, and gets it back when it is free", async () => {
    const wire = await Wire.to(cluster.nodes[0]?.port as number);
    const { connect } = await import("@nats-io/transport-node");
    const cut = await connect({ servers: wire.address, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    ends.push(async () => wire.close());
    const [one, other] = [await fleetOf({}, cut), await fleetOf()];
    const first = await one.acquire("lost");
    const reasons: string[] = [];
    first.onLost(() => {
      throw new Error("a listener's own");
    });
    first.onLost((reason) => reasons.push(reason));
    first.onLost(() => reasons.push("not me"))();
    await strictly(first, "a");
    wire.silence();
    const inFlight = codeOf(strictly(first, "b"));
    const second = await other.acquire("lost", { waitMs: 10_000 });
    await strictly(second, "c");
    wire.cut();
    expect(await inFlight).toBe("COMMIT_INDETERMINATE");
    expect(reasons).toHaveLength(1);
    const late = new Promise((resolve) => first.onLost(resolve));
    expect(await late).toBe(reasons[0]);
    expect(() => first.kv.put("d", 1)).toThrowError(expect.objectContaining({ code: "STORE_FAILED" }));
    await first.release();
    await second.release();
    const third = await one.acquire("lost", { waitMs: 10_000 });
    expect(third.kv.keys()).toEqual(["a", "c"]);
  });

  test("makes a checkpoint of what has become long, so that the next owner reads less", async () => {
    const after = 150;
    const [one, other] = [await fleetOf({ stream: "LONG", commitsMax: 500 }), await fleetOf({ stream: "LONG" })];
    const run = await one.acquire("long");
    const jsm = await jetstreamManager(
      await cluster.connect().then((connection) => {
        ends.push(() => connection.close());
        return connection;
      }),
    );
    const count = async (): Promise<number> => (await jsm.streams.info("LONG")).state.messages;
    for (let n = 0; n < 450; n++) await strictly(run, `key ${n % 50}`);
    const before = await count();
    // The checkpoint is begun as soon as there are enough of them; what comes behind it stays in the log.
    for (let n = 0; n < after; n++) await strictly(run, `key ${n % 50}`);
    const endMs = performance.now() + 60_000;
    while ((await count()) > after && performance.now() < endMs) await pause(100);
    expect(before).toBeGreaterThan(450);
    expect(await count()).toBeLessThanOrEqual(after);
    await run.release();
    const next = await other.acquire("long", { waitMs: 5_000 });
    expect(next.kv.count()).toBe(50);
    expect(next.db.storageInfo.recovered?.commits ?? 0).toBeLessThan(500);
  });

  // A holder may close the database itself. The fleet's timer threw then, which ended the process, and gave the run out closed.
  test("loads a run anew whose database a holder has closed, and goes on with the others", async () => {
    const [one, other] = [await fleetOf({ commitsMax: 1 }), await fleetOf()];
    const closed = await one.acquire("closed");
    const kept = await one.acquire("kept");
    const checkpoint = vi.spyOn(kept.db, "checkpoint");
    await strictly(closed, "a");
    await strictly(kept, "a");
    await strictly(kept, "b");
    await closed.db.close();
    expect(one.stats()).toMatchObject({ held: 1, idle: 0, memoryBytes: kept.db.stats().memoryBytes });
    await vi.waitUntil(() => checkpoint.mock.calls.length > 0, { timeout: 10_000 });
    const again = await one.acquire("closed");
    expect(again.kv.get("a")).toBe(1);
    const closing = again.db.close();
    const third = await one.acquire("closed");
    await closing;
    await strictly(third, "b");
    await closed.release();
    await again.release();
    expect(one.stats()).toMatchObject({ held: 2, idle: 0 });
    await third.release();
    await kept.release();
    expect(one.stats()).toMatchObject({ held: 0, idle: 2 });
    expect((await other.acquire("closed", { waitMs: 5_000 })).kv.keys()).toEqual(["a", "b"]);
  });

  test("gives a run back whose holder is closing its database, with everything that was written", async () => {
    const [one, other] = [await fleetOf(), await fleetOf()];
    const held = await one.acquire("released");
    held.kv.put("a", 1);
    const closing = held.db.close();
    await held.release();
    await closing;
    expect((await other.acquire("released")).kv.get("a")).toBe(1);
    expect(one.stats()).toEqual({ held: 0, idle: 0, memoryBytes: 0 });
  });

  /** A fleet over a wire of its own, whose servers are waited for this long. */
  const wiredFleet = async (patienceMs?: number): Promise<{ wire: Wire; fleet: Fleet }> => {
    const wire = await Wire.to(cluster.nodes[0]?.port as number);
    const { connect } = await import("@nats-io/transport-node");
    const wired = await connect({ servers: wire.address, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    ends.push(async () => wire.close());
    return { wire, fleet: await fleetOf({ patienceMs }, wired) };
  };

  // What was buffered when the run was lost was gone, and giving it back resolved: nobody was ever told.
  test("says of a run that is lost that not everything was acknowledged, to whoever gives it back or closes the fleet", async () => {
    // So much patience does for what is there already.
    await (await (await fleetOf()).acquire("before")).release();
    const { wire, fleet } = await wiredFleet(PATIENCE_MS);
    const ids = ["unacknowledged", "unacknowledged, too", "acknowledged"] as const;
    const [first, again, second, third] = await Promise.all([
      fleet.acquire(ids[0]),
      fleet.acquire(ids[0]),
      fleet.acquire(ids[1]),
      fleet.acquire(ids[2]),
    ]);
    third.kv.put("a", 1);
    await third.db.flush();
    const lost = [first, second, third].map((run) => new Promise((resolve) => run.onLost(resolve)));
    wire.silence();
    first.kv.put("a", 1);
    second.kv.put("a", 1);
    const told = codeOf(strictly(third, "b"));
    await Promise.all(lost);
    wire.cut();
    expect(await told).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(third.release())).toBe("nothing");
    expect(await codeOf(first.release())).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(again.release())).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(second.db.close())).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(fleet.close())).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(second.release())).toBe("COMMIT_INDETERMINATE");
  });

  test("tells whoever closes it what one of those who held a run was not told", async () => {
    await (await (await fleetOf()).acquire("before")).release();
    const { wire, fleet } = await wiredFleet(PATIENCE_MS);
    const [first, again] = [await fleet.acquire("held twice"), await fleet.acquire("held twice")];
    const lost = new Promise((resolve) => first.onLost(resolve));
    wire.silence();
    again.kv.put("a", 1);
    await lost;
    wire.cut();
    expect(await codeOf(first.release())).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(fleet.close())).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(again.release())).toBe("COMMIT_INDETERMINATE");
  });

  test("does not tell whoever closes it what those were told who have given a run back", async () => {
    await (await (await fleetOf()).acquire("before")).release();
    const { wire, fleet } = await wiredFleet(PATIENCE_MS);
    const [run, other] = [await fleet.acquire("told"), await fleet.acquire("told at once")];
    const lost = new Promise((resolve) => run.onLost(resolve));
    wire.silence();
    run.kv.put("a", 1);
    other.kv.put("a", 1);
    const releasing = codeOf(other.release());
    await lost;
    wire.cut();
    expect(await releasing).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf(run.release())).toBe("COMMIT_INDETERMINATE");
    await fleet.close();
  });

  // The fleet had let it go, with its writes still on their way.
  test("gives a run back whose database is being closed once that is", async () => {
    const { wire, fleet } = await wiredFleet();
    const run = await fleet.acquire("on its way");
    run.kv.put("a", 1);
    wire.silence();
    const closing = codeOf(run.db.close());
    await pause(2_500);
    const released = vi.fn();
    const releasing = codeOf(run.release().finally(released));
    await pause(200);
    expect(released).not.toHaveBeenCalled();
    wire.cut();
    expect(await closing).toBe("nothing");
    expect(await releasing).toBe("nothing");
    const other = await fleetOf();
    expect((await other.acquire("on its way", { waitMs: 5_000 })).kv.get("a")).toBe(1);
  });

  // Closing a fleet waited for everybody who waited in it for another owner, however long that was to be.
  test("ends all waits when it is closed", async () => {
    const [one, other] = [await fleetOf(), await fleetOf()];
    const held = await one.acquire("awaited");
    const { signal } = new AbortController();
    const waits = [{ waitMs: Number.POSITIVE_INFINITY }, { waitMs: 600_000, signal }, { waitMs: 600_000 }];
    const codes = waits.map((options) => codeOf(other.acquire("awaited", options)));
    const waiting = codeOf(other.acquire("another", { signal }).then((run) => run.release()));
    expect(await waiting).toBe("nothing");
    await pause(LEASE_MS);
    const began = performance.now();
    await other.close();
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(await Promise.all(codes)).toEqual(["CLOSED", "CLOSED", "CLOSED"]);
    await strictly(held, "a");
  });

  // Who waits asks the owner again and again: that threw out of a timer, which ended the process.
  test("refuses by name what is asked of it over a connection that is closed, and lives on", async () => {
    const one = await fleetOf();
    const connection = await cluster.connect();
    let isClosing = false;
    // Between the end of a connection and the end of all that waits for an answer over it.
    const publish: NatsConnection["publish"] = (subject, ...rest) => {
      if (isClosing && subject.includes(".wanted.")) throw new Error("closed connection");
      connection.publish(subject, ...rest);
    };
    const closing = Object.create(connection, { publish: { value: publish } }) as NatsConnection;
    const second = await fleetOf({}, closing);
    const thrown = vi.fn();
    process.on("uncaughtException", thrown);
    ends.push(async () => process.off("uncaughtException", thrown));
    const ids = Array.from({ length: 8 }, (_, n) => `cut-off-${n}`);
    for (const id of ids) await one.acquire(id);
    const codes: Promise<string>[] = [];
    for (const id of ids) {
      codes.push(codeOf(second.acquire(id, { waitMs: 60_000 })));
      await pause(30);
    }
    isClosing = true;
    await pause(600);
    await connection.close();
    await pause(600);
    expect(thrown).not.toHaveBeenCalled();
    expect(await Promise.all(codes)).toEqual(ids.map(() => "STORE_FAILED"));
    expect(await codeOf(second.acquire("later"))).toBe("STORE_FAILED");
    expect(await codeOf(Fleet.open(connection))).toBe("STORE_FAILED");
    await second.close();
    const draining = await cluster.connect();
    const third = await fleetOf({}, draining);
    const drained = draining.drain();
    expect(await codeOf(third.acquire("later"))).toBe("STORE_FAILED");
    await drained;
  });

  // The client tells whoever subscribes that he may not, and the fleet took that for a message: the connection heard nothing more.
  test("works over a connection that may not listen to what is wanted", async () => {
    const deaf = `{ user: "deaf", password: "deaf", permissions: { subscribe: { deny: "HOLDFAST.wanted.>" } } }`;
    const users = `authorization { users: [{ user: "all", password: "all" }, ${deaf}] }`;
    const server = await startNatsServers({ size: 1, besides: [users, `no_auth_user: "all"`] });
    ends.push(() => server.close());
    const { connect } = await import("@nats-io/transport-node");
    const connection = await connect({ servers: [...server.servers], user: "deaf", pass: "deaf" });
    const refused = vi.fn();
    (async () => {
      for await (const { type } of connection.status()) if (type === "error") refused();
    })();
    const fleet = await fleetOf({ patienceMs: 2_000 }, connection);
    await vi.waitUntil(() => refused.mock.calls.length > 0, { timeout: 10_000 });
    const run = await fleet.acquire("deaf");
    await strictly(run, "a");
    await connection.flush();
    await run.release();
    expect(fleet.stats()).toMatchObject({ held: 0, idle: 1 });
    await fleet.close();
  });

  test("refuses what it cannot do by name", async () => {
    const fleet = await fleetOf();
    expect(await codeOf(fleet.acquire(""))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(fleet.acquire(7 as unknown as string))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(fleet.acquire("a", { waitMs: -1 }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(fleet.acquire("a", null as never))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(fleet.acquire("a", { signal: {} as AbortSignal }))).toBe("INVALID_ARGUMENT");
    const held = await fleet.acquire("a");
    expect(() => held.onLost(7 as never)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    await held.release();
    // What is refused by its id is not kept from being refused so elsewhere.
    const long = "x".repeat(300);
    expect(await codeOf(fleet.acquire(long))).toBe("INVALID_KEY");
    expect(await codeOf((await fleetOf()).acquire(long))).toBe("INVALID_KEY");
    const connection = await cluster.connect();
    ends.push(() => connection.close());
    const wrong = [{ runsMax: 0 }, { memoryBytesMax: Number.NaN }, { leaseMs: 1 }, { stream: "a.b" }, { replicas: 7 }];
    for (const options of wrong) expect(await codeOf(Fleet.open(connection, options))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(Fleet.open({} as NatsConnection))).toBe("INVALID_ARGUMENT");
    await fleet.close();
    expect(await codeOf(fleet.acquire("a"))).toBe("CLOSED");
  });
});
