// Where workerd starts: a request with settings is answered with one line of JSON for each report, as they come.
import { memory } from "../../../dist/adapters/memory.js";
import { Database } from "../../../dist/index.js";
import { measure } from "../program.mjs";
import { holdfast } from "../subjects/holdfast.mjs";
import core from "./single.wasm";

const groups = () => [
  {
    storage: "memory",
    mode: "in-memory",
    subjects: [holdfast({ Database, mode: "in-memory", make: () => ({ storage: memory(), wasm: core }) })],
  },
];

const worker = {
  async fetch(request, _environment, context) {
    const { size } = await request.json();
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    const encoder = new TextEncoder();
    const report = (line) => writer.write(encoder.encode(`${JSON.stringify(line)}\n`));
    context.waitUntil(
      measure(groups(), { size, report })
        .then(() => report({ done: true }))
        .then(
          () => writer.close(),
          (error) => writer.abort(error),
        ),
    );
    return new Response(readable);
  },
};

// biome-ignore lint/style/noDefaultExport: what workerd starts a module by
export default worker;
