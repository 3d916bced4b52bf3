// `npm run bench:fleet`: runs on a cluster of three servers of NATS on this machine, beside bare publishes of the same bytes.
//
// Keeps true: what is compared is measured in turn in the same rounds, on the same servers; what was written is counted afterwards;
// the servers are processes of this run and end with it; nothing is left behind.

import { fork } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Fleet } from "../../dist/fleet/fleet.js";
import { startNatsServers } from "../../test/support/nats-servers.mjs";
import { countOf, UsageError } from "../flags.mjs";
import { machineFacts } from "../machine.mjs";
import { percentilesOf, ratioByRound, spread } from "../statistics.mjs";

const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));
const OWNER = fileURLToPath(new URL("owner.mjs", import.meta.url));
const IN_FLIGHT = 64;
const SUBJECT = "bare.log";
const LEASE_MS = 2_000;
const VALUE = { step: 0, note: "x".repeat(120) };

const FULL = { rounds: 5, windowMs: 1_500, held: [1, 10, 100, 1_000], logs: [1_000, 10_000, 100_000], takeovers: 3 };
const QUICK = { rounds: 2, windowMs: 300, held: [1, 10], logs: [1_000], takeovers: 1 };

const say = (line) => process.stderr.write(`${line}\n`);
const print = (line) => process.stdout.write(`${line}\n`);

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  let values;
  try {
    values = optionsOf(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(error.message);
    return 2;
  }
  if (values.help) {
    print("npm run bench:fleet [-- flags]: runs on three servers of NATS, beside bare publishes\n");
    print("  --quick      to see that it works, not to quote\n  --rounds N\n  --json FILE\n  --help");
    return 0;
  }
  const how = {
    ...(values.quick ? QUICK : FULL),
    ...(values.rounds && { rounds: countOf("--rounds", values.rounds) }),
  };
  const cluster = await startNatsServers({ size: 3 });
  // Each publish would make two errors ahead of time, for their traces.
  const connection = await connect({ servers: cluster.servers, noAsyncTraces: true });
  try {
    const report = { machine: machineFacts(), how };
    report.throughput = await throughput(connection, how);
    report.held = await heldRuns(connection, how);
    report.recovery = await recovery(connection, how);
    report.takeover = await takeover(connection, cluster.servers, how);
    const file = values.json ?? path.join(RESULTS, `fleet-${report.machine.date.replaceAll(":", "-")}.json`);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
    render(report);
    return 0;
  } finally {
    await connection.close();
    await cluster.close();
  }
}

function optionsOf(args) {
  const options = {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  };
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError(`${error.message.split("\n")[0]} See --help.`);
  }
}

/** So many at once for a while; how many a second, and what each took. */
async function inFlight(count, ms, work) {
  const took = [];
  const endMs = performance.now() + ms;
  const from = performance.now();
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (performance.now() < endMs) {
        const began = performance.now();
        await work();
        took.push(performance.now() - began);
      }
    }),
  );
  return { perSecond: (took.length / (performance.now() - from)) * 1000, took };
}

/** Strict and buffered commits of one run, beside bare publishes of as many bytes as one of its records has. */
async function throughput(connection, { rounds, windowMs }) {
  const js = jetstream(connection);
  const jsm = await jetstreamManager(connection);
  await jsm.streams.add({ name: "bare", subjects: [SUBJECT], num_replicas: 3 });
  const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS });
  const run = await fleet.acquire("throughput");
  let key = 0;
  const commit = () =>
    run.transactionAsync((tx) => tx.kv.put(`key ${key++ % 10_000}`, VALUE), { durability: "strict" });
  await commit();
  const before = run.db.stats();
  for (let i = 0; i < 100; i++) await commit();
  const after = run.db.stats();
  const recordBytes = Math.round((after.logBytes - before.logBytes) / 100);
  const bytes = new Uint8Array(recordBytes);
  const publish = () => js.publish(SUBJECT, bytes);
  const ways = {
    [`bare publishes, ${IN_FLIGHT} in flight`]: () => inFlight(IN_FLIGHT, windowMs, publish),
    [`strict commits, ${IN_FLIGHT} in flight`]: () => inFlight(IN_FLIGHT, windowMs, commit),
    "bare publishes, one after another": () => inFlight(1, windowMs, publish),
    "strict commits, one after another": () => inFlight(1, windowMs, commit),
    "buffered commits, acknowledged together": async () => {
      const from = performance.now();
      let count = 0;
      while (performance.now() - from < windowMs) {
        for (let i = 0; i < 1_000; i++) run.kv.put(`key ${key++ % 10_000}`, VALUE);
        count += 1_000;
        await run.db.flush();
      }
      return { perSecond: (count / (performance.now() - from)) * 1000, took: [] };
    },
  };
  for (const way of Object.values(ways)) await way();
  const measured = new Map(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) measured.get(name).push(await way());
    say(`throughput: round ${round + 1} of ${rounds}`);
  }
  await run.release();
  await fleet.close();
  const rows = [...measured].map(([name, windows]) => ({
    name,
    perSecond: spread(windows.map(({ perSecond }) => perSecond)),
    ms: windows[0].took.length > 0 ? percentilesOf(windows.map(({ took }) => took)) : undefined,
  }));
  const of = (name) => measured.get(name).map(({ perSecond }) => perSecond);
  const names = Object.keys(ways);
  return { recordBytes, rows, strictOfBare: ratioByRound(of(names[1]), of(names[0])) };
}

/** Strict commits over so many runs that one process holds. */
async function heldRuns(connection, { held, windowMs }) {
  const rows = [];
  for (const count of held) {
    const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS, runsMax: 2 * count });
    const from = performance.now();
    const runs = [];
    for (let at = 0; at < count; at += 50) {
      const some = Array.from({ length: Math.min(50, count - at) }, (_, i) => fleet.acquire(`held-${at + i}`));
      runs.push(...(await Promise.all(some)));
    }
    const acquireMs = (performance.now() - from) / count;
    let next = 0;
    const commit = () => {
      const run = runs[next++ % count];
      return run.transactionAsync((tx) => tx.kv.put("key", VALUE), { durability: "strict" });
    };
    const { perSecond, took } = await inFlight(IN_FLIGHT, windowMs, commit);
    rows.push({
      count,
      acquireMs,
      perSecond,
      ms: percentilesOf([took]),
      memoryBytes: fleet.stats().memoryBytes,
      rss: process.memoryUsage().rss,
    });
    say(`held: ${count} runs`);
    await fleet.close();
  }
  return rows;
}

/** Opening a run again whose log is so long. */
async function recovery(connection, { logs, takeovers }) {
  const rows = [];
  for (const records of logs) {
    const id = `log-${records}`;
    await written(connection, id, records);
    const times = [];
    for (let i = 0; i < takeovers; i++) {
      const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS, commitsMax: Number.POSITIVE_INFINITY });
      const from = performance.now();
      const run = await fleet.acquire(id);
      times.push(performance.now() - from);
      if (run.kv.count() !== Math.min(records, 10_000)) throw new Error(`${id}: ${run.kv.count()} keys`);
      await fleet.close();
    }
    rows.push({ records, ms: spread(times) });
    say(`recovery: ${records} records`);
  }
  return rows;
}

/** A run with a log of so many records, each a message of its own: the longest that such a log can be. */
async function written(connection, id, records) {
  const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS, commitsMax: Number.POSITIVE_INFINITY });
  const run = await fleet.acquire(id);
  for (let at = 0; at < records; at++) {
    await run.transactionAsync((tx) => tx.kv.put(`key ${at % 10_000}`, VALUE), { durability: "strict" });
  }
  await fleet.close();
}

/** From the death of an owner to the moment at which the next one has the run. */
async function takeover(connection, servers, { logs, takeovers }) {
  const rows = [];
  for (const records of logs) {
    const id = `log-${records}`;
    const times = [];
    for (let i = 0; i < takeovers; i++) {
      const child = fork(OWNER, [JSON.stringify({ servers, id, leaseMs: LEASE_MS })]);
      await new Promise((resolve) => child.once("message", resolve));
      const over = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await over;
      const fleet = await Fleet.open(connection, { leaseMs: LEASE_MS, commitsMax: Number.POSITIVE_INFINITY });
      const from = performance.now();
      await fleet.acquire(id, { waitMs: 60_000 });
      times.push(performance.now() - from - LEASE_MS);
      await fleet.close();
    }
    rows.push({ records, beyondLeaseMs: spread(times) });
    say(`takeover: ${records} records`);
  }
  return rows;
}

function render({ machine, throughput, held, recovery, takeover }) {
  const number = (value) => Math.round(value).toLocaleString("en");
  const ms = (value) => `${value.toFixed(1)} ms`;
  print(
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, three servers on this machine (${os.platform()})\n`,
  );
  print(
    `${throughput.recordBytes} bytes each                              per second (range)              p50      p99`,
  );
  for (const { name, perSecond, ms: took } of throughput.rows) {
    const range = `${number(perSecond.median)} (${number(perSecond.min)} to ${number(perSecond.max)})`;
    print(
      `${name.padEnd(44)}${range.padStart(28)}${took ? `${ms(took.p50).padStart(10)}${ms(took.p99).padStart(10)}` : ""}`,
    );
  }
  const { median, min, max } = throughput.strictOfBare;
  const verdict = median >= 0.8 ? "reached" : "not reached";
  print(
    `\nstrict commits of bare publishes: ${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)}), goal 0.8: ${verdict}\n`,
  );
  print("runs held   to acquire one   strict commits/s       p50       p99   memory    process");
  for (const { count, acquireMs, perSecond, ms: took, memoryBytes, rss } of held) {
    const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`.padStart(9);
    print(
      `${String(count).padStart(9)}${ms(acquireMs).padStart(17)}${number(perSecond).padStart(19)}${ms(took.p50).padStart(10)}${ms(took.p99).padStart(10)}${mib(memoryBytes)}${mib(rss)}`,
    );
  }
  print("\nrecords in the log   opened in          taken over, beyond the lease of a dead owner");
  for (const [at, { records, ms: took }] of recovery.entries()) {
    const beyond = takeover[at].beyondLeaseMs;
    print(
      `${number(records).padStart(18)}${ms(took.median).padStart(12)}${ms(beyond.median).padStart(28)} (to ${ms(beyond.max)})`,
    );
  }
}
