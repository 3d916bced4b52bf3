/**
 * What stands for a text that is too long to be a part of a name or a key: the same for the same text on every runtime, and
 * for no other text.
 */
import { _SHA256 as Sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { HoldfastError } from "../index.js";

/**
 * The SHA-256 of a text's UTF-8, as 64 hexadecimal digits.
 * @throws HoldfastError `INVALID_KEY` if it has a lone surrogate, which UTF-8 cannot carry: two texts would become one.
 */
export function digestOf(text: string): string {
  if (!text.isWellFormed()) {
    throw new HoldfastError("INVALID_KEY", "A name has a lone surrogate; repair it with toWellFormed().");
  }
  return bytesToHex(new Sha256().update(new TextEncoder().encode(text)).digest());
}
