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
const steps = Number(values.steps);
const connection = await connect({ servers: values.servers.split(","), maxReconnectAttempts: -1 });
const fleet = await Fleet.open(connection, { leaseMs: Number(values["lease-ms"]), durability: "strict" });
const open = new Set(Array.from({ length: Number(values.agents) }, (_, at) => `agent-${at}`));

/** One step of an agent: whatever it thinks of goes into one transaction with the count of its steps. */
function step(run) {
  return run.transactionAsync((tx) => {
    const done = (tx.state.read("step")?.value ?? 0) + 1;
    tx.events.append("thought", { step: done, by: process.pid });
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
    for (let done = from; done < steps; ) done = await step(run);
    if (from < steps) process.send?.({ id, from, by: process.pid });
  } finally {
    await run.release();
  }
}

async function worker() {
  while (open.size > 0) {
    const ids = [...open];
    const id = ids[Math.floor(Math.random() * ids.length)];
    try {
      await work(id);
      open.delete(id);
    } catch (error) {
      // Somebody else has it, or has taken it over: it is looked at again.
      if (!HoldfastError.is(error, "LOCKED") && !HoldfastError.is(error, "STORE_FAILED")) throw error;
      await pause(20);
    }
  }
}

await Promise.all(Array.from({ length: Number(values["at-once"]) }, worker));
await fleet.close();
await connection.close();
