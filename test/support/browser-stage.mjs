/**
 * A program that does what it is told from outside the browser: `holdfastDo("page" | "worker", call, settings)`, in the page or
 * in one worker of it, which is started when it is first needed.
 *
 * What it keeps true: bundlers find a worker only where its address is written out, so that the page makes it.
 */

/** Lets a page be told what to do. */
export function stage(program, makeWorker) {
  let worker;
  const waiting = new Map();
  let count = 0;

  const inWorker = (call, settings) => {
    if (worker === undefined) {
      worker = makeWorker();
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
  };

  globalThis.holdfastDo = (where, call, settings) =>
    where === "worker" ? inWorker(call, settings) : Promise.resolve(program[call](settings));
}

/** In the worker: does what it is told, and answers. */
export function answer(program) {
  globalThis.onmessage = async ({ data: { id, call, settings } }) => {
    try {
      globalThis.postMessage({ id, value: await program[call](settings) });
    } catch (error) {
      globalThis.postMessage({ id, error: `${error?.code ?? error?.name}: ${error?.message}` });
    }
  };
}
