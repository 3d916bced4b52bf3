/**
 * A process that has runs of a fleet and writes to them until it is killed: one line for each thing that has happened.
 *
 *     node test/nats/owner.mjs '{"servers":["127.0.0.1:4222"],"runs":["a"],"owner":1,"leaseMs":600}'
 *
 *     ready             it begins to take its runs
 *     took <run> <n>    it holds the run, and finds it at commit n
 *     ack <run> <n>     commit n was acknowledged
 *     lost <run>        the run was taken away
 *     refused <run> <code>    a commit has failed
 *
 * Commit n of a run changes three primitives together: the key "n" and the cell "n" are n, and there is one more event.
 */
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { Fleet } from "../../dist/fleet/fleet.js";

const { servers, runs, owner, leaseMs, waitMs = 120_000, bytes = 40, pauseMs = 10 } = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${line}\n`);
const PADDING = "x".repeat(bytes);

// It ends with whoever has started it.
process.stdin.once("end", () => process.exit(3)).resume();

const connection = await connect({
  servers,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 50,
  waitOnFirstConnect: true,
});
const fleet = await Fleet.open(connection, { durability: "strict", leaseMs });
say("ready");

/** Servers may be away for longer than it has patience with them. */
async function taken(id) {
  for (;;) {
    try {
      return await fleet.acquire(id, { waitMs });
    } catch (error) {
      if (error.code !== "STORE_FAILED") throw error;
    }
  }
}

async function work(id) {
  const run = await taken(id);
  let isLost = false;
  run.onLost(() => {
    isLost = true;
    say(`lost ${id}`);
  });
  let n = run.kv.get("n") ?? 0;
  say(`took ${id} ${n}`);
  while (!isLost) {
    const next = n + 1;
    try {
      await run.transactionAsync((tx) => {
        tx.kv.put("n", next);
        tx.state.set("n", next);
        tx.events.append("commit", { n: next, owner, padding: PADDING });
      });
    } catch (error) {
      console.error(`a commit of ${id} was refused:`, error);
      say(`refused ${id} ${error.code}`);
      return;
    }
    n = next;
    say(`ack ${id} ${n}`);
    await pause(pauseMs);
  }
}

await Promise.all(runs.map(work));
