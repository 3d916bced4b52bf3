/**
 * What the agent can do in one step, within one transaction. `next` chooses by the phase, and every act says what comes after it.
 *
 *     reading → testing → choosing → trying ⇄ checking → testing → … → done, or stuck
 */
import type { Transaction } from "holdfast";
import { editsOf } from "./edits";
import { isTest } from "./project";
import { importsOf, runTests, type TestReport } from "./runner";

export type Phase = "reading" | "testing" | "choosing" | "trying" | "checking" | "done" | "stuck";

export const STEP = "step";
export const PHASE = "phase";
/** The cell of the search: which failure, which files, and which edit of which of them is next. */
const SEARCH = "search";

type Search = {
  readonly test: string;
  readonly trace: string;
  readonly suspects: string[];
  readonly suspect: number;
  readonly edit: number;
  readonly failing: number;
};

const failuresIn = (reports: readonly (readonly [string, TestReport])[]): number =>
  reports.reduce((sum, [, { failed }]) => sum + failed, 0);

export class Acts {
  readonly #tx: Transaction;
  readonly #task: string;

  constructor(tx: Transaction, task: string) {
    this.#tx = tx;
    this.#task = task;
  }

  /** Makes one step. */
  next(): void {
    const { state } = this.#tx;
    state.transition(STEP, (step) => [Number(step) + 1, undefined]);
    const phase = state.read(PHASE)?.value as Phase;
    if (phase === "reading") this.#read();
    else if (phase === "testing") this.#test();
    else if (phase === "choosing") this.#choose();
    else if (phase === "trying") this.#try();
    else if (phase === "checking") this.#check();
  }

  #text(path: string): string {
    return String(this.#tx.kv.get(`file:${path}`) ?? "");
  }

  #paths(): string[] {
    return this.#tx.kv.keys({ prefix: "file:" }).map((key) => key.slice("file:".length));
  }

  #go(phase: Phase): void {
    this.#tx.state.set(PHASE, phase);
  }

  #nodeOf(path: string): number | undefined {
    return this.#tx.graph.findNodes("file", "path", path)[0]?.id;
  }

  #mark(path: string, status: string): void {
    const node = this.#nodeOf(path);
    if (node !== undefined) this.#tx.graph.patchNode(node, { status });
  }

  /** What is not suspected is mended, if it ever was, and otherwise as it was read. */
  #clear(path: string): void {
    const node = this.#tx.graph.findNodes("file", "path", path)[0];
    this.#mark(path, node?.properties["mended"] === true ? "mended" : "read");
  }

  #read(): void {
    const { graph, traces, events } = this.#tx;
    const parent = this.#section("reading", "Read the project first");
    const path = this.#paths().find((each) => this.#nodeOf(each) === undefined);
    if (path === undefined) {
      this.#link(parent);
      return;
    }
    const lines = this.#text(path).split("\n").length - 1;
    graph.addNode(isTest(path) ? ["file", "test"] : "file", { path, lines, status: "read" });
    traces.record({ type: "tool-call", name: "read", args: path, result: `${lines} lines` }, { parent, tags: [path] });
    events.append("read", { path, lines });
  }

  #link(parent: string): void {
    const { graph, traces, events } = this.#tx;
    let imports = 0;
    for (const path of this.#paths()) {
      for (const target of importsOf(path, this.#text(path))) {
        const [from, to] = [this.#nodeOf(path), this.#nodeOf(target)];
        if (from === undefined || to === undefined) continue;
        graph.addEdge(from, to, "imports");
        imports++;
      }
    }
    traces.record(
      { type: "query", queryType: "imports", query: "who imports whom", resultsCount: imports },
      { parent },
    );
    events.append("linked", { imports });
    this.#go("testing");
  }

  /** A trace that others hang below, made when it is first needed. */
  #section(id: string, content: string): string {
    const { traces } = this.#tx;
    if (!traces.has(id)) traces.record({ type: "thought", content }, { id, parent: this.#task });
    return id;
  }

  #runAll(): (readonly [string, TestReport])[] {
    const tests = this.#paths().filter(isTest);
    return tests.map((path) => [path, runTests((file) => this.#text(file), path)] as const);
  }

  #test(): void {
    const { kv, traces, events } = this.#tx;
    const reports = this.#runAll();
    for (const [path, report] of reports) {
      kv.put(`result:${path}`, { ...report });
      this.#mark(path, report.failed > 0 ? "failing" : "passing");
    }
    const failed = failuresIn(reports);
    const passed = reports.reduce((sum, [, report]) => sum + report.passed, 0);
    traces.record(
      { type: "tool-call", name: "test", args: "all", result: `${passed} passed, ${failed} failed` },
      { parent: this.#task, tags: ["test"] },
    );
    events.append("tested", { passed, failed });
    if (failed > 0) this.#go("choosing");
    else this.#finish();
  }

  #finish(): void {
    this.#tx.traces.record(
      { type: "thought", content: "Every test passes: done", confidence: 1 },
      { parent: this.#task },
    );
    this.#tx.events.append("finished", { step: Number(this.#tx.state.read(STEP)?.value) });
    this.#go("done");
  }

  /** The files that a failing test rests on, nearest first: a walk over the imports. */
  #choose(): void {
    const { graph, kv, traces, events, state } = this.#tx;
    const reports = this.#runAll();
    const [test = "", report] = reports.find(([, { failed }]) => failed > 0) ?? [];
    const start = this.#nodeOf(test);
    const reached = start === undefined ? [] : [...graph.bfs(start, { types: ["imports"] })];
    const suspects = reached
      .map(({ node }) => String(graph.getNode(node)?.properties["path"]))
      .filter((path) => !isTest(path));
    const failure = report?.failure ?? "";
    const trace = traces.record({ type: "thought", content: failure, confidence: 0.6 }, { parent: this.#task });
    traces.record(
      {
        type: "decision",
        question: "Where is the fault?",
        options: suspects,
        chosen: suspects[0] ?? "",
        reasoning: "nearest",
      },
      { parent: trace, tags: [test] },
    );
    for (const path of suspects) {
      kv.put(`before:${path}`, this.#text(path));
      this.#mark(path, "suspect");
    }
    events.append("suspected", { test, failure, files: suspects });
    const search = { test, trace, suspects, suspect: 0, edit: 0, failing: failuresIn(reports) };
    state.set(SEARCH, search);
    this.#go("trying");
  }

  #try(): void {
    const { kv, traces, events, state } = this.#tx;
    const search = state.read(SEARCH)?.value as Search;
    const path = search.suspects[search.suspect];
    if (path === undefined) {
      events.append("gave-up", { test: search.test });
      this.#go("stuck");
      return;
    }
    const edit = editsOf(String(kv.get(`before:${path}`)))[search.edit];
    if (edit === undefined) {
      traces.record({ type: "thought", content: `It is not in ${path}` }, { parent: search.trace });
      events.append("cleared", { path });
      this.#clear(path);
      state.set(SEARCH, { ...search, suspect: search.suspect + 1, edit: 0 });
      return;
    }
    const { line, from, to, text } = edit;
    kv.put(`file:${path}`, text);
    const result = `${from.trim()}  →  ${to.trim()}`;
    traces.record(
      { type: "tool-call", name: "edit", args: `${path}:${line}`, result },
      { parent: search.trace, tags: [path] },
    );
    events.append("edited", { path, line, from: from.trim(), to: to.trim() });
    this.#go("checking");
  }

  #check(): void {
    const { kv, traces, events, state } = this.#tx;
    const search = state.read(SEARCH)?.value as Search;
    const path = search.suspects[search.suspect] ?? "";
    const failing = failuresIn(this.#runAll());
    const better = failing < search.failing;
    const result = better ? `${failing} left, ${search.failing - failing} fewer` : `${failing} failed: put back`;
    traces.record({ type: "tool-call", name: "test", args: "all", result }, { parent: search.trace, tags: ["test"] });
    if (better) {
      events.append("kept", { path, failing });
      for (const suspect of search.suspects) {
        kv.delete(`before:${suspect}`);
        if (suspect !== path) this.#clear(suspect);
      }
      const node = this.#nodeOf(path);
      if (node !== undefined) this.#tx.graph.patchNode(node, { status: "mended", mended: true });
      state.delete(SEARCH);
      this.#go("testing");
      return;
    }
    kv.put(`file:${path}`, kv.get(`before:${path}`) ?? "");
    events.append("put-back", { path, failing });
    state.set(SEARCH, { ...search, edit: search.edit + 1 });
    this.#go("trying");
  }
}
