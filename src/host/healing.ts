/**
 * Rebuilding a run that a worker has died in the middle of changing, from its log, while the others go on.
 *
 * The log is read back as on opening, for this run alone and into a memory of its own; what that has come to is streamed, as a
 * checkpoint would be, into a new incarnation of the run, which takes the place of the one that is lost (assembly/healing.ts).
 * A lost run takes no commit, so that everything of it is in the log once what is queued is written.
 *
 * Loaded only where a run is rebuilt.
 */
import { HoldfastError } from "../errors.js";
import * as abi from "./abi.js";
import { CheckpointStream } from "./checkpoint.js";
import { encodeName } from "./codec.js";
import { Core, statusError } from "./core.js";
import { instantiateCore } from "./core-instance.js";
import { type Environment, pause } from "./environment.js";
import type { LogFilesInUse } from "./log-files.js";
import type { CheckpointHeader } from "./log-format.js";
import { beginReading } from "./recovery.js";

/** Attempts to find everything published that the run is made of: each that fails means that others have got on. */
const ATTEMPTS_MAX = 100;
const PAGE_BYTES = 65536;
/** Beyond twice what the database has: for what is read at once, and a record as large as they can be. */
const ROOM_BYTES = 128 * 1024 * 1024;

/** What a run has come to in a log that was read back for it alone. */
interface Found {
  readonly core: Core;
  readonly pointer: number;
  /** Its newest version, 0 where the log has nothing of it. */
  readonly version: number;
}

/**
 * Rebuilds the run with an id; whether it was lost.
 * @throws HoldfastError what reading a log throws; `STORE_FULL`, `BUSY`, `STORE_FAILED`.
 */
export async function healRun(
  core: Core,
  module: WebAssembly.Module,
  files: LogFilesInUse,
  id: string,
): Promise<boolean> {
  for (let attempt = 1; isLost(core, id); attempt++) {
    const position = await settle(core, files);
    const found = await readBack(core, module, files, id, position);
    const status = core.heal("Begin", nameOf(core, id), found.version);
    if (status === abi.STATUS_NOTHING) continue;
    if (status === abi.STATUS_BUSY_PENDING && attempt < ATTEMPTS_MAX) continue;
    if (status !== abi.STATUS_OK) throw healError(status);
    if (found.version === 0 || (await fill(core, found, files))) {
      // From here on snapshots of the whole database begin behind it.
      await settle(core, files);
      return true;
    }
  }
  return false;
}

/** Writes, syncs and publishes everything that is queued; the log position up to which that is. */
async function settle(core: Core, { writer }: LogFilesInUse): Promise<number> {
  await writer.drain();
  await writer.sync();
  writer.publishDue();
  return core.logPosition;
}

function nameOf(core: Core, id: string): number {
  core.renew();
  return encodeName(id, abi.RUN_ID_BYTES_MAX, "The run id", core);
}

function isLost(core: Core, id: string): boolean {
  try {
    core.resolveRun(nameOf(core, id));
    return false;
  } catch (error) {
    if (HoldfastError.is(error, "CORRUPTION")) return true;
    throw error;
  }
}

function healError(status: number): HoldfastError {
  return statusError(status === abi.STATUS_BUSY_PENDING ? abi.STATUS_BUSY_LOCK : status, "Rebuilding the run");
}

/** Reads the log back for one run, up to a position that is written. */
async function readBack(
  core: Core,
  module: WebAssembly.Module,
  { session, state, environment }: LogFilesInUse,
  id: string,
  position: number,
): Promise<Found> {
  const only = await makeCore(core, module);
  const status = only.heal("Only", nameOf(only, id));
  if (status !== abi.STATUS_OK) throw statusError(status, "Rebuilding the run");
  const { databaseId } = state;
  const { reader, headers } = await beginReading(session, only, { readOnly: true, databaseId, environment });
  for (const [i, header] of headers.entries()) {
    const end = Math.min(headers[i + 1]?.predecessorEnd ?? position, position);
    // Made since: what is looked for stands before it.
    if (end < header.position) break;
    const read = await reader.segment(header, end);
    if (read.end !== end) throw reader.closedDamage(header, read.end);
  }
  const run = only.resolveRun(nameOf(only, id));
  return { core: only, pointer: run.pointer, version: only.runVisible(run) };
}

/** A core over a memory of its own, which goes with it. */
async function makeCore(core: Core, module: WebAssembly.Module): Promise<Core> {
  const maximum = Math.min(65535, Math.ceil((2 * core.memoryUse().bytes + ROOM_BYTES) / PAGE_BYTES));
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: 2, maximum, shared: true });
  } catch (cause) {
    const message = "There is no address space to read the log back in. Let go of what you can, and try again.";
    throw new HoldfastError("STORE_FULL", message, { cause });
  }
  return Core.format(instantiateCore(module, memory), memory, true, {
    maxBytes: maximum * PAGE_BYTES,
    seed: new Uint32Array(2),
    capabilities: 0,
    recordBytesMax: abi.RECORD_BYTES_MAX,
    canWait: false,
  });
}

/** Fills the header that was just put in the run's place; false where somebody has taken that away meanwhile. */
async function fill(core: Core, found: Found, { state, environment }: LogFilesInUse): Promise<boolean> {
  const { pointer, generation } = core.besideResult();
  let status = abi.STATUS_OK;
  try {
    for (const piece of pieces(found, state.databaseId, environment)) {
      core.stage(piece);
      status = core.heal("Records", pointer, generation, core.valueOffset, piece.length);
      if (status !== abi.STATUS_OK) break;
      await pause(environment);
    }
  } catch (error) {
    core.heal("End", pointer, generation, 0);
    throw error;
  }
  const ended = core.heal("End", pointer, generation, status === abi.STATUS_OK ? 1 : 0);
  if (status === abi.STATUS_OK) status = ended;
  if (status === abi.STATUS_RUN_STALE) return false;
  if (status !== abi.STATUS_OK) throw healError(status);
  return true;
}

/** The run as records of a checkpoint, some at a time. */
function* pieces(
  { core, pointer, version }: Found,
  databaseId: Uint8Array,
  environment: Environment,
): Generator<Uint8Array> {
  const header: CheckpointHeader = {
    databaseId,
    number: 0,
    epoch: 1,
    isExport: true,
    position: 0,
    chain: 0,
    version,
    given: version,
    written: version,
    commits: 0,
  };
  const stream = new CheckpointStream(core, header, [{ pointer, version }], environment);
  try {
    let skip = abi.SEGMENT_HEADER_BYTES;
    for (let piece = stream.next(); piece !== undefined; piece = stream.next()) {
      if (piece.length > skip) yield piece.subarray(skip);
      skip = 0;
    }
  } finally {
    stream.end();
  }
}
