/** Where a hired worker starts: in a worker of Node's kind, which Deno and Bun have as well, or in one of the web's. */
import { answerHands } from "../contract/hand.js";

interface NodePort {
  on(event: "message", listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
}

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
};

const isBrowser = typeof process === "undefined" || typeof process.getBuiltinModule !== "function";
const parentPort = isBrowser ? null : (process.getBuiltinModule("node:worker_threads").parentPort as NodePort | null);

if (parentPort === null) {
  const answer = answerHands(
    (message) => scope.postMessage(message),
    () => scope.close(),
  );
  scope.onmessage = ({ data }) => answer(data);
} else {
  const answer = answerHands(
    (message) => parentPort.postMessage(message),
    () => process.exit(0),
  );
  parentPort.on("message", answer);
}
