/**
 * The database that docs/CLI.md looks into: made anew, and the same each time, with time and randomness of its own.
 */
import { Database } from "../../src/index.js";
import { ManualEnvironment } from "./manual-environment.js";

/** Makes it in a directory that is not there yet. */
export async function makeExample(path: string): Promise<void> {
  const environment = new ManualEnvironment();
  const db = await Database.open({ path, environment });
  db.runs.create({ name: "run-1", tags: ["nightly"], metadata: { model: "m-1" } });
  const { kv, state, events, traces, graph } = db.run("run-1");
  kv.put("plan", { goal: "find the leak", budget: 2n ** 60n, seal: new Uint8Array([222, 173]) });
  kv.put("note", "look at the parser first");
  state.init("cursor", 0);
  state.set("cursor", 3);
  traces.record({ type: "thought", content: "look for the leak", confidence: 0.7 }, { id: "t1" });
  traces.record({ type: "tool-call", name: "grep", args: { pattern: "malloc" } }, { id: "t2", parent: "t1" });
  traces.record(
    { type: "error", errorType: "Timeout", message: "grep took 30 s", recoverable: true },
    { id: "t3", parent: "t2", tags: ["slow"] },
  );
  traces.record(
    { type: "decision", question: "which file?", options: ["a.ts", "b.ts"], chosen: "b.ts" },
    { id: "t4", parent: "t1" },
  );
  for (const [type, payload] of [
    ["asked", { question: "which file?" }],
    ["answered", { file: "b.ts", line: 9 }],
    ["done", null],
  ] as const) {
    environment.block(1500);
    events.append(type, payload);
  }
  const file = graph.addNode("file", { path: "b.ts" });
  graph.addEdge(graph.addNode("function", { name: "parse" }), file, "in");
  db.run("run-2").kv.put("draft", [1, 2, 3]);
  await db.close();
}
