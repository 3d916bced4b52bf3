/**
 * A process that works on agents of a fleet, as many as it can get: one that another process has is left to that one, and taken over
 * where that process dies. It ends when every agent is done.
 *
 *     node examples/fleet/worker.mjs --servers 127.0.0.1:4222 --agents 100 --steps 20
 */
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { HoldfastError } from "holdfast";
import { Fleet } from "holdfast/fleet";

const { values } = parseArgs({
  options: {
    servers: { type: "string", default: "127.0.0.1:4222" },
    agents: { type: "string", default: "100" },
    steps: { type: "string", default: "20" },
    "at-once": { type: "string", default: "10" },
    "lease-ms": { type: "string", default: "3000" },
  },
});
const NAME = `${process.env.HOSTNAME ?? "worker"}-${process.pid}`;
/** How long a step of an agent takes to think. */
const THINKS_MS = 20;
/** Somebody else has the agent, or has taken it over: it is looked at again, and goes on from what is in it. */
const LEFT_TO_OTHERS = ["LOCKED", "STORE_FAILED", "COMMIT_INDETERMINATE"];
const steps = Number(values.steps);
const connection = await connect({
  servers: values.servers.split(","),
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
});
const fleet = await Fleet.open(connection, { leaseMs: Number(values["lease-ms"]), durability: "strict" });
const open = new Set(Array.from({ length: Number(values.agents) }, (_, at) => `agent-${at}`));

/** One step of an agent: whatever it thinks of goes into one transaction with the count of its steps. */
function step(run) {
  return run.transactionAsync((tx) => {
    const done = (tx.state.read("step")?.value ?? 0) + 1;
    tx.events.append("thought", { step: done, by: NAME });
    tx.kv.put(`note ${done}`, `what step ${done} found`);
    tx.state.set("step", done);
    return done;
  });
}

/** Works on an agent to its end. @throws where somebody else has it, or takes it over */
async function work(id) {
  const run = await fleet.acquire(id);
  try {
    const from = run.state.read("step")?.value ?? 0;
    for (let done = from; done < steps; done = await step(run)) await pause(THINKS_MS);
    if (from === steps) return;
    process.send?.({ id, from });
    console.log(`${NAME}: ${id} is done${from > 0 ? `, from step ${from} on` : ""}`);
  } finally {
    await run.release();
  }
}

/** Each agent is worked on once here: whoever acquires a run twice in a process shares it. */
const taken = new Set();

async function lane() {
  while (open.size > 0) {
    const ids = [...open].filter((id) => !taken.has(id));
    const id = ids[Math.floor(Math.random() * ids.length)];
    if (id === undefined) {
      await pause(20);
      continue;
    }
    taken.add(id);
    try {
      await work(id);
      open.delete(id);
    } catch (error) {
      if (!HoldfastError.is(error) || !LEFT_TO_OTHERS.includes(error.code)) throw error;
      await pause(20);
    } finally {
      taken.delete(id);
    }
  }
}

await Promise.all(Array.from({ length: Number(values["at-once"]) }, lane));
await fleet.close();
await connection.close();
