/** How a child of the crash tests speaks to its parent: at once, and whole, whatever becomes of the child right after. */
import { writeSync } from "node:fs";

/** Writes to the pipe before it returns. A pipe that is full for the moment is no failure. */
export function tellBytes(bytes) {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(1, bytes, done, bytes.length - done);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

export function tellLine(value) {
  tellBytes(Buffer.from(`${JSON.stringify(value)}\n`));
}

/** What of an error its parent wants to know. */
export function errorOf(error) {
  return { name: error?.name ?? "", code: error?.code ?? "", message: String(error?.message ?? error) };
}
