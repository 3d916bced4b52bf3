/**
 * What a session and the worker that it lives in say to each other: one request, one response, in the order of the calls, and
 * the loss of ownership, which the worker tells by itself. Bytes are moved, not copied; the side that sends them has copied them.
 */

import { type ErrorCode, type ErrorDetails, HoldfastError } from "../errors.js";
import type { SegmentInfo, VanishedInfo } from "./storage.js";

/** What can be asked, and what comes back. */
export interface Calls {
  open(name: string, segmentBytesTarget: number): OpenedInfo;
  segments(): readonly SegmentInfo[];
  read(segment: number, offset: number, byteLength: number): Uint8Array;
  createSegment(number: number, content: Uint8Array): void;
  append(bytes: Uint8Array): void;
  appendDurably(bytes: Uint8Array): void;
  flush(): void;
  truncate(byteLength: number): void;
  removeSegment(number: number): void;
  checkpoints(): readonly SegmentInfo[];
  readCheckpoint(checkpoint: number, offset: number, byteLength: number): Uint8Array;
  beginCheckpoint(number: number): void;
  writeCheckpoint(bytes: Uint8Array): void;
  commitCheckpoint(): void;
  abandonCheckpoint(): void;
  removeCheckpoint(number: number): void;
  /** Something that the host asks of its own part there. */
  ask(what: string, given: unknown): unknown;
  close(): void;
}

export interface OpenedInfo {
  readonly epoch: number;
  readonly fresh: boolean;
  readonly persisted: boolean | undefined;
  readonly vanished: VanishedInfo | undefined;
}

export interface Request {
  readonly id: number;
  readonly call: keyof Calls;
  readonly args: readonly unknown[];
}

export type Response =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError }
  | { readonly lost: string };

/** An error that has crossed: its cause only as text. */
export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
  readonly cause: string;
}

export function sentError(error: unknown): SentError {
  const text = (it: unknown): string => (it instanceof Error ? `${it.name}: ${it.message}` : String(it));
  if (!HoldfastError.is(error)) {
    return {
      code: "STORE_FAILED",
      message: `The storage's worker failed: ${text(error)}`,
      details: {},
      cause: text(error),
    };
  }
  return { code: error.code, message: error.message, details: error.details, cause: text(error.cause) };
}

export function receivedError({ code, message, details, cause }: SentError): HoldfastError {
  return new HoldfastError(code, message, { details, cause });
}
