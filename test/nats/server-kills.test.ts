/** Servers that are killed under owners that write: a write takes longer then, and is acknowledged all the same. */
import { setTimeout as pause } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterEach, expect, test } from "vitest";
import { SCALE } from "../support/durability-report.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { Ledger } from "./ledger.js";
import { check, endOwners, Owner } from "./owners.js";
import { describeWithServer } from "./server.js";

const LEASE_MS = 1_000;
const KILLS = Math.ceil(50 * SCALE);
/** Side by side: most of the time is spent waiting for servers to agree on who leads. */
const CLUSTERS = 4;
const RUNS = 3;
const DOWN_MS_MAX = 300;
/** What a write may have to wait for: two elections, each of which is begun anew where processors are busy with other things. */
const ELECTIONS_MS_MAX = 90_000;
const MS_MAX = 600_000;

describeWithServer("clusters of three servers of NATS", () => {
  const clusters: NatsServers[] = [];

  afterEach(async () => {
    await endOwners();
    await Promise.all(clusters.splice(0).map((cluster) => cluster.close()));
  });

  /** The server that leads the stream of the logs, once one does, as another one says. */
  const leaderOf = async (cluster: NatsServers): Promise<number> => {
    const connection = await cluster.connect();
    const endMs = performance.now() + ELECTIONS_MS_MAX;
    try {
      for (;;) {
        try {
          const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: 500 });
          const { cluster: group } = await jsm.streams.info("HOLDFAST");
          if (group?.leader !== undefined) return Number(group.leader.slice(1));
        } catch (error) {
          if (performance.now() > endMs) throw error;
        }
        await pause(50);
      }
    } finally {
      await connection.close();
    }
  };

  test(
    `${KILLS} servers are killed under owners that write: nothing acknowledged is lost, and nobody loses a run`,
    async () => {
      const underCluster = async (at: number): Promise<number> => {
        const cluster = await startNatsServers({ size: 3 });
        clusters.push(cluster);
        const ledger = new Ledger();
        const runs = Array.from({ length: RUNS }, (_, run) => `under-${at}-${run}`);
        const settings = { servers: cluster.servers, runs, leaseMs: LEASE_MS };
        const owner = new Owner(settings, ledger);
        await owner.hasTaken(RUNS);
        // Whoever waits must not take an owner for dead who could not be heard.
        const waiting = new Owner(settings, ledger);
        await waiting.begun();
        for (let kills = at; kills < KILLS; kills += CLUSTERS) {
          const followers = [1, 2].map((other) => (kills + other) % 3);
          const victim = (kills >> 2) % 2 === 0 ? await leaderOf(cluster) : (followers[0] as number);
          const node = cluster.nodes[victim];
          await node?.kill();
          await pause(Math.random() * DOWN_MS_MAX);
          node?.start();
          await owner.writes(5 * RUNS, ELECTIONS_MS_MAX);
        }
        expect(owner.refused, "commits of the owner that failed").toEqual([]);
        expect(owner.lost, "runs that the owner has lost").toEqual([]);
        expect(waiting.took, "runs that were taken from one who lives").toEqual([]);
        await waiting.kill();
        await owner.kill();
        const connection = await cluster.connect();
        const commits = await check(ledger, connection, runs, LEASE_MS);
        await connection.close();
        return commits;
      };
      const under = await Promise.all(Array.from({ length: CLUSTERS }, (_, at) => underCluster(at)));
      const sum = under.reduce((all, each) => all + each, 0);
      console.log(`server kills: ${KILLS}, ${sum} commits in ${CLUSTERS * RUNS} runs`);
      expect(sum).toBeGreaterThan(KILLS);
    },
    MS_MAX,
  );
});
