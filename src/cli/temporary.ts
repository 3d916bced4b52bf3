/**
 * What is on the disk only while a command runs. It is removed when the work is over, also where a signal ends it; a kill that no
 * process can answer leaves it. Removing is tried and no more: that it fails never takes the place of what the work says.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const NAME_BYTES = 6;

/** Does some work, and removes what it needs when it is over. */
export async function removedAfter<T>(remove: () => void, work: () => Promise<T>): Promise<T> {
  const tryToRemove = (): void => {
    try {
      remove();
    } catch {
      // There is nobody left to whom this would say what to do.
    }
  };
  process.once("exit", tryToRemove);
  // A signal ends the process by this way too.
  const stop = (_: NodeJS.Signals, number: number): never => process.exit(128 + number);
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    return await work();
  } finally {
    tryToRemove();
    // A signal that came while nothing else had its turn is still to end the process: it is looked for between two turns.
    await turn();
    await turn();
    process.off("exit", tryToRemove);
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}

/**
 * Makes a file in a directory under a short name that nobody has, and removes it afterwards.
 * @param fill writes to it; what takes long in it lets others have their turn, so that a signal ends it
 * @param place does something with the file by its name once it is closed
 */
export function withTemporary<T>(
  directory: string,
  fill: (descriptor: number) => Promise<T>,
  place: (file: string) => void = () => {},
): Promise<T> {
  // An owner of a database that is there leaves it alone, as a command may be writing it: what a kill left is for a person.
  const file = join(directory, `.holdfast-${randomBytes(NAME_BYTES).toString("hex")}.tmp`);
  let isMade = false;
  const remove = (): void => {
    if (isMade) rmSync(file, { force: true });
  };
  return removedAfter(remove, async () => {
    const descriptor = openSync(file, "wx", 0o600);
    isMade = true;
    let result: T;
    try {
      result = await fill(descriptor);
    } finally {
      closeSync(descriptor);
    }
    place(file);
    return result;
  });
}
