/**
 * A checker of histories after Elle: transactions append values to lists and read whole lists, and from what was read it
 * follows who came before whom.
 *
 * Every value is appended once, so that a value names its writer, and a list that was read names all versions before it:
 *
 *     order of a key     the longest list that was read of it; every other one must be a prefix of that
 *     ww   A → B         B's value stands next after A's in the order
 *     wr   A → B         B read a list whose last value is A's
 *     rw   A → B         A read a list, and B's value comes next after it
 *     rt   A → B         A ended before B began
 *
 * A committed value that no read shows stands behind all that are shown, in an order that nobody knows. A cycle of edges is
 * an anomaly after Adya: of ww alone G0, with wr G1c, with one rw G-single, with more G2-item; with rt the same, and
 * `-realtime`. Where a cycle needs no rt, only such are told.
 *
 * What it keeps true:
 *  - aborted transactions have no edges; an indeterminate one has edges if somebody has read what it appended;
 *  - every complaint tells the whole cycle, each edge with its key and values;
 *  - without anomalies it takes time in proportion to the history: "ended before" goes through a chain of barriers, one for
 *    each instant at which something began after something ended, and not over all pairs.
 */

/** One step of a transaction: appends a value to a key's list, or reads the whole of it. */
export type Micro =
  | { readonly do: "append"; readonly key: string; readonly value: number }
  | { readonly do: "read"; readonly key: string; readonly list: readonly number[] };

export type Status = "committed" | "aborted" | "indeterminate";

export interface ListTransaction {
  readonly status: Status;
  readonly micros: readonly Micro[];
  /** The instant before which none of it happened, in any unit; left out where it may read what was earlier. */
  readonly began?: number | undefined;
  /** The instant after which none of it happened; left out where nobody knows. */
  readonly ended?: number | undefined;
}

type CycleName = "G0" | "G1c" | "G-single" | "G2-item";

export type AnomalyName =
  | "unknown value"
  | "duplicate"
  | "incompatible order"
  | "internal"
  | "G1a"
  | "G1b"
  | "dirty update"
  | "lost update"
  | CycleName
  | `${CycleName}-realtime`;

export interface Anomaly {
  readonly name: AnomalyName;
  /** The places in the history of those that take part. */
  readonly transactions: readonly number[];
  readonly explanation: string;
}

/** Everything that is wrong with a history; nothing, if it could be that of transactions one after another. */
export function checkListAppend(history: readonly ListTransaction[]): Anomaly[] {
  const book = new Book(history);
  const graph = new Graph(history.length);
  for (const key of book.keys.values()) {
    checkOrder(book, key);
    checkWriters(book, key);
    checkUpdates(book, key);
    addEdges(book, key, graph);
  }
  addRealTime(book, graph);
  return [...book.anomalies, ...cyclesOf(book, graph)];
}

// The book: who wrote what, and who read what.

interface Write {
  readonly transaction: number;
  readonly value: number;
  /** Whether its transaction has appended to the same key after it. */
  isIntermediate: boolean;
}

interface Read {
  readonly transaction: number;
  /** What it returned, own appends included. */
  readonly list: readonly number[];
  /** How much of it is not its own. */
  readonly foreignLength: number;
}

interface Key {
  readonly name: string;
  readonly writes: Map<number, Write>;
  readonly reads: Read[];
  /** The values in the order in which they were appended, as far as anybody has read it. */
  order: readonly number[];
  /** Whether every read is a beginning of that order, with no value twice: then nothing need be looked for in each of them. */
  isOrdered: boolean;
}

/** Both ends of a key as one transaction has seen it so far. */
interface Seen {
  base: readonly number[] | undefined;
  readonly own: number[];
}

class Book {
  readonly history: readonly ListTransaction[];
  readonly keys = new Map<string, Key>();
  readonly anomalies: Anomaly[] = [];
  readonly #effective: boolean[];

  constructor(history: readonly ListTransaction[]) {
    this.history = history;
    this.#effective = history.map(({ status }) => status === "committed");
    for (const i of history.keys()) this.#noteWrites(i);
    for (const i of history.keys()) this.#noteReads(i);
    this.#findEffective();
    for (const key of this.keys.values()) {
      const reads = key.reads.filter(({ transaction }) => this.isEffective(transaction));
      key.reads.splice(0, key.reads.length, ...reads);
    }
  }

  /** Whether it has happened, as far as anybody can tell. */
  isEffective(transaction: number): boolean {
    return this.#effective[transaction] as boolean;
  }

  complain(name: AnomalyName, transactions: readonly number[], explanation: string): void {
    this.anomalies.push({ name, transactions, explanation: `${name}: ${explanation}` });
  }

  tell(transaction: number): string {
    const { status, micros } = this.history[transaction] as ListTransaction;
    const told = micros.map((micro) =>
      micro.do === "append" ? `append ${micro.key} ${micro.value}` : `read ${micro.key} ${tellList(micro.list)}`,
    );
    return `T${transaction} = ${status} { ${told.join("; ")} }`;
  }

  #key(name: string): Key {
    const known = this.keys.get(name);
    if (known !== undefined) return known;
    const made: Key = { name, writes: new Map(), reads: [], order: [], isOrdered: false };
    this.keys.set(name, made);
    return made;
  }

  #noteWrites(transaction: number): void {
    const last = new Map<string, Write>();
    for (const micro of this.history[transaction]?.micros ?? []) {
      if (micro.do !== "append") continue;
      const { writes } = this.#key(micro.key);
      if (writes.has(micro.value)) throw new Error(`${micro.value} is appended twice to ${micro.key}`);
      const write = { transaction, value: micro.value, isIntermediate: false };
      writes.set(micro.value, write);
      const before = last.get(micro.key);
      if (before !== undefined) before.isIntermediate = true;
      last.set(micro.key, write);
    }
  }

  #noteReads(transaction: number): void {
    const seen = new Map<string, Seen>();
    for (const micro of this.history[transaction]?.micros ?? []) {
      const state = seen.get(micro.key) ?? { base: undefined, own: [] };
      seen.set(micro.key, state);
      if (micro.do === "append") state.own.push(micro.value);
      else this.#noteRead(transaction, micro.key, micro.list, state);
    }
  }

  #noteRead(transaction: number, key: string, list: readonly number[], state: Seen): void {
    const foreignLength = list.length - state.own.length;
    const { base, own } = state;
    const isSound = foreignLength === (base?.length ?? Math.max(foreignLength, 0)) && isJoined(list, base ?? [], own);
    if (!isSound) {
      const expected = base && [...base, ...own];
      const should = expected === undefined ? `something that ends with ${tellList(state.own)}` : tellList(expected);
      const what = `T${transaction} read ${key} as ${tellList(list)}, and by its own steps it is ${should}`;
      this.complain("internal", [transaction], `${what}\n  ${this.tell(transaction)}`);
      return;
    }
    if (base !== undefined && own.length === 0) return;
    state.base ??= own.length === 0 ? list : list.slice(0, foreignLength);
    this.#key(key).reads.push({ transaction, list, foreignLength });
  }

  /** What somebody has read of an indeterminate transaction has happened. */
  #findEffective(): void {
    if (this.history.every(({ status }) => status !== "indeterminate")) return;
    for (const { reads, writes } of this.keys.values()) {
      for (const { list, transaction } of reads) {
        if (this.history[transaction]?.status !== "committed") continue;
        for (const value of list) {
          const writer = writes.get(value)?.transaction;
          if (writer !== undefined && this.history[writer]?.status === "indeterminate") this.#effective[writer] = true;
        }
      }
    }
  }
}

// What one key alone shows.

function checkOrder(book: Book, key: Key): void {
  const longest = key.reads.reduce<Read | undefined>(
    (best, read) => (best === undefined || read.list.length > best.list.length ? read : best),
    undefined,
  );
  if (longest === undefined) return;
  key.order = longest.list;
  const isUnique = new Set(longest.list).size === longest.list.length;
  key.isOrdered = isUnique && key.reads.every(({ list }) => isPrefix(list, longest.list));
  if (!key.isOrdered) tellOrder(book, key, longest);
}

/** What is wrong with the order where something is. */
function tellOrder(book: Book, key: Key, longest: Read): void {
  const doubled = key.reads.find(({ list }) => new Set(list).size < list.length);
  if (doubled !== undefined) {
    const what = `T${doubled.transaction} read ${key.name} as ${tellList(doubled.list)}, with a value twice`;
    book.complain("duplicate", [doubled.transaction], `${what}\n  ${book.tell(doubled.transaction)}`);
  }
  key.order = doubled === undefined ? longest.list : [...new Set(longest.list)];
  const other = key.reads.find((read) => !isPrefix(uniqueOf(read.list, doubled !== undefined), key.order));
  if (other === undefined) return;
  const both = [other, longest].map(({ transaction, list }) => `T${transaction} read ${key.name} as ${tellList(list)}`);
  const told = [other, longest].map(({ transaction }) => `\n  ${book.tell(transaction)}`);
  book.complain("incompatible order", [other.transaction, longest.transaction], `${both.join(", ")}${told.join("")}`);
}

/** Reads of what nobody has appended, of what was aborted, and of what was not the last. */
function checkWriters(book: Book, key: Key): void {
  const told = new Set<number>();
  const isSound = (value: number): boolean => {
    const write = key.writes.get(value);
    return write !== undefined && book.history[write.transaction]?.status !== "aborted";
  };
  // In what all have read the beginning of, each value is looked at once.
  const soundLength = key.isOrdered ? lengthOf(key.order, isSound) : 0;
  for (const read of key.reads) {
    const last = key.writes.get(read.list[read.foreignLength - 1] as number);
    if (last?.isIntermediate === true && last.transaction !== read.transaction) {
      const what = `T${read.transaction} read ${key.name} as ${tellList(read.list)}, and T${last.transaction} appended more after ${last.value}`;
      book.complain(
        "G1b",
        [last.transaction, read.transaction],
        withBoth(book, what, last.transaction, read.transaction),
      );
    }
    for (let i = soundLength; i < read.list.length; i++) {
      const value = read.list[i] as number;
      if (told.has(value) || isSound(value)) continue;
      told.add(value);
      const write = key.writes.get(value);
      const what = `T${read.transaction} read ${key.name} as ${tellList(read.list)}, and ${value}`;
      if (write === undefined) book.complain("unknown value", [read.transaction], `${what} was appended by nobody`);
      else if (write.transaction !== read.transaction) {
        const aborted = `${what} is of T${write.transaction}, which was aborted`;
        book.complain(
          "G1a",
          [write.transaction, read.transaction],
          withBoth(book, aborted, write.transaction, read.transaction),
        );
      }
    }
  }
}

/** Updates on top of what was aborted, and several on top of the same. */
function checkUpdates(book: Book, key: Key): void {
  let aborted: Write | undefined;
  for (const value of key.order) {
    const write = key.writes.get(value);
    if (write === undefined) continue;
    if (book.history[write.transaction]?.status === "aborted") aborted ??= write;
    else if (aborted !== undefined) {
      const what = `T${write.transaction} appended ${value} to ${key.name} on top of ${aborted.value} of T${aborted.transaction}, which was aborted`;
      book.complain(
        "dirty update",
        [aborted.transaction, write.transaction],
        withBoth(book, what, aborted.transaction, write.transaction),
      );
      break;
    }
  }
  const writers = new Set([...key.writes.values()].map(({ transaction }) => transaction));
  const updaters = new Map<number | undefined, number>();
  for (const { transaction, list, foreignLength } of key.reads) {
    if (!writers.has(transaction)) continue;
    const last = list[foreignLength - 1];
    const other = updaters.get(last);
    updaters.set(last, other ?? transaction);
    if (other === undefined || other === transaction) continue;
    const what = `T${other} and T${transaction} both read ${key.name} as ${tellList(list.slice(0, foreignLength))}, and both appended to it`;
    book.complain("lost update", [other, transaction], withBoth(book, what, other, transaction));
  }
}

function withBoth(book: Book, what: string, a: number, b: number): string {
  return `${what}\n  ${book.tell(a)}\n  ${book.tell(b)}`;
}

function isPrefix(list: readonly number[], whole: readonly number[]): boolean {
  if (list.length > whole.length) return false;
  for (let i = 0; i < list.length; i++) if (list[i] !== whole[i]) return false;
  return true;
}

/** Whether a list begins with the one and ends with the other. */
function isJoined(list: readonly number[], base: readonly number[], own: readonly number[]): boolean {
  const ownFrom = list.length - own.length;
  for (let i = 0; i < base.length; i++) if (list[i] !== base[i]) return false;
  for (let i = 0; i < own.length; i++) if (list[ownFrom + i] !== own[i]) return false;
  return true;
}

/** How many of the first values are so, before one is not. */
function lengthOf(list: readonly number[], isSo: (value: number) => boolean): number {
  const first = list.findIndex((value) => !isSo(value));
  return first < 0 ? list.length : first;
}

function uniqueOf(list: readonly number[], hasDoubles: boolean): readonly number[] {
  return hasDoubles ? [...new Set(list)] : list;
}

const TOLD_VALUES_MAX = 12;

function tellList(list: readonly number[]): string {
  if (list.length <= TOLD_VALUES_MAX) return `[${list.join(" ")}]`;
  return `[… ${list.slice(-TOLD_VALUES_MAX).join(" ")}]`;
}

// The graph. Its first nodes are the transactions; hubs, through which many edges go, are behind them.

type EdgeKind = "ww" | "wr" | "rw" | "rt";

interface Edge {
  readonly from: number;
  readonly to: number;
  /** `"via"` goes on from a hub, with the kind of the edge that led there. */
  readonly kind: EdgeKind | "via";
  readonly key?: string;
  /** What either end did, made only where it is told. */
  readonly left?: () => string;
  readonly right?: () => string;
}

class Graph {
  readonly transactions: number;
  readonly edges: Edge[][] = [];

  constructor(transactions: number) {
    this.transactions = transactions;
    for (let i = 0; i < transactions; i++) this.edges.push([]);
  }

  hub(): number {
    return this.edges.push([]) - 1;
  }

  add(edge: Edge): void {
    if (edge.from !== edge.to) this.edges[edge.from]?.push(edge);
  }
}

function addEdges(book: Book, key: Key, graph: Graph): void {
  const shown = key.order.flatMap((value, index) => {
    const write = key.writes.get(value);
    return write !== undefined && book.isEffective(write.transaction) ? [{ ...write, index }] : [];
  });
  for (const [i, write] of shown.entries()) {
    const before = shown[i - 1];
    if (before === undefined) continue;
    const left = (): string => `appended ${before.value}`;
    const right = (): string => `appended ${write.value} next after it`;
    graph.add({ from: before.transaction, to: write.transaction, kind: "ww", key: key.name, left, right });
  }
  const nextShown = nextOf(shown, key.order.length);
  const readers: number[] = [];
  for (const { transaction, list, foreignLength } of key.reads) {
    if (!key.isOrdered && !isPrefix(list, key.order)) continue;
    const read = (): string => `read ${tellList(list.slice(0, foreignLength))}`;
    const last = key.writes.get(list[foreignLength - 1] as number);
    if (last !== undefined && book.isEffective(last.transaction)) {
      const left = (): string => `appended ${last.value}`;
      graph.add({ from: last.transaction, to: transaction, kind: "wr", key: key.name, left, right: read });
    }
    const next = nextShown[foreignLength];
    if (next === undefined) readers.push(transaction);
    else {
      const right = (): string => `appended ${next.value}, which is not in it`;
      graph.add({ from: transaction, to: next.transaction, kind: "rw", key: key.name, left: read, right });
    }
  }
  addUnseen(book, key, graph, readers, shown.at(-1));
}

/** For each place in an order, the end included, which of those that are shown comes first from there on. */
function nextOf<S extends { readonly index: number }>(shown: readonly S[], length: number): (S | undefined)[] {
  const next = new Array<S | undefined>(length + 1).fill(undefined);
  for (const one of shown) next[one.index] = one;
  for (let i = length - 1; i >= 0; i--) next[i] ??= next[i + 1];
  return next;
}

/** Edges to what nobody has read: it comes after all that somebody has. */
function addUnseen(book: Book, key: Key, graph: Graph, readers: readonly number[], last: Write | undefined): void {
  const shown = new Set(key.order);
  const unseen = [...key.writes.values()].filter(
    ({ value, transaction }) => !shown.has(value) && book.history[transaction]?.status === "committed",
  );
  if (unseen.length === 0) return;
  const writers = new Set(unseen.map(({ transaction }) => transaction));
  const hub = graph.hub();
  const after = (from: number, write: Write): Edge => {
    const right = (): string => `appended ${write.value}, which nobody has read`;
    return { from, to: write.transaction, kind: from === hub ? "via" : "rw", key: key.name, left: READ_ALL, right };
  };
  for (const write of unseen) graph.add(after(hub, write));
  if (last !== undefined && !writers.has(last.transaction)) {
    const left = (): string => `appended ${last.value}`;
    graph.add({ from: last.transaction, to: hub, kind: "ww", key: key.name, left });
  }
  for (const reader of new Set(readers)) {
    // Through the hub one would come before itself.
    if (writers.has(reader)) for (const write of unseen) graph.add(after(reader, write));
    else graph.add({ from: reader, to: hub, kind: "rw", key: key.name, left: READ_ALL });
  }
}

const READ_ALL = (): string => "read all that anybody has read";

/** Ends lead to the next barrier, barriers to the next, and those to whatever begins before there is another. */
function addRealTime(book: Book, graph: Graph): void {
  const events: { readonly at: number; readonly isEnd: boolean; readonly transaction: number }[] = [];
  for (const [transaction, { status, began, ended }] of book.history.entries()) {
    if (!book.isEffective(transaction)) continue;
    if (began !== undefined) events.push({ at: began, isEnd: false, transaction });
    // Nobody knows when an indeterminate one came to its end.
    if (ended !== undefined && status === "committed") events.push({ at: ended, isEnd: true, transaction });
  }
  events.sort((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd));
  let barrier: number | undefined;
  let isUsed = true;
  for (const { at, isEnd, transaction } of events) {
    if (!isEnd) {
      if (barrier !== undefined)
        graph.add({ from: barrier, to: transaction, kind: "rt", right: () => `began at ${at}` });
      isUsed = true;
      continue;
    }
    if (isUsed) {
      const next = graph.hub();
      if (barrier !== undefined) graph.add({ from: barrier, to: next, kind: "rt" });
      barrier = next;
      isUsed = false;
    }
    graph.add({ from: transaction, to: barrier as number, kind: "rt", left: () => `ended at ${at}` });
  }
}

// Cycles.

interface CycleClass {
  readonly name: CycleName;
  /** The kind that a cycle must have at least once. */
  readonly needs: EdgeKind;
  /** The kinds that the rest of it may have. */
  readonly rest: readonly EdgeKind[];
}

const CLASSES: readonly CycleClass[] = [
  { name: "G0", needs: "ww", rest: ["ww"] },
  { name: "G1c", needs: "wr", rest: ["ww", "wr"] },
  { name: "G-single", needs: "rw", rest: ["ww", "wr"] },
  { name: "G2-item", needs: "rw", rest: ["ww", "wr", "rw"] },
];

/** The smallest cycle of each class in each component; G2-item only where there is no G-single, real time where nothing else. */
function cyclesOf(book: Book, graph: Graph): Anomaly[] {
  const all = graph.edges.map((_, node) => node);
  return componentsOf(graph, all, new Set<Edge["kind"]>(["ww", "wr", "rw", "rt", "via"])).flatMap((within) => {
    const plain = smallestOf(graph, within, false);
    const found = plain.length > 0 ? plain : smallestOf(graph, within, true);
    return found.map(({ name, cycle }) => tellCycle(book, graph, name, cycle));
  });
}

interface Found {
  readonly name: CycleName | `${CycleName}-realtime`;
  readonly cycle: readonly Edge[];
}

function smallestOf(graph: Graph, within: readonly number[], realTime: boolean): Found[] {
  const found: Found[] = [];
  for (const { name, needs, rest } of CLASSES) {
    if (name === "G2-item" && found.some((other) => other.name.startsWith("G-single"))) continue;
    const kinds = new Set<Edge["kind"]>([...rest, "via", ...(realTime ? (["rt"] as const) : [])]);
    const cycles = componentsOf(graph, within, new Set([...kinds, needs])).flatMap((component) => {
      const cycle = smallestCycle(graph, new Set(component), needs, kinds);
      return cycle === undefined ? [] : [cycle];
    });
    const [cycle] = cycles.sort((a, b) => transactionsIn(graph, a) - transactionsIn(graph, b));
    if (cycle !== undefined) found.push({ name: realTime ? `${name}-realtime` : name, cycle });
  }
  return found;
}

function smallestCycle(
  graph: Graph,
  within: ReadonlySet<number>,
  needs: EdgeKind,
  kinds: ReadonlySet<Edge["kind"]>,
): Edge[] | undefined {
  let best: Edge[] | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const node of within) {
    for (const first of graph.edges[node] ?? []) {
      if (first.kind !== needs || !within.has(first.to)) continue;
      const backMax = least - 1 - transactionsIn(graph, [first]);
      const back = shortestPath(graph, within, first.to, node, kinds, backMax);
      if (back === undefined) continue;
      const cycle = [first, ...back];
      const size = transactionsIn(graph, cycle);
      if (size < least) [best, least] = [cycle, size];
      if (least === 2) return best;
    }
  }
  return best;
}

/** How many transactions edges lead to; hubs do not count. */
function transactionsIn(graph: Graph, edges: readonly Edge[]): number {
  return edges.filter(({ to }) => to < graph.transactions).length;
}

/** The one over the fewest transactions, and at most `max` of them, its end included. */
function shortestPath(
  graph: Graph,
  within: ReadonlySet<number>,
  from: number,
  to: number,
  kinds: ReadonlySet<Edge["kind"]>,
  max: number,
): Edge[] | undefined {
  const cameBy = new Map<number, Edge | undefined>([[from, undefined]]);
  let level = [from];
  for (let count = 0; count < max && level.length > 0 && !cameBy.has(to); count++) {
    const nextLevel: number[] = [];
    for (let node = level.pop(); node !== undefined; node = level.pop()) {
      for (const edge of graph.edges[node] ?? []) {
        if (!kinds.has(edge.kind) || !within.has(edge.to) || cameBy.has(edge.to)) continue;
        cameBy.set(edge.to, edge);
        (edge.to < graph.transactions ? nextLevel : level).push(edge.to);
      }
    }
    level = nextLevel;
  }
  if (!cameBy.has(to)) return undefined;
  const path: Edge[] = [];
  for (let edge = cameBy.get(to); edge !== undefined; edge = cameBy.get(edge.from)) path.unshift(edge);
  return path;
}

/** The strongly connected components of more than one node, over edges of these kinds, after Tarjan, without recursion. */
function componentsOf(graph: Graph, nodes: readonly number[], kinds: ReadonlySet<Edge["kind"]>): number[][] {
  const size = graph.edges.length;
  const [index, low, next] = [new Int32Array(size).fill(OUTSIDE), new Int32Array(size), new Int32Array(size)];
  for (const node of nodes) index[node] = UNSEEN;
  const isOpen = new Uint8Array(size);
  const [open, path, components]: [number[], number[], number[][]] = [[], [], []];
  let count = 0;
  const enter = (node: number): void => {
    index[node] = low[node] = count++;
    isOpen[node] = 1;
    open.push(node);
    path.push(node);
  };
  const lower = (node: number, to: number): void => {
    low[node] = Math.min(low[node] as number, to);
  };
  const leave = (node: number): void => {
    path.pop();
    const parent = path.at(-1);
    if (parent !== undefined) lower(parent, low[node] as number);
    if (low[node] !== index[node]) return;
    const component = open.splice(open.lastIndexOf(node));
    for (const member of component) isOpen[member] = 0;
    if (component.length > 1) components.push(component);
  };
  for (const root of nodes) {
    if (index[root] !== UNSEEN) continue;
    enter(root);
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const place = next[node] as number;
      const edge = graph.edges[node]?.[place];
      next[node] = place + 1;
      if (edge === undefined) leave(node);
      else if (!kinds.has(edge.kind)) continue;
      else if (index[edge.to] === UNSEEN) enter(edge.to);
      else if (isOpen[edge.to] === 1) lower(node, index[edge.to] as number);
    }
  }
  return components;
}

/** In place of a node's index: it has none yet, or none at all. */
const UNSEEN = -1;
const OUTSIDE = -2;

function tellCycle(book: Book, graph: Graph, name: AnomalyName, cycle: readonly Edge[]): Anomaly {
  const from = cycle.findIndex((edge) => edge.from < graph.transactions);
  const turned = [...cycle.slice(from), ...cycle.slice(0, from)];
  const transactions: number[] = [];
  const steps: string[] = [];
  let start: Edge | undefined;
  for (const edge of turned) {
    start ??= edge;
    if (edge.to >= graph.transactions) continue;
    const where = start.key === undefined ? "" : ` ${start.key}`;
    steps.push(
      `T${start.from} —${start.kind}${where}→ T${edge.to}: T${start.from} ${start.left?.()}, T${edge.to} ${edge.right?.()}`,
    );
    transactions.push(start.from);
    start = undefined;
  }
  const told = transactions.map((transaction) => `\n  ${book.tell(transaction)}`);
  return { name, transactions, explanation: `${name}:${steps.map((step) => `\n  ${step}`).join("")}${told.join("")}` };
}
