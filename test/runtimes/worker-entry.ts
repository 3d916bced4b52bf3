/** Where a worker of a page starts: runs the suites that its settings ask for, and posts what is reported. */
import { runSuites, type Settings } from "./runner.js";

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<Settings>) => void) | null;
  postMessage(message: unknown): void;
};

scope.onmessage = ({ data }) => {
  runSuites(data, (line) => scope.postMessage({ line })).then(
    (failed) => scope.postMessage({ failed }),
    (error: unknown) => scope.postMessage({ died: String(error) }),
  );
};
