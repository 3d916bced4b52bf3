/** The program in a worker: does what it is told, and answers. */
import { program } from "./program.mjs";

globalThis.onmessage = async ({ data: { id, call, settings } }) => {
  try {
    globalThis.postMessage({ id, value: await program[call](settings) });
  } catch (error) {
    globalThis.postMessage({ id, error: `${error?.code ?? error?.name}: ${error?.message}` });
  }
};
