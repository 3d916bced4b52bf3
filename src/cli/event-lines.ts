/**
 * An event as one line, for people and for programs.
 */
import type { LogEvent } from "../index.js";
import { hex, type Json, toJson } from "./json-values.js";
import { printable, shortened, time } from "./text.js";

const PAYLOAD_CHARS_MAX = 160;

export function eventToJson(event: LogEvent): { readonly [key: string]: Json } {
  const { sequence, type, timestamp, payload, previousHash, hash } = event;
  return { sequence, type, timestamp, payload: toJson(payload), previousHash: hex(previousHash), hash: hex(hash) };
}

/** Where nothing is cut off, a payload is on the line as a whole. */
export function eventLine({ sequence, type, timestamp, payload }: LogEvent, isCut: boolean): string {
  const text = JSON.stringify(toJson(payload));
  const shown = isCut ? shortened(text, PAYLOAD_CHARS_MAX) : printable(text);
  return `${sequence}  ${time(timestamp)}  ${printable(type)}  ${shown}`;
}
