/**
 * A worker that a storage lives in: does what it is asked, in order, over one session of its own.
 *
 * What it keeps true: a call begins when it arrives, so that calls take effect in the order in which they were made; what
 * fails is sent back as a typed error; the host's part and then the session are closed before the answer to `close` goes out.
 */

import { sessionClosed } from "./failures.js";
import { type Calls, type Request, type Response, sentError } from "./shared-messages.js";
import type { CheckpointWriter, Companion, Storage, StorageCapabilities, StorageSession } from "./storage.js";

/** The parts of a dedicated worker's global that the platform's types for pages do not have. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Response, transfer: Transferable[]): void;
}

/** What a worker serves. */
export interface Served {
  readonly storageOf: (name: string, segmentBytesTarget: number) => Storage;
  /** Makes the host's part beside a session. */
  readonly accompany: (session: StorageSession, capabilities: StorageCapabilities) => Companion;
}

/** Answers every message from now on. */
export function serveStorage({ storageOf, accompany }: Served): void {
  const scope = globalThis as unknown as WorkerScope;
  let session: StorageSession | undefined;
  let companion: Companion | undefined;
  let checkpoint: CheckpointWriter | undefined;

  const opened = (): StorageSession => {
    if (session === undefined) throw sessionClosed("The storage's worker");
    return session;
  };
  const begun = (): CheckpointWriter => {
    if (checkpoint === undefined) throw sessionClosed("The checkpoint");
    return checkpoint;
  };

  const calls: { readonly [K in keyof Calls]: (...args: Parameters<Calls[K]>) => Promise<ReturnType<Calls[K]>> } = {
    async open(name, segmentBytesTarget) {
      const storage = storageOf(name, segmentBytesTarget);
      session = await storage.open({
        readOnly: false,
        onLockedOut: (reason) => scope.postMessage({ lost: reason }, []),
      });
      companion = accompany(session, storage.capabilities);
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
    ask: async (what, given) => companion?.ask(what, given),
    async close() {
      await companion?.close();
      await session?.close();
    },
  };

  const answer = async ({ id, call, args }: Request): Promise<void> => {
    try {
      const value = await (calls[call] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
      const moved = value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : [];
      scope.postMessage({ id, value }, moved);
    } catch (error) {
      scope.postMessage({ id, error: sentError(error) }, []);
    }
  };

  scope.onmessage = ({ data }) => void answer(data);
}

async function readInto(
  byteLength: number,
  read: (into: Uint8Array) => Promise<number>,
): Promise<Uint8Array<ArrayBuffer>> {
  const into = new Uint8Array(byteLength);
  return into.subarray(0, await read(into));
}
