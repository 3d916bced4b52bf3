/** Owners and servers that are stopped and go on, servers that all start anew, and a stream of theirs that is full. */
import { setTimeout as pause } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, describe, expect, test } from "vitest";
import { type NatsOptions, nats, removeNats } from "../../src/adapters/nats.js";
import { Database, HoldfastError } from "../../src/index.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { Ledger } from "./ledger.js";
import { check, endOwners, Owner } from "./owners.js";
import { describeWithServer } from "./server.js";
import { failWithViews } from "./views.js";

const LEASE_MS = 1_000;
/** What a write may have to wait for: two elections, each of which is begun anew where processors are busy with other things. */
const ELECTIONS_MS_MAX = 90_000;
const MS_MAX = 300_000;
const IN_FLIGHT = 16;

describeWithServer("a cluster of three servers of NATS", () => {
  const clusters: NatsServers[] = [];

  afterAll(async () => {
    await endOwners();
    await Promise.all(clusters.map((cluster) => cluster.close()));
  });

  const start = async (): Promise<NatsServers> => {
    const cluster = await startNatsServers({ size: 3 });
    clusters.push(cluster);
    return cluster;
  };

  const judge = async (cluster: NatsServers, ledger: Ledger, runs: readonly string[]): Promise<number> => {
    const connection = await cluster.connect();
    try {
      return await check(ledger, connection, runs, LEASE_MS);
    } catch (error) {
      return await failWithViews(connection, runs, error);
    } finally {
      await connection.close();
    }
  };

  describe.concurrent("keeps what was acknowledged where", () => {
    test(
      "all servers are killed and start anew under an owner, who goes on",
      async () => {
        const cluster = await start();
        const ledger = new Ledger();
        const runs = ["restarted-a", "restarted-b"];
        const owner = new Owner({ servers: cluster.servers, runs, leaseMs: LEASE_MS }, ledger);
        await owner.hasTaken(runs.length);
        for (let round = 0; round < 3; round++) {
          await owner.writes(20, ELECTIONS_MS_MAX);
          await Promise.all(cluster.nodes.map((node) => node.kill()));
          await pause(Math.random() * LEASE_MS * 2);
          for (const node of cluster.nodes) node.start();
        }
        await owner.writes(20, ELECTIONS_MS_MAX);
        expect(owner.refused).toEqual([]);
        expect(owner.lost).toEqual([]);
        await owner.kill();
        expect(await judge(cluster, ledger, runs)).toBeGreaterThanOrEqual(80);
      },
      MS_MAX,
    );

    test(
      "owners are stopped for longer than their leases, come back, and are refused",
      async () => {
        const cluster = await start();
        const ledger = new Ledger();
        const runs = ["stopped-a", "stopped-b", "stopped-c"];
        const settings = { servers: cluster.servers, runs, leaseMs: LEASE_MS, pauseMs: 1 };
        let owner = new Owner(settings, ledger);
        await owner.hasTaken(runs.length);
        for (let round = 0; round < 5; round++) {
          await owner.writes(20);
          owner.child.kill("SIGSTOP");
          const next = new Owner(settings, ledger);
          await next.hasTaken(runs.length);
          owner.child.kill("SIGCONT");
          await next.writes(20);
          const endMs = performance.now() + 5 * LEASE_MS;
          while (owner.lost.length < runs.length && performance.now() < endMs) await pause(20);
          expect([...owner.lost].sort(), "what the one who was stopped has lost").toEqual(runs);
          for (const code of owner.refused) expect(["COMMIT_INDETERMINATE", "STORE_FAILED"]).toContain(code);
          expect(next.lost).toEqual([]);
          await owner.kill();
          owner = next;
        }
        await owner.kill();
        expect(await judge(cluster, ledger, runs)).toBeGreaterThan(100);
      },
      MS_MAX,
    );

    test(
      "the server that leads is stopped with an owner behind it, and goes on when others lead",
      async () => {
        const cluster = await start();
        const ledger = new Ledger();
        const runs = ["slow-a", "slow-b"];
        const begun = new Owner({ servers: cluster.servers, runs, leaseMs: LEASE_MS }, ledger);
        await begun.hasTaken(runs.length);
        await begun.kill();
        const connection = await cluster.connect();
        const { cluster: group } = await (await jetstreamManager(connection)).streams.info("HOLDFAST");
        await connection.close();
        const leader = Number(group?.leader?.slice(1));
        const [behind, others] = [
          [cluster.servers[leader] as string],
          cluster.servers.filter((_, at) => at !== leader),
        ];
        const first = new Owner({ servers: behind, runs, leaseMs: LEASE_MS }, ledger);
        await first.hasTaken(runs.length);
        await first.writes(20);
        const second = new Owner({ servers: others, runs, leaseMs: LEASE_MS }, ledger);
        await second.begun();
        cluster.nodes[leader]?.freeze();
        await second.hasTaken(runs.length, ELECTIONS_MS_MAX);
        await second.writes(20, ELECTIONS_MS_MAX);
        cluster.nodes[leader]?.thaw();
        await second.writes(20, ELECTIONS_MS_MAX);
        const endMs = performance.now() + ELECTIONS_MS_MAX;
        while (first.lost.length < runs.length && performance.now() < endMs) await pause(20);
        expect([...first.lost].sort(), "what the one behind it has lost").toEqual(runs);
        expect(second.lost).toEqual([]);
        await second.kill();
        await first.kill();
        expect(await judge(cluster, ledger, runs)).toBeGreaterThan(40);
      },
      MS_MAX,
    );

    test(
      "their stream is full, with many writes under way, and there is room again",
      async () => {
        const cluster = await start();
        const connection = await cluster.connect();
        const options: NatsOptions = { stream: "FULL", maxBytes: 1024 * 1024, leaseMs: LEASE_MS };
        const open = (name: string): Promise<Database> =>
          Database.open({ storage: nats(connection, name, { ...options, waitMs: MS_MAX }) });
        const other = await open("other");
        other.run("r").kv.put("much", "x".repeat(300_000));
        await other.close();
        const acknowledged = new Set<string>();
        for (let round = 0; round < 3; round++) {
          const db = await open("full");
          const run = db.run("r");
          expect(run.kv.keys()).toEqual(expect.arrayContaining([...acknowledged]));
          const codes: string[] = [];
          for (let n = 0; codes.length === 0; n++) {
            const keys = Array.from({ length: IN_FLIGHT }, (_, at) => `${round} ${n} ${at}`);
            const writes = keys.map((key) =>
              run
                .transactionAsync((tx) => tx.kv.put(key, "x".repeat(5_000)), { durability: "strict" })
                .then(
                  () => acknowledged.add(key),
                  (error) => codes.push(HoldfastError.is(error) ? error.code : String(error)),
                ),
            );
            await Promise.all(writes);
          }
          expect(new Set(codes), `${acknowledged.size} writes were acknowledged before`).toEqual(
            new Set(["STORAGE_FULL"]),
          );
          // What has freed room: another database that goes, then this one's own log behind a checkpoint.
          if (round === 0) await removeNats(connection, "other", options);
          else await db.checkpoint();
          await run.transactionAsync((tx) => tx.kv.put(`more ${round}`, 1), { durability: "strict" });
          acknowledged.add(`more ${round}`);
          await db.close();
        }
        const again = await open("full");
        expect(acknowledged.size).toBeGreaterThan(4 * IN_FLIGHT);
        expect(new Set(again.run("r").kv.keys())).toEqual(acknowledged);
        await again.close();
        await connection.close();
      },
      MS_MAX,
    );
  });
});
