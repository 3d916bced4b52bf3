// One write of each primitive, over a database of any durability mode, through the public API.

import { openDatabase } from "./holdfast.mjs";

const KEYS = 1000;
const LABEL = "step";

export const names = Array.from({ length: KEYS }, (_, at) => `name-${String(at).padStart(4, "0")}`);
export const payloads = names.map((_, step) => ({ step, tool: `tool-${step % 16}`, ok: step % 8 !== 0 }));

/** Passes by the name of what they write. Each returns how many writes did what they should. */
export async function openPrimitives(options) {
  const db = await openDatabase(options);
  const run = db.run("bench");
  const { kv, events, state, traces, graph } = run;
  return {
    passes: {
      "kv.put"({ count }) {
        let writes = 0;
        for (let i = 0; i < count; i++) if (kv.put(names[i % KEYS], i) > 0) writes++;
        return kv.get(names[(count - 1) % KEYS]) === count - 1 ? writes : 0;
      },
      "events.append"({ count }) {
        let writes = 0;
        let last = events.length - 1;
        for (let i = 0; i < count; i++) {
          const { sequence } = events.append("tool", payloads[i % KEYS]);
          if (sequence === ++last) writes++;
        }
        return events.length === last + 1 ? writes : 0;
      },
      "state.set"({ count }) {
        let writes = 0;
        for (let i = 0; i < count; i++) if (state.set(names[i % KEYS], i) > 0) writes++;
        return state.read(names[(count - 1) % KEYS]).value === count - 1 ? writes : 0;
      },
      "traces.record"({ count }) {
        let writes = 0;
        let last;
        for (let i = 0; i < count; i++) {
          last = traces.record({ type: "tool-call", name: "grep", args: payloads[i % KEYS] });
          if (last.length > 0) writes++;
        }
        return traces.has(last) ? writes : 0;
      },
      "graph.addNode"({ count }) {
        let writes = 0;
        const before = graph.nodeCount();
        for (let i = 0; i < count; i++) if (graph.addNode(LABEL, payloads[i % KEYS]) > 0) writes++;
        return graph.nodeCount() === before + count ? writes : 0;
      },
    },
    settle: () => db.flush(),
    close: () => db.close(),
  };
}
