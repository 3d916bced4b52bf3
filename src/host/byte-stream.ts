/**
 * Streams of bytes, of whatever kind a platform has.
 */

import { describe, refuseArgument } from "./arguments.js";

/** What `Database.import` takes: pieces of any size, one after another. */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | ReadableStream<Uint8Array>;

/** @throws HoldfastError `INVALID_ARGUMENT` for what is no stream of bytes */
export function checkSource(source: unknown): void {
  if (isStream(source)) return;
  throw refuseArgument(`Database.import takes a stream of bytes such as db.export() gives, got ${describe(source)}.`);
}

function isStream(source: unknown): boolean {
  if (typeof source !== "object" || source === null) return false;
  try {
    return Symbol.asyncIterator in source || Symbol.iterator in source || "getReader" in source;
  } catch {
    // A Proxy that cannot be asked is none.
    return false;
  }
}

interface Readable {
  getReader(): ReadableStreamDefaultReader<Uint8Array>;
}

/** Walks any kind of stream. */
export function piecesOf(source: ByteStream): AsyncIterator<unknown> | Iterator<unknown> {
  if (source instanceof Uint8Array) return [source].values();
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  if ("getReader" in source) return fromReader((source as Readable).getReader());
  return source[Symbol.iterator]();
}

/** Some browsers' streams cannot be walked by themselves. */
function fromReader(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncIterator<unknown> {
  return {
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** Has a stream let go of what it holds, whether anything of it was read or not. Nobody waits for it. */
export function endSource(source: ByteStream): void {
  end(() => piecesOf(source));
}

/** The same of a stream that is being walked. */
export function endPieces(pieces: AsyncIterator<unknown> | Iterator<unknown>): void {
  end(() => pieces);
}

function end(pieces: () => AsyncIterator<unknown> | Iterator<unknown>): void {
  const ended = async (): Promise<void> => {
    await pieces().return?.();
  };
  ended().catch(() => {});
}
