// A graph that a process runs until it is killed, and another goes on with: `node killed-graph.mjs <directory> <part>`.
//
// Each node notes in a file that it has run. What a part has come to is printed as one line of JSON; then it stays alive
// until it is killed, with the database open but for the last part.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { Annotation, Command, interrupt, START, StateGraph } from "@langchain/langgraph";
import { Database } from "holdfast";
import { HoldfastSaver } from "holdfast/integrations/langgraph";

const [directory, part] = process.argv.slice(2);
const db = await Database.open({ path: join(directory, "state"), durability: process.env.DURABILITY });
const checkpointer = new HoldfastSaver(db);
const config = { configurable: { thread_id: "killed" } };

const note = (node) => appendFileSync(join(directory, "ran"), `${node}\n`);
const say = (what) => console.log(JSON.stringify(what));
const stay = () => new Promise(() => setInterval(() => {}, 1000));

/** Resolves when the node beside it has its writes in the checkpoint that both began from. */
async function keptBeside(node) {
  for (;;) {
    const tuple = await checkpointer.getTuple(config);
    if (tuple.pendingWrites.some(([, , value]) => JSON.stringify(value) === JSON.stringify([node]))) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const State = Annotation.Root({ log: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }) });
const graph = new StateGraph(State)
  .addNode("fetch", () => {
    note("fetch");
    return { log: ["fetch"] };
  })
  .addNode("ask", () => ({ log: [interrupt("go on?")] }))
  .addNode("quick", () => {
    note("quick");
    return { log: ["quick"] };
  })
  .addNode("slow", async () => {
    note("slow");
    if (part === "resume") {
      await keptBeside("quick");
      say("in the middle of slow");
      await stay();
    }
    return { log: ["slow"] };
  })
  .addEdge(START, "fetch")
  .addEdge("fetch", "ask")
  .addEdge("ask", "quick")
  .addEdge("ask", "slow")
  .compile({ checkpointer });

if (part === "begin") {
  const state = await graph.invoke({ log: ["begun"] }, config);
  say(state.log);
  await stay();
} else if (part === "resume") {
  await graph.invoke(new Command({ resume: "yes" }), config);
} else {
  const state = await graph.invoke(null, config);
  await db.close();
  say(state.log);
  await stay();
}
