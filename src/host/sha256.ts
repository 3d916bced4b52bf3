/** SHA-256, at once on every runtime: those have one of their own that answers later, or none. */
import { _SHA256 as Sha256 } from "@noble/hashes/sha2.js";

/**
 * What hashing begins with, and what is begun anew each time: making one costs as much as hashing a hundred bytes. The class, because
 * the function that the library makes of it looks at options, of which there are none here.
 */
const BEGINNING = new Sha256();
const hasher = new Sha256();

/** The hash of some bytes, one after another: 32 bytes of the caller's own. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  BEGINNING._cloneInto(hasher);
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}
