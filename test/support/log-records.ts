/**
 * The commits that stand in a simulated disk's log, read without the store: what every test of order compares with.
 *
 * Only for logs whose segments were all written by one owner, and whose values are short strings.
 */
import * as abi from "../../src/host/abi.js";
import type { Value } from "../../src/index.js";
import type { Commit, Mode } from "./history.js";
import type { SimulatedDisk } from "./simulated-storage.js";

const MODES: readonly Mode[] = ["in-memory", "buffered", "strict"];

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

/** CBOR text of less than 24 bytes: one byte of header, then the text. */
function shortText(bytes: Uint8Array): string {
  if (((bytes[0] ?? 0) & 0xe0) !== 0x60) throw new Error("the value is no short string");
  return textOf(bytes.subarray(1));
}

function commitAt(record: Uint8Array): Commit {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const runBytes = view.getUint16(abi.RECORD_RUN_BYTES_OFFSET, true);
  let at = abi.RECORD_HEADER_BYTES + runBytes;
  const run = textOf(record.subarray(abi.RECORD_HEADER_BYTES, at));
  const writes = new Map<string, Value | undefined>();
  for (let left = view.getUint32(abi.RECORD_OPERATIONS_OFFSET, true); left > 0; left--) {
    const isPut = view.getUint8(at + abi.OPERATION_KIND_OFFSET) === abi.OPERATION_PUT;
    const keyBytes = view.getUint16(at + abi.OPERATION_KEY_BYTES_OFFSET, true);
    const valueBytes = view.getUint32(at + abi.OPERATION_VALUE_BYTES_OFFSET, true);
    at += abi.OPERATION_HEADER_BYTES;
    const value = record.subarray(at + keyBytes, at + keyBytes + valueBytes);
    writes.set(textOf(record.subarray(at, at + keyBytes)), isPut ? shortText(value) : undefined);
    at += keyBytes + valueBytes;
  }
  const version = Number(view.getBigUint64(abi.RECORD_VERSION_OFFSET, true));
  return { run, version, mode: MODES[view.getUint8(abi.RECORD_MODE_OFFSET)] as Mode, writes };
}

/** Every whole commit in the log, in order. */
export function commitsOf(disk: SimulatedDisk): Commit[] {
  const commits: Commit[] = [];
  for (const segment of disk.segmentNumbers()) {
    const bytes = disk.bytes(segment);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = abi.SEGMENT_HEADER_BYTES; at + abi.RECORD_HEADER_BYTES <= bytes.length; ) {
      const length = view.getUint32(at + abi.RECORD_LENGTH_OFFSET, true);
      if (at + length > bytes.length) break;
      const isCommit = view.getUint8(at + abi.RECORD_KIND_OFFSET) === abi.RECORD_COMMIT;
      if (isCommit) commits.push(commitAt(bytes.subarray(at, at + length)));
      at += length;
    }
  }
  return commits;
}

/** Whether a text stands anywhere in what is durable, or with `written` in what was written. */
export function holds(disk: SimulatedDisk, text: string, written = false): boolean {
  return disk.segmentNumbers().some((segment) => {
    return Buffer.from(written ? disk.bytes(segment) : disk.durableBytes(segment)).includes(text);
  });
}
