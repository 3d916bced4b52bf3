/**
 * What holds where servers take a message that they should have refused: some do while another one is under way, or when they have
 * just begun to lead. Here they look at no condition at all.
 */
import { setTimeout as pause } from "node:timers/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type NatsOptions, nats } from "../../src/adapters/nats.js";
import { decodeFrame, encodeFrame, OPERATIONS } from "../../src/adapters/nats-frames.js";
import { Overtaken, Subject } from "../../src/adapters/nats-subject.js";
import { Database, HoldfastError } from "../../src/index.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { describeWithServer } from "./server.js";

const LEASE_MS = 400;
const OPTIONS: NatsOptions = { leaseMs: LEASE_MS, patienceMs: 5_000 };
const CONDITION = "Nats-Expected-Last-Subject-Sequence";

describeWithServer("a server of NATS that refuses nothing", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;
  let names = 0;
  const opened: Database[] = [];

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 1 });
    connection = await cluster.connect();
  });

  afterEach(async () => {
    for (const db of opened.splice(0)) await db.close().catch(() => {});
  });

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  /**
   * A connection that publishes to logs without a condition, and whose lease is not renewed once it is `mute`.
   */
  const unconditional = (): { readonly to: NatsConnection; mute: boolean } => {
    const request: NatsConnection["request"] = (subject, data, options) => {
      if (subject.includes(".log.")) options?.headers?.delete(CONDITION);
      if (given.mute && subject.includes(".alive."))
        return pause(LEASE_MS).then(() => Promise.reject(new Error("muted")));
      return connection.request(subject, data, options);
    };
    const given = { to: Object.create(connection, { request: { value: request } }) as NatsConnection, mute: false };
    return given;
  };

  const open = async (name: string, over: NatsConnection = connection): Promise<Database> => {
    const db = await Database.open({ storage: nats(over, name, OPTIONS) });
    opened.push(db);
    return db;
  };

  const put = (db: Database, key: string): Promise<unknown> =>
    db.run("r").transactionAsync((tx) => tx.kv.put(key, 1), { durability: "strict" });

  const codeOf = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "nothing",
      (error: unknown) => (HoldfastError.is(error) ? error.code : String(error)),
    );

  test("an owner whose lease is over believes no acknowledgement before he has looked", async () => {
    const name = `unsure-${++names}`;
    const stale = unconditional();
    const first = await open(name, stale.to);
    await put(first, "before");
    stale.mute = true;
    const second = await open(name);
    await put(second, "between");
    expect(await codeOf(put(first, "stale"))).toBe("COMMIT_INDETERMINATE");
    expect(await codeOf((async () => put(first, "later"))())).toBe("STORE_FAILED");
    await put(second, "after");
    await second.close();
    const third = await open(name);
    expect(third.run("r").kv.keys()).toEqual(["after", "before", "between"]);
  });

  test("an owner whose lease is over and whom nobody has replaced goes on", async () => {
    const alone = unconditional();
    const db = await open(`alone-${++names}`, alone.to);
    alone.mute = true;
    await pause(2 * LEASE_MS);
    for (const key of ["a", "b", "c"]) await put(db, key);
    expect(db.run("r").kv.keys()).toEqual(["a", "b", "c"]);
  });

  test("what one who was overtaken has still written is in nothing, and stops nobody", async () => {
    const name = `late-${++names}`;
    const subject = `HOLDFAST.log.${name}`;
    const jsm = await jetstreamManager(connection);
    const js = jetstream(connection);
    const first = await open(name);
    await put(first, "a");
    const of = (await jsm.streams.getMessage("HOLDFAST", { last_by_subj: subject }))?.data ?? new Uint8Array(0);
    await first.close();
    const second = await open(name);
    const { at, ...frame } = decodeFrame(of, 1);
    for (let n = 0; n < 5; n++) {
      await put(second, `b${n}`);
      const late = { ...frame, operation: OPERATIONS.append, count: frame.count + 1 + n, at: at + n };
      await js.publish(subject, encodeFrame(late, Uint8Array.of(1, 2, 3)));
    }
    await put(second, "c");
    await second.close();
    const third = await open(name);
    expect(third.run("r").kv.keys()).toEqual(["a", "b0", "b1", "b2", "b3", "b4", "c"]);
  });

  test("of several who take over at once one gets it, and the others know", async () => {
    const stream = "RACED";
    const jsm = await jetstreamManager(connection);
    const racer = unconditional().to;
    const place = {
      connection: racer,
      js: jetstream(racer),
      jsm,
      stream,
      subject: `${stream}.log.a`,
      patienceMs: 5_000,
    };
    await jsm.streams.add({ name: stream, subjects: [`${stream}.log.>`] });
    let end = 0;
    for (let round = 1; round <= 20; round++) {
      const takers = Array.from({ length: 4 }, () => new Subject(place));
      const results = await Promise.allSettled(
        takers.map((taker) => {
          taker.follow(end, round);
          return taker.write(OPERATIONS.own, 0, 0, new Uint8Array(0));
        }),
      );
      const lost = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
      for (const reason of lost) expect(reason).toBeInstanceOf(Overtaken);
      expect(lost.length, "takers that know that another one was faster").toBeGreaterThanOrEqual(takers.length - 1);
      end = await (takers[0] as Subject).end();
    }
  });
});
