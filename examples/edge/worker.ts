/**
 * A worker for the edge.
 *
 *     POST /runs/NAME          takes a step of the run of that name: { "tool": …, "result": … }; with ?strict, a strict one
 *     GET  /runs/NAME          tells what the run remembers
 *     POST /runs/NAME/compact  makes a checkpoint of it
 *     POST /seen/KEY           counts KEY in this isolate's memory, and forgets it with the isolate
 */
import { Database } from "holdfast";
import { type DurableObjectStorageLike, durableObject } from "holdfast/adapters/durable-object";
import core from "holdfast/single.wasm";
import { type Step, story, takeStep, takeStrictStep } from "./agent";

/** An isolate has 128 MB for everything. */
const MAX_BYTES = 64 * 1024 * 1024;
const RUN = "run";

interface ObjectContext {
  readonly storage: DurableObjectStorageLike;
  blockConcurrencyWhile<T>(opening: () => Promise<T>): Promise<T>;
}

interface Environment {
  readonly RUNS: { getByName(name: string): { fetch(request: Request): Promise<Response> } };
}

export class AgentRun {
  readonly #opening: Promise<Database>;

  constructor(context: ObjectContext) {
    const storage = durableObject(context.storage);
    // No request comes in before it is open; where opening fails, the object is reset, and the next request tries again.
    this.#opening = context.blockConcurrencyWhile(() => Database.open({ storage, wasm: core, maxBytes: MAX_BYTES }));
  }

  async fetch(request: Request): Promise<Response> {
    const db = await this.#opening;
    const run = db.run(RUN);
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "POST") return Response.json(story(run));
    if (pathname.endsWith("/compact")) {
      await db.checkpoint();
      return Response.json(db.storageInfo);
    }
    const step = (await request.json()) as Step;
    return Response.json(await (searchParams.has("strict") ? takeStrictStep : takeStep)(run, step));
  }
}

/** In memory, for as long as this isolate lives. Opened at the first request: nothing may be done before it. */
let memory: Database | undefined;

async function countInMemory(key: string): Promise<number> {
  const opened = memory ?? (await Database.open({ durability: "in-memory", wasm: core, maxBytes: MAX_BYTES }));
  memory ??= opened;
  return memory.run(RUN).state.transitionOrInit(key, 0, (n) => [Number(n) + 1, Number(n) + 1]);
}

async function answer(request: Request, { RUNS }: Environment): Promise<Response> {
  const [kind, name] = new URL(request.url).pathname.split("/").slice(1);
  if (!name) return new Response("POST or GET /runs/NAME, POST /seen/KEY\n", { status: 404 });
  if (kind === "runs") return RUNS.getByName(name).fetch(request);
  return Response.json({ key: name, seen: await countInMemory(name) });
}

const worker = {
  fetch: (request: Request, environment: Environment): Promise<Response> =>
    answer(request, environment).catch((error: unknown) => new Response(`${error}\n`, { status: 500 })),
};

// biome-ignore lint/style/noDefaultExport: what workerd starts a module by
export default worker;
