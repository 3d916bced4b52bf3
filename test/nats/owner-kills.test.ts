/** Owners that are killed in the middle of writing, while another process waits for what they have. */
import { setTimeout as pause } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { SCALE } from "../support/durability-report.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { Ledger } from "./ledger.js";
import { check, endOwners, Owner } from "./owners.js";
import { describeWithServer } from "./server.js";

const LEASE_MS = 600;
const KILLS = Math.ceil(100 * SCALE);
/** Side by side: most of the time is spent waiting for leases. */
const LANES = 4;
const RUNS_PER_LANE = 3;
/** For how long an owner writes before it is killed. */
const LIFE_MS_MAX = 250;
/** Between two commits of a run: enough of them to be in the middle of one, and processors for whoever takes over. */
const PAUSE_MS = 40;
const MS_MAX = 600_000;

describeWithServer("a cluster of three servers of NATS", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 3 });
    connection = await cluster.connect();
  });

  afterEach(endOwners);

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  test(
    `${KILLS} owners are killed in the middle of writing: nothing acknowledged is lost`,
    async () => {
      const ledger = new Ledger();
      const waits: number[] = [];
      const lane = async (at: number): Promise<readonly string[]> => {
        const runs = Array.from({ length: RUNS_PER_LANE }, (_, run) => `killed-${at}-${run}`);
        const settings = { servers: cluster.servers, runs, leaseMs: LEASE_MS, pauseMs: PAUSE_MS };
        let alive = new Owner(settings, ledger);
        await alive.hasTaken(RUNS_PER_LANE);
        for (let kills = at; kills < KILLS; kills += LANES) {
          const next = new Owner(settings, ledger);
          await next.begun();
          await pause(Math.random() * LIFE_MS_MAX);
          await alive.kill();
          const diedMs = performance.now();
          await next.hasTaken(RUNS_PER_LANE);
          waits.push(performance.now() - diedMs);
          alive = next;
        }
        await alive.writes(1);
        await alive.kill();
        return runs;
      };
      const runs = (await Promise.all(Array.from({ length: LANES }, (_, at) => lane(at)))).flat();
      const commits = await check(ledger, connection, runs, LEASE_MS);
      waits.sort((a, b) => a - b);
      const [median = 0, most = 0] = [waits[waits.length >> 1], waits.at(-1)].map((ms) => Math.round(ms ?? 0));
      console.log(
        `owner kills: ${KILLS}, ${commits} commits in ${runs.length} runs; taken over after ${median} (to ${most}) ms`,
      );
      expect(commits).toBeGreaterThan(KILLS);
    },
    MS_MAX,
  );
});
