/** Processes that own runs and write to them (`owner.mjs`), and what they say. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { Fleet, type FleetRun } from "../../src/fleet/fleet.js";
import { HoldfastError } from "../../src/index.js";
import type { Ledger } from "./ledger.js";

const OPEN_MS_MAX = 120_000;

export interface OwnerSettings {
  readonly servers: readonly string[];
  readonly runs: readonly string[];
  readonly leaseMs: number;
  readonly pauseMs?: number;
}

const alive = new Set<Owner>();
let owners = 0;

export class Owner {
  readonly child: ChildProcess;
  readonly number = ++owners;
  readonly took: string[] = [];
  readonly lost: string[] = [];
  /** The codes of commits that have failed. */
  readonly refused: string[] = [];
  readonly #ledger: Ledger;
  #isReady = false;
  #rest = "";
  #acks = 0;

  constructor(settings: OwnerSettings, ledger: Ledger) {
    this.#ledger = ledger;
    const given = JSON.stringify({ ...settings, owner: this.number });
    this.child = spawn(process.execPath, ["test/nats/owner.mjs", given], { stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout?.setEncoding("utf8").on("data", (data: string) => {
      const lines = (this.#rest + data).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    });
    alive.add(this);
  }

  #take(line: string): void {
    const [what, run = "", rest = ""] = line.split(" ");
    if (what === "ready") this.#isReady = true;
    else if (what === "lost") this.lost.push(run);
    else if (what === "refused") this.refused.push(rest);
    else if (what === "took" || what === "ack") {
      if (what === "took") this.took.push(run);
      else this.#acks++;
      this.#ledger.append({ what, run, n: Number(rest), owner: this.number });
    } else throw new Error(`an owner says ${line}`);
  }

  /** How many commits were acknowledged to it. */
  get acks(): number {
    return this.#acks;
  }

  async #until(what: string, isSo: () => boolean, msMax: number): Promise<void> {
    const endMs = performance.now() + msMax;
    while (!isSo()) {
      if (this.child.exitCode !== null) throw new Error(`an owner has ended with ${this.child.exitCode}`);
      if (performance.now() > endMs) {
        const ended = [...this.lost.map((run) => `${run} was lost`), ...this.refused].join(", ");
        throw new Error(`an owner has not ${what} within ${msMax} ms; ${ended || "nothing was refused"}`);
      }
      await pause(5);
    }
  }

  /** Resolves once it has begun to take its runs. */
  begun(): Promise<void> {
    return this.#until("begun", () => this.#isReady, OPEN_MS_MAX);
  }

  /** Resolves once it has so many runs. */
  hasTaken(count: number, msMax = OPEN_MS_MAX): Promise<void> {
    return this.#until(`taken ${count} runs`, () => this.took.length >= count, msMax);
  }

  /** Resolves once so many more commits were acknowledged to it. */
  writes(more: number, msMax = OPEN_MS_MAX): Promise<void> {
    const enough = this.#acks + more;
    return this.#until(`written ${more} times`, () => this.#acks >= enough, msMax);
  }

  /** Ends it at once, and waits for the last that it has said. */
  async kill(): Promise<void> {
    alive.delete(this);
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const over = new Promise((resolve) => this.child.once("close", resolve));
    this.child.kill("SIGKILL");
    await over;
  }
}

/** Whatever a test has left running. */
export async function endOwners(): Promise<void> {
  await Promise.all([...alive].map((owner) => owner.kill()));
}

/** Takes a run; servers may be away for longer than a fleet has patience with them. */
async function taken(fleet: Fleet, id: string): Promise<FleetRun> {
  const endMs = performance.now() + OPEN_MS_MAX;
  for (;;) {
    try {
      return await fleet.acquire(id, { waitMs: OPEN_MS_MAX });
    } catch (error) {
      if (!HoldfastError.is(error, "STORE_FAILED") || performance.now() > endMs) throw error;
      await pause(100);
    }
  }
}

/** Reads runs as the next owner finds them, and compares them with the ledger; how many commits they have. */
export async function check(
  ledger: Ledger,
  connection: NatsConnection,
  runs: readonly string[],
  leaseMs: number,
): Promise<number> {
  await using fleet = await Fleet.open(connection, { leaseMs });
  let commits = 0;
  for (const id of runs) {
    await using run = await taken(fleet, id);
    commits += ledger.check(id, run);
  }
  return commits;
}
