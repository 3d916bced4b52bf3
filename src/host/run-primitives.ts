/**
 * The primitives of one run, over whatever writes it: the run itself, or a transaction on it.
 */
import { EventLog } from "./primitives/event-log.js";
import { GraphStore } from "./primitives/graph-store.js";
import { KVStore } from "./primitives/kv-store.js";
import { StateCells } from "./primitives/state-cells.js";
import { TraceStore } from "./primitives/trace-store.js";
import type { Writer } from "./reader-writer.js";

/** Each view is made when it is first asked for. */
export abstract class Primitives {
  readonly #over: Writer;
  #kv: KVStore | undefined;
  #events: EventLog | undefined;
  #state: StateCells | undefined;
  #traces: TraceStore | undefined;
  #graph: GraphStore | undefined;

  /** @internal */
  constructor(over: Writer) {
    this.#over = over;
  }

  /** Key-values. */
  get kv(): KVStore {
    this.#kv ??= new KVStore(this.#over);
    return this.#kv;
  }

  /** The event log. */
  get events(): EventLog {
    this.#events ??= new EventLog(this.#over);
    return this.#events;
  }

  /** State cells. */
  get state(): StateCells {
    this.#state ??= new StateCells(this.#over);
    return this.#state;
  }

  /** Traces. */
  get traces(): TraceStore {
    this.#traces ??= new TraceStore(this.#over);
    return this.#traces;
  }

  /** The graph. */
  get graph(): GraphStore {
    this.#graph ??= new GraphStore(this.#over);
    return this.#graph;
  }
}
