/**
 * The page's hold on the worker: starts one, tells it what to do, kills it, and starts another. What it keeps true: there is one
 * worker at most; where the database is stands in the page's own storage, and moves to another place only once that is whole, while
 * the worker has the old one and the new one open. So whoever holds the place that stands there may remove all others.
 */
import type { DurabilityName } from "holdfast";
import { Caller } from "../inspector/link";
import { RemoteSource } from "../inspector/source";
import type { Commands, Kind, News, Opened, Place } from "./protocol";

const PLACE_KEY = "holdfast-sandbox-place";

export interface SessionEvents {
  onNews(news: News): void;
  /** What the inspector is to look at; nothing while there is no worker. */
  onSource(source: RemoteSource | undefined): void;
}

interface Alive {
  readonly worker: Worker;
  readonly caller: Caller;
  /** Ends what the inspector asks of the database that is open. */
  unlink: () => void;
}

/** Where there is no origin private file system, or it is not wanted, the database is in IndexedDB. */
function placeAtFirst(): Place {
  const asked = new URLSearchParams(location.search).get("storage");
  const kind: Kind = asked === "indexeddb" || !("getDirectory" in (navigator.storage ?? {})) ? "indexeddb" : "opfs";
  return { kind, name: `sandbox-${kind}` };
}

const keyOf = (kind: Kind) => `${PLACE_KEY}-${kind}`;

/** Where the database is now: another tab may have moved it. */
function placeNow(): Place {
  const { kind, name } = placeAtFirst();
  return { kind, name: localStorage.getItem(keyOf(kind)) ?? name };
}

export class Session {
  readonly #events: SessionEvents;
  #alive: Alive | undefined;
  paceMs = 500;

  constructor(events: SessionEvents) {
    this.#events = events;
  }

  get isAlive(): boolean {
    return this.#alive !== undefined;
  }

  /** Starts a worker and has it open the database. */
  async start(): Promise<Opened> {
    const place = placeNow();
    const opened = await this.#startAt(place);
    // It was moved while this one waited for it.
    if (placeNow().name !== place.name) return this.start();
    this.#tidy(place);
    return opened;
  }

  async #startAt(place: Place): Promise<Opened> {
    this.kill();
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "agent" });
    const caller = new Caller(worker, (news) => this.#events.onNews(news as News));
    const alive: Alive = { worker, caller, unlink: () => {} };
    this.#alive = alive;
    worker.addEventListener("error", () => {
      if (this.#alive !== alive) return;
      this.kill();
      this.#events.onNews({ failed: { message: "The worker could not be loaded, or has broken down. Try again." } });
    });
    return this.#openAt(place, alive);
  }

  /** Has the worker open a place, and let go of the one that it has; the inspector looks at the new one. */
  async #openAt(place: Place, alive: Alive): Promise<Opened> {
    const { port1, port2 } = new MessageChannel();
    const source = new RemoteSource(port1);
    const unlinkBefore = alive.unlink;
    const unlink = () => {
      source.close();
      port1.close();
    };
    alive.unlink = () => {
      unlinkBefore();
      unlink();
    };
    port1.start();
    try {
      const given = { place, paceMs: this.paceMs, port: port2 };
      const opened = (await alive.caller.call("open", given, [port2])) as Opened;
      this.#events.onSource(source);
      unlinkBefore();
      alive.unlink = unlink;
      return opened;
    } catch (error) {
      if (this.#alive === alive) this.kill();
      throw error;
    }
  }

  /** Terminates the worker, wherever it is in what it does. */
  kill(): void {
    const alive = this.#alive;
    if (alive === undefined) return;
    this.#alive = undefined;
    alive.worker.terminate();
    alive.caller.close();
    alive.unlink();
    this.#events.onSource(undefined);
  }

  #living(): Alive {
    if (this.#alive === undefined) throw new Error("There is no worker. Resume starts one.");
    return this.#alive;
  }

  /** @param alive the worker that is meant, where it may have been killed and another one started meanwhile */
  async #call<N extends keyof Commands>(
    name: N,
    given: Commands[N]["takes"],
    alive = this.#living(),
  ): Promise<Commands[N]["returns"]> {
    return alive.caller.call(name, given) as Promise<Commands[N]["returns"]>;
  }

  go = () => this.#call("go", {});
  pause = () => this.#call("pause", {});
  startOver = () => this.#call("startOver", {});
  setMode = (mode: DurabilityName) => this.#call("mode", { mode });

  async setPace(ms: number): Promise<void> {
    this.paceMs = ms;
    if (this.isAlive) await this.#call("pace", { ms });
  }

  /** The run, as one file. */
  async export(): Promise<Blob> {
    return new Blob((await this.#call("export", {})) as BlobPart[], { type: "application/octet-stream" });
  }

  /** Replaces the run by one from a file; if that does not work, the one that is there stays. */
  async import(file: Blob): Promise<Opened> {
    const alive = this.#living();
    const bytes = new Uint8Array(await file.arrayBuffer());
    const { kind } = placeNow();
    const place: Place = { kind, name: `sandbox-${kind}-${Date.now()}` };
    await this.#call("fill", { place, bytes }, alive);
    localStorage.setItem(keyOf(kind), place.name);
    const opened = await this.#openAt(place, alive);
    this.#tidy(place, alive);
    return opened;
  }

  #tidy(place: Place, alive?: Alive): void {
    this.#call("tidy", { place }, alive).catch(() => {});
  }
}
