/**
 * The worker that a page's storage runs in: does what it is asked, in order, over one session of its own.
 *
 * What it keeps true: a call begins when it arrives, so that calls take effect in the order in which they were made; what
 * fails is sent back as a typed error; the session is closed before the answer to `close` goes out.
 */

import { sessionClosed } from "./failures.js";
import { type Calls, type Request, type Response, sentError } from "./opfs-messages.js";
import type { OpfsSession } from "./opfs-session.js";
import { openOwned } from "./opfs-storage.js";
import type { CheckpointWriter } from "./storage.js";

/** The parts of a dedicated worker's global that the platform's types for pages do not have. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Response, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

let session: OpfsSession | undefined;
let checkpoint: CheckpointWriter | undefined;

function opened(): OpfsSession {
  if (session === undefined) throw sessionClosed("The storage's worker");
  return session;
}

function begun(): CheckpointWriter {
  if (checkpoint === undefined) throw sessionClosed("The checkpoint");
  return checkpoint;
}

async function readInto(
  byteLength: number,
  read: (into: Uint8Array) => Promise<number>,
): Promise<Uint8Array<ArrayBuffer>> {
  const into = new Uint8Array(byteLength);
  return into.subarray(0, await read(into));
}

const calls: { readonly [K in keyof Calls]: (...args: Parameters<Calls[K]>) => Promise<ReturnType<Calls[K]>> } = {
  async open(name) {
    session = await openOwned(name, {
      readOnly: false,
      onLockedOut: (reason) => scope.postMessage({ lost: reason }, []),
    });
    const { epoch, fresh, persisted, vanished } = session;
    return { epoch, fresh, persisted, vanished };
  },
  segments: async () => opened().segments(),
  read: async (segment, offset, byteLength) => readInto(byteLength, (into) => opened().read(segment, offset, into)),
  createSegment: async (number, content) => opened().createSegment(number, content),
  append: async (bytes) => opened().append(bytes),
  async appendDurably(bytes) {
    // Both are called before either is awaited, so that nothing comes between.
    await Promise.all([opened().append(bytes), opened().flush()]);
  },
  flush: async () => opened().flush(),
  truncate: async (byteLength) => opened().truncate(byteLength),
  removeSegment: async (number) => opened().removeSegment(number),
  checkpoints: async () => opened().checkpoints(),
  readCheckpoint: async (number, offset, byteLength) =>
    readInto(byteLength, (into) => opened().readCheckpoint(number, offset, into)),
  async beginCheckpoint(number) {
    checkpoint = await opened().beginCheckpoint(number);
  },
  writeCheckpoint: async (bytes) => begun().write(bytes),
  commitCheckpoint: async () => begun().commit(),
  abandonCheckpoint: async () => checkpoint?.abandon(),
  removeCheckpoint: async (number) => opened().removeCheckpoint(number),
  close: async () => session?.close(),
};

async function answer({ id, call, args }: Request): Promise<void> {
  try {
    const value = await (calls[call] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
    const moved = value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : [];
    scope.postMessage({ id, value }, moved);
  } catch (error) {
    scope.postMessage({ id, error: sentError(error) }, []);
  }
}

scope.onmessage = ({ data }) => void answer(data);
