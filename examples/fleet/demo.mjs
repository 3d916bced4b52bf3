/**
 * Two processes share a hundred agents; one is killed in the middle, the other takes its agents over from where they were, and all end.
 *
 *     node examples/fleet/demo.mjs                                     on servers that it starts itself: it needs nats-server
 *     node examples/fleet/demo.mjs --servers 127.0.0.1:4222,127.0.0.1:4223,127.0.0.1:4224
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { Fleet } from "holdfast/fleet";

const AGENTS = 100;
const STEPS = 20;
/** After so many agents the first process is killed. */
const KILLED_AFTER = 10;

const { values } = parseArgs({
  options: { servers: { type: "string" }, "lease-ms": { type: "string", default: "3000" } },
});
const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));
const done = new Set();
const own = values.servers === undefined ? await startServers() : undefined;
const servers = values.servers?.split(",") ?? own.servers;
process.exitCode = await demo();
await own?.close();

async function startServers() {
  const { startNatsServers } = await import("../../test/support/nats-servers.mjs");
  return startNatsServers({ size: 3 });
}

function start() {
  const args = ["--servers", servers.join(","), "--agents", String(AGENTS), "--steps", String(STEPS)];
  const child = fork(WORKER, [...args, "--lease-ms", values["lease-ms"]], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const over = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  return { child, over };
}

async function demo() {
  const first = start();
  const second = start();
  for (const { child } of [first, second]) {
    child.on("message", ({ id }) => {
      done.add(id);
      if (process.stdout.isTTY) process.stdout.write(`\r${done.size} of ${AGENTS} agents are done`);
      if (done.size === KILLED_AFTER) first.child.kill("SIGKILL");
    });
  }
  const ends = [await first.over, await second.over];
  console.log(`\nThe first process ended by ${ends[0]}, the second with ${ends[1]}.`);
  const whole = await count();
  return whole === AGENTS && ends[1] === 0 ? 0 : 1;
}

/** Looks at all agents as the next owner finds them; how many are whole. */
async function count() {
  const connection = await connect({ servers });
  const fleet = await Fleet.open(connection);
  let whole = 0;
  let shared = 0;
  for (let at = 0; at < AGENTS; at++) {
    const run = await fleet.acquire(`agent-${at}`, { waitMs: 10_000 });
    const thoughts = [...run.events.range()].map(({ payload }) => payload);
    const isInOrder = thoughts.every(({ step }, index) => step === index + 1);
    if (isInOrder && thoughts.length === STEPS && run.kv.count() === STEPS) whole++;
    if (new Set(thoughts.map(({ by }) => by)).size > 1) shared++;
    await run.release();
  }
  console.log(`${whole} of ${AGENTS} agents have all ${STEPS} steps, each once and in order.`);
  console.log(`${shared} were begun by one process and ended by the other.`);
  await fleet.close();
  await connection.close();
  return whole;
}
