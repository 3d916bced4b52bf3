/**
 * Where workerd starts: a request with settings runs the suites that they ask for, and is answered with one line of JSON per event;
 * one without says which suites there are. With a path it is for the Durable Object of that name, which runs them over its
 * storage; deleting it resets that object, as the platform may at any time.
 */
import type { DurableObjectStorageLike } from "../../src/adapters/durable-object.js";
import { type Line, runSuites, type Settings } from "./runner.js";
// @ts-expect-error: a module of WebAssembly, which workerd gives and no type knows
import core from "./single.wasm";
import { suites } from "./suites.js";

interface Fetcher {
  fetch(request: Request): Promise<Response>;
}

interface Environment {
  readonly OBJECTS: { idFromName(name: string): unknown; get(id: unknown): Fetcher };
}

interface ObjectContext {
  readonly storage: DurableObjectStorageLike;
  abort(reason: string): void;
}

async function run(request: Request, object?: DurableObjectStorageLike): Promise<Response> {
  const settings = (await request.json()) as Settings;
  const lines: string[] = [];
  const note = (line: Line): void => void lines.push(JSON.stringify(line));
  const place = object === undefined ? {} : { object };
  await runSuites({ ...settings, wasm: core as WebAssembly.Module, ...place }, note);
  return new Response(`${lines.join("\n")}\n`);
}

export class Suites implements Fetcher {
  readonly #context: ObjectContext;

  constructor(context: ObjectContext) {
    this.#context = context;
  }

  async fetch(request: Request): Promise<Response> {
    if (request.method === "DELETE") this.#context.abort("reset by the driver");
    return run(request, this.#context.storage);
  }
}

const worker = {
  async fetch(request: Request, { OBJECTS }: Environment): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    if (name !== "") return OBJECTS.get(OBJECTS.idFromName(name)).fetch(request);
    return request.method === "POST" ? run(request) : Response.json(suites.map((suite) => suite.name));
  },
};

// biome-ignore lint/style/noDefaultExport: what workerd starts a module by
export default worker;
