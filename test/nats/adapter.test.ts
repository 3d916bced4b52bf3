/** What only a storage on JetStream has to keep: its fence, answers that are lost, a stream that is full, and what it leaves behind. */
import { setTimeout as pause } from "node:timers/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type NatsOptions, nats, removeNats } from "../../src/adapters/nats.js";
import type { Fold } from "../../src/adapters/nats-fold.js";
import { encodeFrame, type Frame, OPERATIONS } from "../../src/adapters/nats-frames.js";
import { readOn, readSubject } from "../../src/adapters/nats-session.js";
import { Subject } from "../../src/adapters/nats-subject.js";
import type { StorageSession } from "../../src/adapters/storage.js";
import { Database, HoldfastError } from "../../src/index.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { Wire } from "./proxy.js";
import { describeWithServer } from "./server.js";

const LEASE_MS = 400;
const OPTIONS: NatsOptions = { leaseMs: LEASE_MS, patienceMs: 5_000 };

interface Shown {
  readonly seq: number;
  readonly data: Uint8Array;
}

/** A connection over which some messages of a subject are not delivered and others are, as where a server holds others than it should. */
function showing(
  connection: NatsConnection,
  subject: string,
  { without = [], besides = [] }: { without?: readonly number[]; besides?: readonly Shown[] },
): { readonly to: NatsConnection; withheld: number; shown: number } {
  const subscribe: NatsConnection["subscribe"] = (to, options = {}) => {
    const { callback } = options;
    let place = 0;
    let from = 0;
    if (callback === undefined) return connection.subscribe(to, options);
    return connection.subscribe(to, {
      ...options,
      callback(error, message) {
        const reply = message?.reply?.split(".");
        if (reply?.[1] !== "ACK" || message.subject !== subject) return callback(error, message);
        const give = ({ seq, data }: Shown): void => {
          // Those that are delivered are counted without a gap.
          const as = reply.with(5, `${seq}`).with(6, `${++place}`).join(".");
          callback(error, Object.create(message, { reply: { value: as }, data: { value: data } }));
        };
        const seq = Number(reply[5]);
        for (const each of besides) {
          if (each.seq <= from || each.seq >= seq) continue;
          given.shown++;
          give(each);
        }
        from = seq;
        if (without.includes(seq)) given.withheld++;
        else give({ seq, data: message.data });
      },
    });
  };
  const to = Object.create(connection, { subscribe: { value: subscribe } }) as NatsConnection;
  const given = { to, withheld: 0, shown: 0 };
  return given;
}

/** A connection over which the end of a database's checkpoint is published as a test says, so many times. */
function ending(
  connection: NatsConnection,
  name: string,
  times: number,
  publish: (send: () => Promise<Msg>) => Promise<Msg>,
): NatsConnection {
  let left = times;
  const request: NatsConnection["request"] = (subject, data, options) => {
    const send = (): Promise<Msg> => connection.request(subject, data, options);
    const isEnd = subject.endsWith(`.log.${name}`) && data instanceof Uint8Array && data[1] === OPERATIONS.finish;
    return isEnd && left-- > 0 ? publish(send) : send();
  };
  return Object.create(connection, { request: { value: request } }) as NatsConnection;
}

describeWithServer("a database on a server of NATS", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;
  let names = 0;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 1 });
    connection = await cluster.connect();
  });

  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await Promise.resolve(end()).catch(() => {});
  });

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  const open = async (
    name: string,
    over: NatsConnection = connection,
    options: NatsOptions = {},
  ): Promise<Database> => {
    const db = await Database.open({ storage: nats(over, name, { ...OPTIONS, ...options }) });
    ends.push(() => db.close());
    return db;
  };

  /** A connection over a wire of its own. */
  const overWire = async (): Promise<{ wire: Wire; wired: NatsConnection }> => {
    const wire = await Wire.to(cluster.nodes[0]?.port as number);
    const wired = await connect({ servers: wire.address, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    ends.push(() => {
      wire.close();
      return wired.close();
    });
    return { wire, wired };
  };

  /** The last message of a database. */
  const lastOf = async (name: string): Promise<Shown> => {
    const query = { last_by_subj: `HOLDFAST.log.${name}` };
    return (await (await jetstreamManager(connection)).streams.getMessage("HOLDFAST", query)) as Shown;
  };

  const strictly = async (db: Database): Promise<unknown> =>
    db.run("r").transactionAsync((tx) => tx.kv.put("n", 1), { durability: "strict" });

  const subjectOf = async (name: string, over: NatsConnection = connection): Promise<Subject> => {
    const place = { stream: "HOLDFAST", subject: `HOLDFAST.log.${name}`, connection: over, patienceMs: 5_000 };
    return new Subject({ ...place, js: jetstream(over), jsm: await jetstreamManager(over) });
  };

  const codeOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "nothing",
      (error: unknown) => (HoldfastError.is(error) ? error.code : String(error)),
    );

  test("an owner who was cut off and comes back writes nothing, and is told", async () => {
    const name = `cut-${++names}`;
    const { wire, wired } = await overWire();
    const first = await open(name, wired);
    const told: string[] = [];
    first.on("locked-out", (reason) => told.push(reason));
    await strictly(first);
    wire.silence();
    const inFlight = codeOf(first.run("r").transactionAsync((tx) => tx.kv.put("stale", 1), { durability: "strict" }));
    const second = await open(name);
    expect(second.run("r").kv.get("n")).toBe(1);
    second.run("r").kv.put("fresh", 1);
    await second.flush();
    wire.cut();
    expect(await inFlight).toBe("COMMIT_INDETERMINATE");
    expect(told).toHaveLength(1);
    expect(await codeOf(strictly(first))).toBe("STORE_FAILED");
    expect(() => first.run("r").kv.put("n", 2)).toThrowError(expect.objectContaining({ code: "STORE_FAILED" }));
    await second.close();
    const third = await open(name);
    expect(
      third
        .run("r")
        .kv.list()
        .map(([key]) => key),
    ).toEqual(["fresh", "n"]);
  });

  test("taking a database over asks for as much after many owners as after few", async () => {
    const name = `handed-on-${++names}`;
    const asked: number[] = [];
    for (let owner = 0; owner < 16; owner++) {
      const over = await cluster.connect();
      ends.push(() => over.close());
      const before = over.stats().outMsgs;
      const db = await open(name, over);
      asked.push(over.stats().outMsgs - before);
      expect(db.run("r").kv.count()).toBe(owner);
      db.run("r").kv.put(`of ${owner}`, owner);
      await db.close();
      await over.close();
    }
    // The first one finds nothing. Presence is renewed by the clock.
    expect(asked.at(-1)).toBeLessThanOrEqual((asked[2] as number) + 4);
  });

  test("what a dead owner has left is read before his lease is over", async () => {
    const name = `left-${++names}`;
    const leaseMs = 3_000;
    const { wire, wired } = await overWire();
    const first = await open(name, wired, { leaseMs });
    const run = first.run("r");
    const committed: Promise<unknown>[] = [];
    for (let n = 0; n < 500; n++) {
      committed.push(run.transactionAsync((tx) => tx.kv.put(`${n}`, n), { durability: "strict" }));
      if (n % 5 === 0) await Promise.all(committed.splice(0));
    }
    await Promise.all(committed);
    const leases = await new Kvm(connection).open("HOLDFAST");
    const before = (await leases.get(`run.${name}`))?.revision;
    const messages = (
      await (await jetstreamManager(connection)).streams.info("HOLDFAST", { subjects_filter: `*.log.${name}` })
    ).state.subjects?.[`HOLDFAST.log.${name}`] as number;
    expect(messages).toBeGreaterThan(100);
    wire.silence();
    const over = await cluster.connect();
    ends.push(() => over.close());
    let second: Database | undefined;
    const opening = open(name, over, { leaseMs }).then((db) => {
      second = db;
    });
    let got = 0;
    while ((await leases.get(`run.${name}`))?.revision === before && second === undefined) {
      got = over.stats().inMsgs;
      await pause(10);
    }
    await opening;
    expect(got, "messages that came while the lease ran out").toBeGreaterThan(messages);
    expect(second?.run("r").kv.count()).toBe(500);
  });

  test.each([
    ["and not made again", 0],
    ["and made again with less", 1],
    ["and made again with more", 40],
    ["and made again, and had several owners", 3, 4],
  ])("what was read of a database before it was removed %s does not come back", async (_, puts, owners = 1) => {
    const name = `anew-${++names}`;
    const writes = async (key: string, count: number): Promise<void> => {
      const db = await open(name);
      for (let n = 0; n < count; n++) await db.run("r").transactionAsync((tx) => tx.kv.put(`${key} ${n}`, n));
      await db.flush();
      await db.close();
    };
    const subject = await subjectOf(name);
    await writes("old", 10);
    const ahead = await readSubject(subject);
    await removeNats(connection, name);
    for (let owner = 0; puts > 0 && owner < owners; owner++) await writes(`new ${owner}`, puts);
    const found = await readOn(subject, ahead);
    const anew = await readSubject(subject);
    const filesOf = ({ segments }: Fold): unknown =>
      [...segments.values()].map(({ number, byteLength, parts }) => ({ number, byteLength, parts }));
    expect(found.epoch).toBe(anew.epoch);
    expect(found.last).toBe(anew.last);
    expect(filesOf(found)).toEqual(filesOf(anew));
    expect(anew.segments.size > 0, "there is something to compare").toBe(puts > 0);
  });

  test.each([
    ["in the middle", [4, 6, 8]],
    ["at the end", [0, 1]],
  ])("what the server that delivers lacks %s is asked of the one that leads", async (_, behind) => {
    const name = `lacking-${++names}`;
    const db = await open(name);
    for (let n = 0; n < 20; n++) {
      await db.run("r").transactionAsync((tx) => tx.kv.put(`${n}`, n), { durability: "strict" });
    }
    await db.close();
    const { seq } = await lastOf(name);
    const without = behind.map((count) => seq - count);
    const given = showing(connection, `HOLDFAST.log.${name}`, { without });
    const reader = await Database.open({ storage: nats(given.to, name, OPTIONS), readOnly: true });
    ends.push(() => reader.close());
    expect(reader.run("r").kv.count()).toBe(20);
    expect(given.withheld).toBeGreaterThanOrEqual(without.length);
    const again = await open(name, given.to);
    expect(again.run("r").kv.count()).toBe(20);
  });

  test("what is fetched once more is asked of the one that leads, too, where the server that delivers lacks some of it", async () => {
    const name = `fetched-${++names}`;
    const writes = async (key: string): Promise<void> => {
      const db = await open(name);
      for (let n = 0; n < 10; n++) await db.run("r").transactionAsync((tx) => tx.kv.put(`${key} ${n}`, n));
      await db.close();
    };
    const contents = async (session: StorageSession): Promise<unknown> => {
      const read: unknown[] = [];
      for (const { number, byteLength } of await session.segments()) {
        const bytes = new Uint8Array(byteLength);
        read.push([number, await session.read(number, 0, bytes), bytes]);
      }
      return read;
    };
    await writes("first");
    const without: number[] = [];
    const given = showing(connection, `HOLDFAST.log.${name}`, { without });
    const reader = await nats(given.to, name, OPTIONS).open({ readOnly: true });
    ends.push(() => reader.close());
    await writes("second");
    const { seq } = await lastOf(name);
    without.push(seq - 3, seq - 5);
    const found = await contents(reader);
    expect(given.withheld, "it was read, and fetched").toBeGreaterThanOrEqual(2 * without.length);
    const whole = await nats(connection, name, OPTIONS).open({ readOnly: true });
    ends.push(() => whole.close());
    expect(found).toEqual(await contents(whole));
  });

  test.each([
    ["who has written", true],
    ["who died at once", false],
  ])("what only the server that delivers has from before an owner %s is not read", async (_, writes) => {
    const name = `besides-${++names}`;
    const put = (db: Database, key: string): Promise<unknown> =>
      db.run("r").transactionAsync((tx) => tx.kv.put(key, 1), { durability: "strict" });
    const { wire, wired } = await overWire();
    const first = await open(name, wired);
    for (let n = 0; n < 5; n++) await put(first, `${n}`);
    await put(first, "stale");
    // The others have not agreed on that one.
    const stale = await lastOf(name);
    const jsm = await jetstreamManager(connection);
    expect(await jsm.streams.deleteMessage("HOLDFAST", stale.seq)).toBe(true);
    wire.silence();
    if (writes) {
      const second = await open(name);
      await put(second, "fresh");
      await second.close();
    } else {
      const second = await nats(connection, name, OPTIONS).open({ readOnly: false });
      await second.close();
    }
    const given = showing(connection, `HOLDFAST.log.${name}`, { besides: [stale] });
    for (const readOnly of [true, false]) {
      const db = await Database.open({ storage: nats(given.to, name, OPTIONS), readOnly });
      ends.push(() => db.close());
      expect(db.run("r").kv.get("stale")).toBeUndefined();
      expect(db.run("r").kv.count()).toBe(writes ? 6 : 5);
    }
    expect(given.shown).toBeGreaterThanOrEqual(2);
    wire.cut();
  });

  test("of a log in which every takeover is in doubt no more is asked than all of it", async () => {
    const name = `doubtful-${++names}`;
    const takeovers = 200;
    // Makes the stream, where nobody has yet.
    await (await open(`beside-${name}`)).close();
    const js = jetstream(connection);
    const forge = (over: Partial<Frame>): Promise<{ readonly seq: number }> => {
      const frame = { operation: OPERATIONS.own, more: false, epoch: 1, file: 0, count: 1, at: 0, writer: 1n, ...over };
      return js.publish(`HOLDFAST.log.${name}`, encodeFrame(frame, new Uint8Array(8)));
    };
    const { seq } = await forge({ operation: OPERATIONS.create, file: 1 });
    for (let epoch = 2; epoch <= takeovers + 1; epoch++) await forge({ epoch, at: seq + 1, writer: BigInt(epoch) });
    const over = await cluster.connect();
    ends.push(() => over.close());
    const subject = await subjectOf(name, over);
    const before = over.stats().outMsgs;
    const fold = await readSubject(subject);
    expect([fold.doubts.length, fold.epoch, fold.segments.size]).toEqual([takeovers - 1, takeovers + 1, 1]);
    expect(over.stats().outMsgs - before).toBeLessThan(2 * takeovers);
  });

  test("what no server has any more is said to be missing", async () => {
    const name = `missing-${++names}`;
    const db = await open(name);
    for (let n = 0; n < 20; n++) {
      await db.run("r").transactionAsync((tx) => tx.kv.put(`${n}`, n), { durability: "strict" });
    }
    await db.close();
    const jsm = await jetstreamManager(connection);
    expect(await jsm.streams.deleteMessage("HOLDFAST", (await lastOf(name)).seq - 7)).toBe(true);
    expect(await codeOf(open(name))).toBe("CORRUPTION");
  });

  test("an owner who was away for a lease and writes nothing is told as well", async () => {
    const name = `idle-${++names}`;
    const { wire, wired } = await overWire();
    const first = await open(name, wired);
    const told: string[] = [];
    first.on("locked-out", (reason) => told.push(reason));
    wire.silence();
    await open(name);
    wire.cut();
    const endMs = performance.now() + 10 * LEASE_MS;
    while (told.length === 0 && performance.now() < endMs) await pause(20);
    expect(told).toHaveLength(1);
  });

  test("a dead owner is followed by one whose every look takes longer than a third of the lease", async () => {
    const name = `slow-${++names}`;
    const dead = await overWire();
    const first = await open(name, dead.wired);
    await strictly(first);
    dead.wire.silence();
    const { wire, wired } = await overWire();
    // Whoever cannot even say in that time that he lives opens nothing.
    await open(`before ${name}`, wired);
    wire.delayAnswers(LEASE_MS * 0.4);
    const second = await open(name, wired);
    wire.delayAnswers(0);
    dead.wire.cut();
    expect(second.run("r").kv.get("n")).toBe(1);
  });

  test("an owner who was away for a lease and whom nobody has replaced goes on", async () => {
    const { wire, wired } = await overWire();
    const db = await open(`away-${++names}`, wired);
    wire.silence();
    await pause(2 * LEASE_MS);
    wire.cut();
    await strictly(db);
    await pause(LEASE_MS);
    await strictly(db);
  });

  test("what had arrived and was not answered is there once", async () => {
    const name = `answers-${++names}`;
    const { wire, wired } = await overWire();
    const db = await open(name, wired, { leaseMs: 10_000 });
    const run = db.run("r");
    for (let n = 0; n < 20; n++) {
      const committed = run.transactionAsync((tx) => tx.events.append("n", n), { durability: "strict" });
      if (n % 2 === 0) {
        wire.loseAnswers();
        await pause(10);
        wire.cut();
      }
      await committed;
    }
    await db.close();
    const again = await open(name);
    expect([...again.run("r").events.range()].map(({ payload }) => payload)).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  test("a stream that is full refuses, loses nothing, and takes more when there is room", async () => {
    const options = { stream: "FULL", maxBytes: 512 * 1024 };
    const other = await open("other", connection, options);
    other.run("r").kv.put("much", "x".repeat(100_000));
    await other.close();
    const db = await open("full", connection, options);
    const run = db.run("r");
    let written = 0;
    let code = "nothing";
    for (; code === "nothing"; written++) {
      code = await codeOf(
        run.transactionAsync((tx) => tx.kv.put(`key ${written}`, "x".repeat(10_000)), { durability: "strict" }),
      );
    }
    expect(code).toBe("STORAGE_FULL");
    expect(written).toBeGreaterThan(10);
    expect(run.kv.count()).toBe(written - 1);
    await removeNats(connection, "other", options);
    await run.transactionAsync((tx) => tx.kv.put("more", 1), { durability: "strict" });
    await db.close();
    const again = await open("full", connection, options);
    expect(again.run("r").kv.count()).toBe(written);
    expect(again.run("r").kv.get("more")).toBe(1);
  });

  test("a checkpoint takes the place of the messages before it, and of the checkpoint before", async () => {
    const options = { stream: "CHECKPOINTED" };
    const db = await open("db", connection, options);
    const run = db.run("r");
    const jsm = await jetstreamManager(connection);
    const store = await new Objm(connection).open("CHECKPOINTED");
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 50; i++) {
        run.kv.put(`key ${i}`, "x".repeat(1_000));
        await db.flush();
      }
      await db.checkpoint();
      const { state } = await jsm.streams.info("CHECKPOINTED");
      expect(state.messages).toBeLessThan(10);
      expect(await store.list()).toHaveLength(1);
    }
    await db.close();
    const again = await open("db", connection, options);
    expect(again.run("r").kv.count()).toBe(50);
  });

  const commits = async (db: Database, count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await db.run("r").transactionAsync((tx) => tx.kv.put(`${n}`, n), { durability: "strict" });
    }
  };

  const messagesOf = async (name: string): Promise<number> => {
    const of = { subjects_filter: `HOLDFAST.log.${name}` };
    const { state } = await (await jetstreamManager(connection)).streams.info("HOLDFAST", of);
    return state.subjects?.[`HOLDFAST.log.${name}`] ?? 0;
  };

  const objectsOf = async (name: string): Promise<number> => {
    const objects = await (await new Objm(connection).open("HOLDFAST")).list();
    return objects.filter((object) => object.name.startsWith(`${name}/`)).length;
  };

  // Its object stayed, and none of the messages behind its beginning was ever taken away.
  test("a checkpoint for whose end there is no room is taken away, and the next ones take the place of the log", async () => {
    const name = `unfinished-${++names}`;
    const error = { code: 503, err_code: 10077, description: "maximum bytes exceeded" };
    const refusal = { data: new TextEncoder().encode(JSON.stringify({ error })) } as Msg;
    const db = await open(
      name,
      ending(connection, name, 1, async () => refusal),
    );
    await commits(db, 20);
    expect(await codeOf(db.checkpoint())).toBe("STORAGE_FULL");
    expect(await objectsOf(name)).toBe(0);
    for (let checkpoint = 0; checkpoint < 2; checkpoint++) {
      await commits(db, 100);
      await db.checkpoint();
      expect(await objectsOf(name)).toBe(1);
    }
    expect(await messagesOf(name)).toBeLessThan(20);
    await db.close();
    expect((await open(name)).run("r").kv.count()).toBe(100);
  });

  test("a checkpoint whose end arrives and is not answered stays", async () => {
    const name = `unanswered-${++names}`;
    let sent = 0;
    const over = ending(connection, name, Number.POSITIVE_INFINITY, async (send) => {
      if (sent++ === 0) await send();
      throw new Error("timeout");
    });
    const db = await open(name, over, { patienceMs: 500 });
    await commits(db, 20);
    expect(await codeOf(db.checkpoint())).toBe("STORE_FAILED");
    expect(await objectsOf(name)).toBe(1);
    await db.close();
    const again = await open(name);
    expect(again.run("r").kv.count()).toBe(20);
    expect(again.storageInfo.recovered?.commits, "all of them are in the checkpoint").toBe(0);
  });

  test("a record larger than a message is whole or not there", async () => {
    const name = `large-${++names}`;
    const db = await open(name);
    const large = new Uint8Array(5_000_000).map((_, at) => (at * 31) & 255);
    await db.run("r").transactionAsync((tx) => tx.kv.put("large", large), { durability: "strict" });
    await db.close();
    const again = await open(name);
    expect(Buffer.compare(again.run("r").kv.get("large") as Uint8Array, large)).toBe(0);
  });
});
