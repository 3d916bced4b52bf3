/** Starts workers for the suites, as each runtime makes them. */
import type { WorkerPort } from "../contract/hand.js";

/** A worker of the web's kind: in browsers, Deno and Bun. */
function webWorker(): WorkerPort {
  const worker = new Worker(new URL("./hand-entry.js", import.meta.url), { type: "module" });
  return {
    object: worker,
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener("message", ({ data }) => listener(data)),
    terminate: () => worker.terminate(),
  };
}

/** A worker of Node's kind, at the entry that was built for it, and with flags of its own if it is given some. */
export function threadAt(entry: URL, options: { readonly execArgv?: string[] } = {}): WorkerPort {
  const { Worker: Thread } = process.getBuiltinModule("node:worker_threads");
  const thread = new Thread(entry, options);
  return {
    object: thread,
    post: (message) => thread.postMessage(message),
    onMessage: (listener) => void thread.on("message", listener),
    terminate: () => thread.terminate(),
  };
}

/** Starts a worker; on servers one of Node's kind. */
export function startWorker(): WorkerPort {
  const isServer = typeof process !== "undefined" && typeof process.getBuiltinModule === "function";
  return isServer ? threadAt(new URL("./hand-entry.js", import.meta.url)) : webWorker();
}
