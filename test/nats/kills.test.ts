/**
 * Owners that are killed, stopped and cut off, and servers that are killed under them: what was acknowledged is there, in order and
 * whole, and nobody has written who was not the owner any more.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../../src/fleet/fleet.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { describeWithServer } from "./server.js";

const LEASE_MS = 1_000;
const RUNS = 10;
const OWNER_KILLS = 100;
const NODE_KILLS = 50;
/** For how long an owner writes before it is killed. */
const LIFE_MS_MAX = 250;

/** What a run is known to hold: at least, and at most. */
interface Known {
  acknowledged: number;
  tookFrom: number;
}

class Owner {
  readonly child: ChildProcess;
  readonly lost: string[] = [];
  readonly refused: string[] = [];
  #rest = "";
  #took = 0;
  #wakeUp: () => void = () => {};

  constructor(settings: object, ledger: Map<string, Known>) {
    this.child = spawn(process.execPath, ["test/nats/owner.mjs", JSON.stringify(settings)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.child.stdout?.setEncoding("utf8").on("data", (data: string) => {
      const lines = (this.#rest + data).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line, ledger);
    });
  }

  #take(line: string, ledger: Map<string, Known>): void {
    const [what, id = "", n = ""] = line.split(" ");
    const known = ledger.get(id) ?? { acknowledged: 0, tookFrom: 0 };
    if (what === "took") {
      this.#took++;
      if (Number(n) < known.acknowledged)
        throw new Error(`${id} was taken at ${n}, and ${known.acknowledged} acknowledged`);
      ledger.set(id, { ...known, tookFrom: Number(n) });
      this.#wakeUp();
    } else if (what === "ack") {
      ledger.set(id, { ...known, acknowledged: Math.max(known.acknowledged, Number(n)) });
    } else if (what === "lost") {
      this.lost.push(id);
    } else if (what === "refused") {
      this.refused.push(id);
    }
  }

  /** Resolves once it has so many runs. */
  async hasTaken(count: number): Promise<void> {
    while (this.#took < count) {
      await new Promise<void>((resolve, reject) => {
        this.#wakeUp = resolve;
        this.child.once("exit", (code) => reject(new Error(`an owner ended with ${code}`)));
      });
    }
  }

  async kill(): Promise<void> {
    const over = new Promise((resolve) => this.child.once("close", resolve));
    this.child.kill("SIGKILL");
    await over;
  }
}

describeWithServer("a cluster of three servers of NATS", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;
  let generation = 0;
  const ledger = new Map<string, Known>();

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 3 });
    connection = await cluster.connect();
  });

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  const owner = (runs: readonly string[]): Owner => {
    return new Owner({ servers: cluster.servers, runs, owner: ++generation, leaseMs: LEASE_MS }, ledger);
  };

  /** Reads runs as the next owner finds them, and compares them with what is known. */
  const check = async (runs: readonly string[]): Promise<number> => {
    const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS });
    let commits = 0;
    try {
      for (const id of runs) {
        const run = await fleet.acquire(id, { waitMs: 30_000 });
        const n = (run.kv.get("n") as number | undefined) ?? 0;
        expect(n, `${id}: lost`).toBeGreaterThanOrEqual(ledger.get(id)?.acknowledged ?? 0);
        const events = [...run.events.range()].map(({ payload }) => payload as { n: number; owner: number });
        expect(run.state.read("n")?.value ?? 0, `${id}: partial`).toBe(n);
        expect(
          events.map((event) => event.n),
          `${id}: in order`,
        ).toEqual(Array.from({ length: n }, (_, at) => at + 1));
        const owners = events.map((event) => event.owner);
        expect(owners, `${id}: written by who was the owner no more`).toEqual([...owners].sort((a, b) => a - b));
        commits += n;
        await run.release();
      }
    } finally {
      await fleet.close();
    }
    return commits;
  };

  test(`${OWNER_KILLS} owners are killed in the middle of writing`, async () => {
    const runs = Array.from({ length: RUNS }, (_, at) => `killed-${at}`);
    for (let kills = 0; kills < OWNER_KILLS; kills++) {
      const alive = owner(runs);
      await alive.hasTaken(RUNS);
      await pause(Math.random() * LIFE_MS_MAX);
      await alive.kill();
    }
    const commits = await check(runs);
    console.log(`owner kills: ${OWNER_KILLS}, ${commits} commits in ${RUNS} runs`);
    expect(commits).toBeGreaterThan(OWNER_KILLS);
  });

  test(`${NODE_KILLS} servers are killed under an owner that writes`, async () => {
    const runs = Array.from({ length: RUNS }, (_, at) => `under-${at}`);
    const alive = owner(runs);
    await alive.hasTaken(RUNS);
    for (let kills = 0; kills < NODE_KILLS; kills++) {
      const node = cluster.nodes[kills % cluster.nodes.length];
      await node?.kill();
      await pause(Math.random() * 200);
      node?.start();
      await pause(300 + Math.random() * 300);
      await cluster.ready();
    }
    expect(alive.refused).toEqual([]);
    expect(alive.lost).toEqual([]);
    await alive.kill();
    const commits = await check(runs);
    console.log(`server kills: ${NODE_KILLS}, ${commits} commits in ${RUNS} runs`);
    expect(commits).toBeGreaterThan(NODE_KILLS);
  });

  test("all servers start anew under an owner that writes", async () => {
    const runs = ["restarted"];
    const alive = owner(runs);
    await alive.hasTaken(1);
    await pause(300);
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    await pause(500);
    for (const node of cluster.nodes) node.start();
    await cluster.ready();
    const before = ledger.get("restarted")?.acknowledged ?? 0;
    await pause(3_000);
    expect(alive.refused).toEqual([]);
    expect(ledger.get("restarted")?.acknowledged, "it goes on").toBeGreaterThan(before);
    await alive.kill();
    await check(runs);
  });

  test("an owner that was stopped for longer than its lease comes back and is refused", async () => {
    const runs = ["stopped"];
    const first = owner(runs);
    await first.hasTaken(1);
    await pause(200);
    first.child.kill("SIGSTOP");
    const second = owner(runs);
    await second.hasTaken(1);
    await pause(300);
    first.child.kill("SIGCONT");
    await pause(2 * LEASE_MS);
    expect([...first.refused, ...first.lost].length, "the first was told").toBeGreaterThan(0);
    expect(second.refused).toEqual([]);
    await second.kill();
    await first.kill();
    await check(runs);
  });
});
