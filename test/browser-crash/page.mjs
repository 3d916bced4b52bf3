/** What a test can have done in a page, or in a worker of it: `holdfastDo("page" | "worker", call, settings)`. */
import { program } from "./program.mjs";

let worker;
const waiting = new Map();
let count = 0;

function inWorker(call, settings) {
  if (worker === undefined) {
    worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
    worker.onmessage = ({ data: { id, value, error } }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(error));
    };
  }
  count += 1;
  const id = count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, call, settings });
  });
}

globalThis.holdfastDo = (where, call, settings) =>
  where === "worker" ? inWorker(call, settings) : Promise.resolve(program[call](settings));
