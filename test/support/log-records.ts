/**
 * What stands in a simulated disk's log, looked for without the store.
 */
import type { SimulatedDisk } from "./simulated-storage.js";

/** Whether a text stands anywhere in what is durable, or with `written` in what was written. */
export function holds(disk: SimulatedDisk, text: string, written = false): boolean {
  const isIn = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes(text);
  const inLog = disk
    .segmentNumbers()
    .some((segment) => isIn(written ? disk.bytes(segment) : disk.durableBytes(segment)));
  // A checkpoint takes the place of the log that it was made of.
  return inLog || disk.durableCheckpoints().some(isIn);
}
