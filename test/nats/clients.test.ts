/** One run that goes from client to client: over TCP in Node, Deno and Bun, over WebSockets in those that have them and in browsers. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findChromium, findFirefox } from "../runtimes/install.mjs";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { CHILD_ENVIRONMENT, runtimesHere } from "../support/server-runtimes.js";
import { takeStepIn } from "./in-browser.mjs";
import { describeWithServer } from "./server.js";

const CLIENT = join(import.meta.dirname, "client.mjs");
const CLIENT_MS_MAX = 60_000;
const BROWSERS = { chromium: findChromium, firefox: findFirefox } as const;
/** The oldest Node that is supported has no WebSocket of its own. */
const WITHOUT_WEBSOCKET = "node";

const run = promisify(execFile);

describeWithServer("a run on a server of NATS", () => {
  let cluster: NatsServers;

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 1 });
  });

  afterAll(async () => {
    await cluster?.close();
  });

  test("goes from client to client, whatever they run in and however they are connected", async () => {
    const [{ port, webSocketPort }] = cluster.nodes as [NatsServers["nodes"][number]];
    const servers = { tcp: `127.0.0.1:${port}`, websocket: `ws://127.0.0.1:${webSocketPort}` };
    const taken: string[] = [];
    const has = async (by: string, step: (step: { run: string; by: string }) => Promise<unknown>): Promise<void> => {
      expect(await step({ run: "handed-on", by }), `what ${by} has found`).toEqual(taken);
      taken.push(by);
    };
    for (const { name, command, args } of (await runtimesHere()).runtimes) {
      for (const over of ["tcp", "websocket"] as const) {
        if (over === "websocket" && name === WITHOUT_WEBSOCKET) continue;
        await has(`${name} over ${over}`, async (step) => {
          const given = JSON.stringify({ ...step, over, server: servers[over] });
          const options = { env: CHILD_ENVIRONMENT, timeout: CLIENT_MS_MAX, killSignal: "SIGKILL" } as const;
          return JSON.parse((await run(command, [...args, CLIENT, given], options)).stdout) as unknown;
        });
      }
    }
    for (const name of ["chromium", "firefox"] as const) {
      const path = await BROWSERS[name]();
      if (path === undefined) {
        if (process.env["CI"] === "true") throw new Error(`There is no ${name}, which CI does not allow`);
        console.warn(`SKIPPED: there is no ${name} here.`);
        continue;
      }
      await has(name, (step) => takeStepIn(name, path, { ...step, server: servers.websocket }));
    }
    expect(taken.length).toBeGreaterThan(1);
  });
});
