/**
 * What stands in one message of a database's subject: 32 bytes that say what is done, and then the bytes that it is done with.
 *
 *     0   1   version of this layout
 *     1   1   what is done: one of OPERATIONS
 *     2   1   1 where the next message goes on with the same, and both count together or not at all
 *     3   1   0
 *     4   4   epoch of the owner
 *     8   4   number of the segment or checkpoint
 *     12  4   the owner's count of its messages
 *     16  8   where the bytes go in the file; of a cut and of a finished checkpoint how long it is; of what is forgotten the end; of a
 *             takeover the sequence behind the last message that its owner has seen
 *     24  8   a number that the owner has drawn for this session
 *
 * All little-endian. Who wrote a message and as which of its own (bytes 12 to 15 and 24 to 31) is what a writer knows it by when the
 * answer to it was lost, and what a reader knows by that one is missing.
 */
import { HoldfastError } from "../errors.js";

const LAYOUT = 1;
export const FRAME_BYTES = 32;

export const OPERATIONS = {
  /** Takes the database over. */
  own: 1,
  /** Makes a segment; the bytes are its content. */
  create: 2,
  append: 3,
  cut: 4,
  /** Removes a segment. */
  remove: 5,
  /** Begins a checkpoint; the bytes are the name of the object that it will be. */
  begin: 6,
  /** That object is whole, and the checkpoint there. */
  finish: 7,
  /** Removes a checkpoint. */
  drop: 8,
  /** The messages before a sequence have never been: they are being taken away, and some may come back from a server's files. */
  forget: 9,
} as const;

export type Operation = (typeof OPERATIONS)[keyof typeof OPERATIONS];

const LAST_OPERATION = OPERATIONS.forget;

export interface Frame {
  readonly operation: Operation;
  readonly more: boolean;
  readonly epoch: number;
  readonly file: number;
  readonly count: number;
  readonly at: number;
  readonly writer: bigint;
}

/** The count of the next message of an owner. */
export function countAfter(count: number): number {
  return (count + 1) >>> 0;
}

/** Whether an owner's count is behind another one of his, which may have come round. */
export function isAfter(count: number, other: number): boolean {
  return ((count - other) | 0) > 0;
}

/** The message of a frame with these bytes. */
export function encodeFrame(frame: Frame, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(FRAME_BYTES + body.byteLength);
  const view = new DataView(message.buffer);
  message[0] = LAYOUT;
  message[1] = frame.operation;
  message[2] = frame.more ? 1 : 0;
  view.setUint32(4, frame.epoch, true);
  view.setUint32(8, frame.file, true);
  view.setUint32(12, frame.count, true);
  view.setBigUint64(16, BigInt(frame.at), true);
  view.setBigUint64(24, frame.writer, true);
  message.set(body, FRAME_BYTES);
  return message;
}

/** @throws HoldfastError `CORRUPTION`, or `UNSUPPORTED` if a newer release wrote it */
export function decodeFrame(message: Uint8Array, sequence: number): Frame {
  const layout = message[0];
  if (layout !== undefined && layout > LAYOUT) {
    throw new HoldfastError(
      "UNSUPPORTED",
      `Message ${sequence} is of layout ${layout}. Open the database with the release that wrote it, or a newer one.`,
      { details: { sequence, layout } },
    );
  }
  const operation = message[1] ?? 0;
  const isOne = layout === LAYOUT && operation >= 1 && operation <= LAST_OPERATION;
  if (message.byteLength < FRAME_BYTES || !isOne) throw notOurs(sequence);
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const at = view.getBigUint64(16, true);
  if (at > BigInt(Number.MAX_SAFE_INTEGER)) throw notOurs(sequence);
  return {
    operation: operation as Operation,
    more: message[2] === 1,
    epoch: view.getUint32(4, true),
    file: view.getUint32(8, true),
    count: view.getUint32(12, true),
    at: Number(at),
    writer: view.getBigUint64(24, true),
  };
}

function notOurs(sequence: number): HoldfastError {
  return new HoldfastError("CORRUPTION", `Message ${sequence} of the subject is none of Holdfast's.`, {
    details: { sequence },
  });
}
