/**
 * What stands in a simulated disk's log, looked for without the store.
 */
import type { SimulatedDisk } from "./simulated-storage.js";

/** Whether a text stands anywhere in what is durable, or with `written` in what was written. */
export function holds(disk: SimulatedDisk, text: string, written = false): boolean {
  return disk.segmentNumbers().some((segment) => {
    return Buffer.from(written ? disk.bytes(segment) : disk.durableBytes(segment)).includes(text);
  });
}
