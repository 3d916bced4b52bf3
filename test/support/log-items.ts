/**
 * The commits that stand in a simulated disk's log, as the primitives' items, read without the store: key-values, events,
 * cells with what deleted ones leave, traces, and runs' entries in the index, named as the model's oracle names them.
 *
 * Only for logs whose segments were all written by one owner. Index tables are left out: they follow from the rest.
 */
import * as abi from "../../src/host/abi.js";
import type { Value } from "../../src/index.js";
import type { Commit, Mode } from "./history.js";
import { plainDecode } from "./plain-cbor.js";
import type { SimulatedDisk } from "./simulated-storage.js";

const MODES: readonly Mode[] = ["in-memory", "buffered", "strict"];
const CELL_COUNTER = "d\u0000";

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function eventOf(stored: Value): Value {
  const [bytes, previousHash, hash] = stored as [Uint8Array, Uint8Array, Uint8Array];
  const [sequence, type, payload, timestamp] = plainDecode(bytes) as [number, string, Value, number];
  return { sequence, type, payload, timestamp, previousHash, hash };
}

function cellOf(stored: Value): Value {
  const [version, updatedAt, value] = stored as [number, number, Value];
  return { value, version, updatedAt };
}

/** What an operation writes, as an item and its value; `undefined` for what is in an index. */
function itemOf(
  run: string,
  table: number,
  key: string,
  value: Value | undefined,
): [string, Value | undefined] | undefined {
  const put = <T>(made: (value: Value) => T): T | undefined => (value === undefined ? undefined : made(value));
  switch (table) {
    case 0:
      return [`k:${key}`, value];
    case 1:
      return [`e:${key}`, put(eventOf)];
    case 2:
      return [`c:${key}`, put(cellOf)];
    case 3:
      return [`t:${key}`, put((stored) => ({ id: key, ...(stored as object) }) as unknown as Value)];
    case 5:
      return ["i:", put((stored) => ({ name: run, ...(stored as object) }) as unknown as Value)];
    case 10:
      return key.startsWith(CELL_COUNTER) ? [`n:${key.slice(CELL_COUNTER.length)}`, value] : undefined;
    default:
      return undefined;
  }
}

/** The commit in a whole record of one. */
export function commitAt(record: Uint8Array): Commit {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const runBytes = view.getUint16(abi.RECORD_RUN_BYTES_OFFSET, true);
  let at = abi.RECORD_HEADER_BYTES + runBytes;
  const run = textOf(record.subarray(abi.RECORD_HEADER_BYTES, at));
  const writes = new Map<string, Value | undefined>();
  let deletesRun = false;
  for (let left = view.getUint32(abi.RECORD_OPERATIONS_OFFSET, true); left > 0; left--) {
    const kind = view.getUint8(at + abi.OPERATION_KIND_OFFSET);
    const table = view.getUint8(at + abi.OPERATION_TABLE_OFFSET);
    const keyBytes = view.getUint16(at + abi.OPERATION_KEY_BYTES_OFFSET, true);
    const valueBytes = view.getUint32(at + abi.OPERATION_VALUE_BYTES_OFFSET, true);
    at += abi.OPERATION_HEADER_BYTES;
    const key = textOf(record.subarray(at, at + keyBytes));
    const value = record.subarray(at + keyBytes, at + keyBytes + valueBytes);
    if (kind === abi.OPERATION_DELETE_RUN) deletesRun = true;
    const item = itemOf(run, table, key, kind === abi.OPERATION_PUT ? plainDecode(value) : undefined);
    if (item !== undefined && kind !== abi.OPERATION_DELETE_RUN) writes.set(...item);
    at += keyBytes + valueBytes;
  }
  const version = Number(view.getBigUint64(abi.RECORD_VERSION_OFFSET, true));
  const mode = MODES[view.getUint8(abi.RECORD_MODE_OFFSET)] as Mode;
  return { run, version, mode, writes, ...(deletesRun ? { deletesRun } : {}) };
}

/** Every whole commit in the log, in order, also where a checkpoint has taken its place. */
export function itemCommitsOf(disk: SimulatedDisk): Commit[] {
  const commits: Commit[] = [];
  for (const bytes of disk.everySegment()) {
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
