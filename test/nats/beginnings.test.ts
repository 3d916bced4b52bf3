/** A cluster that is coming up: not all of its servers are there, or have heard of one another. */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nats } from "../../src/adapters/nats.js";
import { Database } from "../../src/index.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { describeWithServer } from "./server.js";

const THIRD = 2;

describeWithServer("a database made while one of three servers has not come up yet", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;
  const open = (patienceMs: number, signal?: AbortSignal): Promise<Database> =>
    Database.open({ storage: nats(connection, "first", { patienceMs }), signal });

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 3, starting: THIRD });
    connection = await cluster.connect();
  });

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  test("is refused for want of servers once patience is over, and made as soon as that one is there", async () => {
    const jsm = await jetstreamManager(connection);
    const made = jsm.streams.add({ name: "bare", subjects: ["bare"], num_replicas: 3 });
    await expect(made, "the servers refuse that at once").rejects.toMatchObject({ code: 10005 });
    const startMs = performance.now();
    await expect(open(1_000)).rejects.toMatchObject({
      code: "STORE_FAILED",
      message: expect.stringMatching(/fewer servers .* `replicas`/),
    });
    expect(performance.now() - startMs).toBeGreaterThan(500);
    await expect(open(60_000, AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: "TIMEOUT" });
    const opening = open(60_000);
    cluster.nodes[THIRD]?.start();
    const db = await opening;
    db.run("r").kv.put("a", 1);
    await db.flush();
    await db.close();
  });
});
