/**
 * The one worker that writes the log of a database in a browser's storage: it drains the queue in the shared memory for all who
 * commit, and wakes those who wait. It lives where the storage's session lives.
 *
 * What it keeps true:
 *  - it is a worker of the core like any other, with a place of its own, and writes by the same rules (`log-writer.ts`);
 *  - whatever was called for before a round begins is written in it, and synced once for all;
 *  - where a round fails it answers nobody: the failure stands in the memory, and those who wait find it there. Where another
 *    worker was in the way, the round is made again;
 *  - it sees by itself that a worker has died, since whoever opened the database may be waiting for it.
 */
import type { Companion, StorageCapabilities, StorageSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import type { Core } from "./core.js";
import { instantiateCore } from "./core-instance.js";
import { enter } from "./entering.js";
import { platformEnvironment } from "./environment.js";
import { Evidence } from "./evidence.js";
import type { SegmentStart } from "./log.js";
import { LogPost, turn } from "./log-post.js";
import type { LogState } from "./log-state.js";
import { LogWriter } from "./log-writer.js";

/** What it is told to begin with. */
export interface DrainOrder {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly name: string;
  readonly post: SharedArrayBuffer;
  readonly state: LogState;
}

/** For how long the next call is waited for asleep: whoever has just been woken often comes again at once. */
const LINGER_MS = 1;
/** After so long everything else has its turn, however many calls there are. */
const BREATH_MS = 8;
/** How long to wait for who is in the way. */
const RETRY_MS = 5;

/** The host's part beside a session in a worker of its own. */
export function accompany(session: StorageSession, capabilities: StorageCapabilities): Companion {
  let drainer: Drainer | undefined;
  return {
    async ask(what, given) {
      if (what === "begin") drainer = await Drainer.begin(given as DrainOrder, session, capabilities);
      else if (what === "rotate") return drainer?.rotate();
      else if (what === "failure") return drainer?.failure;
      return undefined;
    },
    close: async () => drainer?.stop(),
  };
}

class Drainer {
  readonly #core: Core;
  readonly #post: LogPost;
  readonly #writer: LogWriter;
  readonly #evidence: Evidence;
  readonly #letGo: () => void;
  /** Rejects with what has ended all writing; resolves when this is stopped. */
  readonly failure: Promise<void>;
  #ended: () => void = () => {};
  #failed: (error: HoldfastError) => void = () => {};
  #isStopped = false;
  readonly #running: Promise<void>;

  private constructor(
    core: Core,
    letGo: () => void,
    order: DrainOrder,
    session: StorageSession,
    capabilities: StorageCapabilities,
  ) {
    this.#core = core;
    this.#letGo = letGo;
    this.#post = new LogPost(order.name, order.post);
    this.failure = new Promise((resolve, reject) => {
      this.#ended = resolve;
      this.#failed = reject;
    });
    this.failure.catch(() => {});
    const nothing = (): void => {};
    const listener = { onPublished: nothing, onSynced: nothing, onUndoing: nothing, onUndone: nothing };
    this.#writer = new LogWriter(
      core,
      session,
      capabilities,
      { ...listener, onFailed: (error) => this.#failed(error) },
      order.state,
    );
    this.#post.setWriter(core.worker, core.workerIn(core.worker).word);
    this.#evidence = new Evidence({
      core,
      database: order.name,
      environment: platformEnvironment(),
      report: nothing,
      // What the dead have written is synced with what comes next; where nothing comes, now.
      onBuried: () => this.#post.call(true),
    });
    this.#evidence.watchAll();
    this.#running = this.#run();
  }

  static async begin(order: DrainOrder, session: StorageSession, capabilities: StorageCapabilities): Promise<Drainer> {
    const exports = instantiateCore(order.module, order.memory);
    const { core, letGo } = await enter(exports, { ...order, place: undefined }, true);
    return new Drainer(core, letGo, order, session, capabilities);
  }

  async rotate(): Promise<SegmentStart> {
    return this.#writer.rotate();
  }

  async #run(): Promise<void> {
    let breathedMs = performance.now();
    while (!this.#isStopped) {
      const { called } = this.#post;
      if (!(await this.#round())) {
        // Nobody need call once more for what is still to be done.
        await pause(RETRY_MS);
        continue;
      }
      if (performance.now() - breathedMs > BREATH_MS) {
        await turn();
        breathedMs = performance.now();
      }
      if (this.#isStopped || this.#post.called !== called || this.#post.sleep(called, LINGER_MS)) continue;
      await this.#post.nextCall(called);
      breathedMs = performance.now();
    }
  }

  /** Does what has been called for; false where it has to be done again. */
  async #round(): Promise<boolean> {
    const { calls, answered } = this.#post;
    const durably = calls.sync !== answered.sync;
    if (!durably && calls.write === answered.write) return true;
    try {
      await this.#writer.drain();
      if (durably) await this.#writer.sync();
      this.#post.answer(calls, this.#writer.syncs);
    } catch (error) {
      if (this.#writer.failure === undefined) {
        if (HoldfastError.is(error, "BUSY")) return false;
        this.#writer.fail(error);
      }
    }
    this.#post.endRound();
    return true;
  }

  /** Lets go of everything. The database is closed by now, or lost. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#post.ring();
    await this.#running;
    this.#evidence.stop();
    await this.#writer.settle();
    if (this.#core.isSound) this.#core.leave();
    this.#letGo();
    this.#ended();
    this.#post.endRound();
    this.#post.close();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
