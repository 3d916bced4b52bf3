/** The life of a child of the crash tests: it writes until its parent ends it. */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CHILD_ENVIRONMENT, type ServerRuntime } from "../support/server-runtimes.js";
import { type Acknowledged, enter, Listener } from "./ledger.js";
import { SAYS } from "./plan.mjs";

const WRITER = fileURLToPath(new URL("./writer.mjs", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** A child that is killed is gone; one that is not is stuck in the kernel. */
const END_MS_MAX = 20_000;

export type Mode = "strict" | "buffered";

/** What a child is told to do. */
export interface Orders {
  readonly directory: string;
  readonly mode: Mode;
  readonly segmentBytes: number;
  /** The commit of the plan that the database stands at. */
  readonly from: number;
  readonly seed: number;
}

/** How a life went. */
export interface Death {
  readonly wasOpening: boolean;
  readonly wasCheckpointing: boolean;
  readonly checkpoints: number;
  /** Whether it found checkpoints missing from this build. */
  readonly hasNoCheckpoints: boolean;
  /** Whether its storage failed, of which it was told in the promised way. */
  readonly storageFailed: boolean;
  readonly signal: string | null;
  /** What it wrote to its standard error. */
  readonly complaint: string;
  readonly hung: boolean;
}

export class Life {
  readonly #child: ChildProcess;
  readonly #ended: Promise<string | null>;
  readonly #waiting = new Map<number, () => void>();
  readonly #said = new Set<number>();
  readonly #onMessage: (says: number, count: number) => void;
  #checkpointsBegun = 0;
  #checkpointsEnded = 0;
  #complaint = "";

  /** @param killOnly whether all that has returned must survive, because only the process dies */
  constructor(
    runtime: ServerRuntime,
    orders: Orders,
    ledger: Acknowledged,
    killOnly: boolean,
    onMessage: (says: number, count: number) => void = () => {},
  ) {
    this.#onMessage = onMessage;
    this.#child = spawn(runtime.command, [...runtime.args, WRITER, JSON.stringify(orders)], {
      cwd: ROOT,
      env: CHILD_ENVIRONMENT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const listener = new Listener((says, count) => {
      enter(ledger, says, count, killOnly);
      this.#hear(says, count);
    });
    this.#child.stdout?.on("data", (piece: Buffer) => listener.take(piece));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint += text;
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#complaint += error.message;
        resolve(null);
      });
      this.#child.once("close", (_code, signal) => resolve(signal));
    });
  }

  #hear(says: number, count: number): void {
    if (says === SAYS.checkpointBegun) this.#checkpointsBegun++;
    if (says === SAYS.checkpointEnded || says === SAYS.checkpointMissing) this.#checkpointsEnded++;
    this.#said.add(says);
    this.#waiting.get(says)?.();
    this.#onMessage(says, count);
  }

  /** Resolves when the child has said something for the first time, has ended, or `msMax` are over. */
  async until(says: number, msMax: number): Promise<void> {
    if (this.#said.has(says)) return;
    const heard = new Promise<void>((resolve) => this.#waiting.set(says, resolve));
    const timeout = new AbortController();
    await Promise.race([heard, this.#ended, sleep(msMax, undefined, { signal: timeout.signal }).catch(() => {})]);
    timeout.abort();
  }

  /** Kills it, and reads what it said to the last byte. */
  async kill(): Promise<Death> {
    this.#child.kill("SIGKILL");
    const timeout = new AbortController();
    const hung = sleep(END_MS_MAX, "hung", { signal: timeout.signal }).catch(() => "over");
    const signal = await Promise.race([this.#ended, hung]);
    timeout.abort();
    return {
      wasOpening: !this.#said.has(SAYS.ready),
      wasCheckpointing: this.#checkpointsBegun > this.#checkpointsEnded,
      checkpoints: this.#checkpointsEnded,
      hasNoCheckpoints: this.#said.has(SAYS.checkpointMissing),
      storageFailed: this.#said.has(SAYS.storageFailed),
      signal,
      complaint: this.#complaint,
      hung: signal === "hung",
    };
  }
}

/** What has gone wrong, by column of the report. */
export class Faults {
  readonly counts = { lost: 0, partial: 0, reordered: 0, silentlyCorrupt: 0, untyped: 0, hung: 0 };
  readonly messages: string[] = [];

  add(column: keyof Faults["counts"], message: string): void {
    this.counts[column]++;
    this.messages.push(`${column}: ${message}`);
  }

  /** Takes over what another has. */
  addAll(other: Faults): void {
    for (const column of Object.keys(other.counts) as (keyof Faults["counts"])[])
      this.counts[column] += other.counts[column];
    this.messages.push(...other.messages);
  }
}
