/** The example for the edge in a workerd of its own: built as its README says, its objects kept in a directory of the caller's. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, createLogger } from "vite";
import { edgeRuntime, installRuntimes } from "../runtimes/install.mjs";
import { serveWorkerd, type WorkerdServer } from "./workerd.mjs";

export const EXAMPLE = fileURLToPath(new URL("../../examples/edge", import.meta.url));
const REQUEST_MS_MAX = 10_000;

/** Where workerd is, or why there is none; on CI there has to be one. */
export async function workerdHere(): Promise<{ readonly command?: string | undefined; readonly skipped?: string }> {
  let complaint = "";
  try {
    await installRuntimes();
  } catch (error) {
    complaint = ` (${error instanceof Error ? error.message.split("\n")[0] : String(error)})`;
  }
  const { command } = edgeRuntime();
  if (command !== undefined) return { command };
  const skipped = `no workerd here${complaint}`;
  console.warn(`SKIPPED: ${skipped}.`);
  if (process.env["CI"] === "true") throw new Error(`${skipped}, which CI does not allow`);
  return { skipped };
}

/** Builds it. @returns what vite had to complain of */
export async function buildExample(): Promise<string[]> {
  const logged: string[] = [];
  const customLogger = createLogger("silent");
  customLogger.warn = customLogger.warnOnce = customLogger.error = (message) => logged.push(message);
  await build({ root: EXAMPLE, customLogger });
  return logged;
}

/** What an answer has in it. */
export interface Told {
  readonly cursor: number;
  readonly steps: readonly {
    readonly step: number;
    readonly tool: string;
    readonly result: string;
    readonly hash: string;
  }[];
  readonly calls: number;
  readonly verified: boolean;
}

/** The example while its workerd lives. */
export class Edge {
  readonly #server: WorkerdServer;

  private constructor(server: WorkerdServer) {
    this.#server = server;
  }

  static async start(command: string, state: string, folder = EXAMPLE): Promise<Edge> {
    return new Edge(await serveWorkerd(command, folder, state));
  }

  /** Asks for something. @throws where it is answered with anything but success, or not at all */
  async ask<T>(path: string, body?: object): Promise<T> {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(REQUEST_MS_MAX);
    const response = await fetch(this.#server.url + path, { ...init, signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}${this.#server.noise()}`);
    return JSON.parse(text) as T;
  }

  kill(): Promise<void> {
    return this.#server.close();
  }
}

/** A folder beside the example, to write another configuration to that embeds the same files. */
export const BESIDE = join(EXAMPLE, "../../build/example-edge");
