/**
 * Servers of NATS with JetStream, as plain processes on this machine: one by itself, or several that form a cluster.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { claimPorts } from "./ports.mjs";

export const SERVER = "nats-server";
/** A server that has not heard of another when that came up hears of it half a minute later. */
const READY_MS_MAX = 45_000;
/** Servers that have not found one another until then are begun anew, on other ports and empty folders: they are not what is tested. */
const STARTS = 3;
const NOISE_CHARS = 2_000;
const CLIENT = { maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 2_000 };

/** They end with this process, however that ends. */
const running = new Set();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** The command of the server on this machine, if there is one; installing it is `test/runtimes/install.mjs`'s. */
export function findNatsServer() {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]
    .map((folder) => join(folder, SERVER))
    .find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The lines that configure one of several servers. */
function configuration({ at, port, webSocketPort, store, bytesMax, routePorts, besides }) {
  const lines = [
    ...besides,
    `server_name: "n${at}"`,
    `listen: "127.0.0.1:${port}"`,
    `websocket { listen: "127.0.0.1:${webSocketPort}", no_tls: true }`,
    `jetstream { store_dir: "${store}", max_file_store: ${bytesMax} }`,
  ];
  if (routePorts.length > 1) {
    const routes = routePorts.map((each) => `"nats-route://127.0.0.1:${each}"`).join(", ");
    lines.push(`cluster { name: holdfast, listen: "127.0.0.1:${routePorts[at]}", routes: [${routes}] }`);
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Starts so many servers, or the first `starting` of them, with lines besides in their configuration, and waits until JetStream
 * answers.
 */
export async function startNatsServers({
  size,
  starting = size,
  bytesMax = 2 ** 30,
  command = findNatsServer(),
  besides = [],
}) {
  if (command === undefined) throw new Error(`There is no ${SERVER} on the PATH: apt-get install ${SERVER}`);
  for (let start = 1; ; start++) {
    try {
      return await startOnce({ size, starting, bytesMax, command, besides });
    } catch (error) {
      if (start === STARTS) throw error;
      console.warn(error.message);
    }
  }
}

async function startOnce({ size, starting, bytesMax, command, besides }) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-nats-"));
  const { ports, release } = await claimPorts(3 * size);
  const routePorts = ports.slice(size, 2 * size);
  const nodes = ports.slice(0, size).map((port, at) => {
    const config = join(folder, `${at}.conf`);
    const store = join(folder, String(at));
    mkdirSync(store);
    const webSocketPort = ports[2 * size + at];
    writeFileSync(config, configuration({ at, port, webSocketPort, store, bytesMax, routePorts, besides }));
    return { ...serverNode(command, config), port, webSocketPort };
  });
  const servers = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const cluster = {
    nodes,
    servers,
    connect: () => connect({ servers, ...CLIENT, waitOnFirstConnect: true }),
    ready: () => untilReady(cluster, size),
    async close() {
      await Promise.all(nodes.map((node) => node.kill()));
      await release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  for (const node of nodes.slice(0, starting)) node.start();
  try {
    await untilReady(cluster, starting);
  } catch (error) {
    const noise = nodes.map((node, at) => `n${at}, the last that it said:\n${node.noise()}`);
    await cluster.close();
    throw new Error(`The servers have not come up: ${error.message}\n${noise.join("\n")}`, { cause: error });
  }
  return cluster;
}

/** Until a stream can be made on so many of them. */
async function untilReady({ nodes, servers }, count) {
  const endMs = performance.now() + READY_MS_MAX;
  let connection;
  try {
    for (;;) {
      try {
        connection ??= await connect({ servers, ...CLIENT });
        const jsm = await jetstreamManager(connection);
        const name = `ready-${Math.random().toString(36).slice(2)}`;
        await jsm.streams.add({ name, subjects: [name], num_replicas: count });
        await jsm.streams.delete(name);
        return;
      } catch (error) {
        if (nodes.some((node) => node.hasEnded())) throw new Error("one has ended by itself", { cause: error });
        if (performance.now() > endMs) throw error;
      }
      await pause(100);
    }
  } finally {
    await connection?.close();
  }
}

function serverNode(command, config) {
  let child;
  let noise = "";
  return {
    noise: () => noise,
    /** Whether it has ended without having been told to. */
    hasEnded: () => child !== undefined && (child.exitCode !== null || child.signalCode !== null),
    /** Starts it, again too, on what it has in its files. */
    start() {
      child = spawn(command, ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
      const started = child;
      running.add(started);
      started.once("close", () => running.delete(started));
      child.stderr.on("data", (data) => {
        noise = (noise + data).slice(-NOISE_CHARS);
      });
    },
    /** Ends it at once, wherever it is. */
    async kill() {
      const dying = child;
      child = undefined;
      if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
      const over = new Promise((resolve) => dying.once("exit", resolve));
      dying.kill("SIGKILL");
      await over;
    },
    /** Stops it from running, and lets it go on. */
    freeze: () => child?.kill("SIGSTOP"),
    thaw: () => child?.kill("SIGCONT"),
  };
}
