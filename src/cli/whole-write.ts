/**
 * Writing to files: a system that runs out of room takes a part of a piece first, and says nothing.
 */
import { writeSync } from "node:fs";

/** Writes all of it, however little the system takes at a time. Throws what the system throws. */
export function writeWholly(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const taken = writeSync(descriptor, bytes, at);
    if (taken === 0) throw Object.assign(new Error("nothing more is taken"), { code: "ENOSPC" });
    at += taken;
  }
}
