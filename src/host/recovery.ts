/**
 * Opening: the newest checkpoint and the log behind it read back into an empty core, and its unsynced tail made safe before anything is served.
 *
 * The rules: segments follow one another by number, predecessor, position and checksum. A closed segment is whole up to
 * the end that its successor records, or that is `CORRUPTION`. In the last one the first bad record is where a torn tail
 * begins, unless the watermark (of the header, of a record before it, or of a whole header anywhere behind it) proves that
 * it had been synced: then it is `CORRUPTION`, and nothing is touched. What stands above the watermark may be in the page
 * cache only, so after an unclean end it is written again to a new segment under this owner's epoch, whole and durable. Where the
 * lock that counts owners was lost, a segment is begun as durably behind a clean end and an import too: it counts in its place.
 */
import type { StorageSession } from "../adapters/storage.js";
import { type ErrorCode, HoldfastError } from "../errors.js";
import * as abi from "./abi.js";
import { type Core, statusError } from "./core.js";
import { recover, recoverSearch, reseal } from "./core-reading.js";
import { type Environment, pause } from "./environment.js";
import { decodeSegmentHeader, type FileName } from "./header-reader.js";
import { type LogFiles, listFiles, removeBefore } from "./log-files.js";
import { type CheckpointHeader, encodeSegmentHeader, type SegmentHeader } from "./log-format.js";
import { LogPlace } from "./log-place.js";
import { type LogState, logWithoutSegments, newLog, versionsUnseen } from "./log-state.js";
import { restoreCheckpoint } from "./restore.js";
import type { RecoveredInfo, SalvagedInfo } from "./storage-info.js";

/** Progress of a long recovery, or of an import. */
export interface RecoveryProgress {
  readonly phase: "recover" | "import";
  readonly bytesDone: number;
  /** How many there are together; undefined for an import, whose end is not known. */
  readonly bytesTotal: number | undefined;
}

export interface RecoveryOptions {
  readonly readOnly: boolean;
  /** For a database that is not there yet. */
  readonly databaseId: Uint8Array;
  readonly environment: Environment;
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Header = SegmentHeader & { crc: number };

/** Bytes that are looked through at once for what a torn tail may hold. */
const SEARCH_BYTES = 64 * 1024;
/** Bytes after which timers get their turn, so that a long recovery can be aborted and shown. */
const BREATH_BYTES = 16 * 1024 * 1024;

/** Reads one log into one core. */
class LogReader {
  readonly #session: StorageSession;
  readonly #core: Core;
  readonly #options: RecoveryOptions;
  /** The bytes of each segment when the log was listed; what an owner appends meanwhile is not read. */
  readonly #byteLengths: ReadonlyMap<number, number>;
  readonly #bytesTotal: number;
  #bytesDone = 0;
  #bytesAtBreath = 0;
  #commits = 0;
  #lastKind = 0;
  #lastMode = 0;

  constructor(session: StorageSession, core: Core, options: RecoveryOptions, files: LogFiles) {
    const { segments, checkpoint } = files;
    this.#session = session;
    this.#core = core;
    this.#options = options;
    this.#byteLengths = new Map(segments.map(({ number, byteLength }) => [number, byteLength]));
    this.#bytesTotal = segments.reduce((sum, { byteLength }) => sum + byteLength, checkpoint?.byteLength ?? 0);
  }

  #crc32c = (bytes: Uint8Array): number => this.#core.crc32c(bytes);

  async header(number: number): Promise<Header> {
    const bytes = await this.bytesOf(number, 0, abi.SEGMENT_HEADER_BYTES);
    return decodeSegmentHeader(bytes, number, this.#crc32c);
  }

  /** Up to `length` bytes of a segment; fewer only at its end. */
  async bytesOf(number: number, offset: number, length: number): Promise<Uint8Array> {
    const { bytes, failure } = await this.#readable(number, offset, length);
    if (failure !== undefined) throw failure;
    return bytes;
  }

  /** The same up to a place that cannot be read, and why it cannot. */
  async #readable(
    number: number,
    offset: number,
    length: number,
  ): Promise<{ bytes: Uint8Array; failure: HoldfastError | undefined }> {
    const left = Math.max((this.#byteLengths.get(number) ?? 0) - offset, 0);
    const into = new Uint8Array(Math.min(length, left));
    let got = 0;
    let failure: HoldfastError | undefined;
    while (got < into.length) {
      this.#options.signal?.throwIfAborted();
      try {
        const read = await this.#session.read(number, offset + got, into.subarray(got));
        if (read === 0) break;
        got += read;
      } catch (error) {
        failure = unreadable({ kind: "segment", number }, offset + got, error);
        break;
      }
    }
    return { bytes: into.subarray(0, got), failure };
  }

  /**
   * Applies one segment up to `end` (a log position; undefined for the last one). Returns where the records end.
   * @throws HoldfastError `STORE_FAILED` at a place that cannot be read; the whole records before it are applied.
   */
  async segment(header: Header, end: number | undefined): Promise<{ end: number; bad: boolean }> {
    const core = this.#core;
    core.logBegin(header.position, header.crc, header.epoch, Math.max(header.syncedEnd, header.position));
    let position = header.position;
    // What the core has room for anyhow: reading back must not need more memory than there was when it was written.
    let windowBytes = core.valueCapacity;
    for (;;) {
      const wanted = end === undefined ? windowBytes : Math.min(windowBytes, end - position);
      const offset = abi.SEGMENT_HEADER_BYTES + position - header.position;
      const { bytes, failure } = await this.#readable(header.number, offset, wanted);
      if (bytes.length === 0 && failure === undefined) return { end: position, bad: false };
      const { taken, status } = this.#apply(bytes);
      position += taken;
      await this.report(taken);
      if (status === abi.STATUS_STORE_FULL) throw statusError(status, "The log");
      if (status === abi.STATUS_DAMAGED) throw this.#corruption(header, position, "a record says what cannot be");
      if (failure !== undefined) throw failure;
      if (status === abi.STATUS_CORRUPTION) return { end: position, bad: true };
      if (taken > 0) continue;
      // Not one whole record in the window: it is larger, or the segment ends inside it.
      if (bytes.length < wanted || windowBytes >= abi.RECORD_BYTES_MAX) return { end: position, bad: true };
      windowBytes = Math.min(windowBytes * 4, abi.RECORD_BYTES_MAX);
    }
  }

  /** Applies the whole records in `bytes`. */
  #apply(bytes: Uint8Array): { taken: number; status: number } {
    const core = this.#core;
    core.stage(bytes);
    const before = core.commits;
    const outcome = recover(core, 0, bytes.length);
    this.#commits += core.commits - before;
    if (outcome.taken > 0) {
      this.#lastKind = outcome.lastKind;
      this.#lastMode = outcome.lastMode;
    }
    return outcome;
  }

  /** Tells how far it has come, and lets others have their turn now and then. */
  async report(bytes: number): Promise<void> {
    this.#bytesDone += bytes;
    this.#options.onProgress?.({ phase: "recover", bytesDone: this.#bytesDone, bytesTotal: this.#bytesTotal });
    if (this.#bytesDone - this.#bytesAtBreath < BREATH_BYTES) return;
    this.#bytesAtBreath = this.#bytesDone;
    await pause(this.#options.environment);
    this.#options.signal?.throwIfAborted();
  }

  /** Headers and what is behind the end are not counted one by one. */
  reportAll(): Promise<void> {
    return this.report(this.#bytesTotal - this.#bytesDone);
  }

  /** Restores a checkpoint of so many bytes. */
  async checkpoint(number: number, byteLength: number): Promise<CheckpointHeader> {
    let offset = 0;
    const header = await restoreCheckpoint(this.#core, number, async (most) => {
      this.#options.signal?.throwIfAborted();
      const into = new Uint8Array(Math.min(most, byteLength - offset));
      if (into.length === 0) return into;
      const read = await this.#session.readCheckpoint(number, offset, into).catch((error: unknown) => {
        throw unreadable({ kind: "checkpoint", number }, offset, error);
      });
      offset += read;
      await this.report(read);
      return into.subarray(0, read);
    });
    return header;
  }

  #corruption(header: Header, position: number, what: string): HoldfastError {
    const offset = abi.SEGMENT_HEADER_BYTES + position - header.position;
    return new HoldfastError(
      "CORRUPTION",
      `Segment ${header.number} is damaged at byte ${offset}: ${what}. Nothing was changed. Restore the file from a copy.`,
      { details: { segment: header.number, offset } },
    );
  }

  closedDamage(header: Header, position: number): HoldfastError {
    return this.#corruption(header, position, "the segment was closed and synced beyond this");
  }

  /** Decides what a bad record at `position` of the last segment is; returns how many bytes behind it are dropped. */
  async judgeTail(header: Header, position: number): Promise<number> {
    const core = this.#core;
    const offset = abi.SEGMENT_HEADER_BYTES + position - header.position;
    let watermark = core.logWatermark;
    let dropped = 0;
    for (;;) {
      const bytes = await this.bytesOf(header.number, offset + dropped, SEARCH_BYTES);
      if (bytes.length === 0) break;
      core.stage(bytes);
      watermark = Math.max(watermark, recoverSearch(core, bytes.length, position + dropped));
      if (bytes.length < SEARCH_BYTES) {
        dropped += bytes.length;
        break;
      }
      // Windows overlap by a header, so that one that straddles them is seen.
      dropped += bytes.length - abi.RECORD_HEADER_BYTES;
    }
    if (watermark > position) throw this.tailDamage(header, position);
    return dropped;
  }

  tailDamage(header: Header, position: number): HoldfastError {
    return this.#corruption(header, position, "it had been synced beyond this");
  }

  /** Whether the last thing in the log is what `close` writes, with nothing behind it. */
  get endsClosed(): boolean {
    const { logWatermark, logPosition } = this.#core;
    const closed = this.#lastKind === abi.RECORD_WATERMARK && this.#lastMode === abi.WATERMARK_CLOSED;
    return closed && logWatermark === logPosition - abi.RECORD_HEADER_BYTES - abi.RECORD_TRAILER_BYTES;
  }

  get commits(): number {
    return this.#commits;
  }
}

/** The failure of a read with its place, so that whoever has to tell can; what is no failure of the storage is thrown on. */
function unreadable({ kind, number }: FileName, offset: number, error: unknown): HoldfastError {
  if (!HoldfastError.is(error, "STORE_FAILED")) throw error;
  const file = `${kind === "segment" ? "Segment" : "Checkpoint"} ${number}`;
  return new HoldfastError(
    "STORE_FAILED",
    `${file} could not be read at byte ${offset} (${error.message}). Nothing was changed. Try it again; if that fails too, restore the file from a copy.`,
    { cause: error, details: { ...error.details, [kind]: number, offset } },
  );
}

/** What a first segment is compared with: a checkpoint, or nothing. */
type Before = Header | CheckpointHeader | undefined;

function checkSuccession(before: Before, header: Header): void {
  const fault = (what: string): HoldfastError =>
    new HoldfastError(
      "CORRUPTION",
      `Segment ${header.number} does not follow on: ${what}. Restore the files from a copy.`,
      {
        details: { segment: header.number, offset: 0 },
      },
    );
  if (before === undefined) {
    if (header.predecessor !== 0) throw fault(`segment ${header.predecessor} before it is missing`);
    return;
  }
  if (header.databaseId.some((byte, i) => byte !== before.databaseId[i])) throw fault("it is of another database");
  if (header.epoch < before.epoch) throw fault("its epoch is older than the one before");
  if ("version" in before) {
    if (header.number !== before.number) throw missingSegment(before.number);
    const isBehind = header.predecessorEnd === before.position && header.predecessorCrc === before.chain;
    if (!isBehind || header.position !== before.position) {
      throw fault("the checkpoint is of another log");
    }
    return;
  }
  if (header.predecessor !== before.number) throw fault(`segment ${header.predecessor} before it is missing`);
  if (header.position !== header.predecessorEnd || header.predecessorEnd < before.position) {
    throw fault("its position is not where the one before it ends");
  }
}

function missingSegment(number: number): HoldfastError {
  return new HoldfastError(
    "CORRUPTION",
    `Segment ${number}, which goes on from checkpoint ${number}, is missing. Restore the files from a copy.`,
    { details: { segment: number, offset: 0 } },
  );
}

/**
 * Restores the newest checkpoint into an empty core, and looks at the headers of the segments behind it.
 * @param listed what is to be read, where that was listed already
 * @throws HoldfastError as {@link recoverLog}.
 */
export async function beginReading(
  session: StorageSession,
  core: Core,
  options: RecoveryOptions,
  listed?: LogFiles,
): Promise<{ reader: LogReader; headers: Header[]; checkpoint: CheckpointHeader | undefined }> {
  const files = listed ?? (await listFiles(session));
  const reader = new LogReader(session, core, options, files);
  const headers: Header[] = [];
  for (const { number } of files.segments) headers.push(await reader.header(number));
  const { checkpoint: file } = files;
  const checkpoint = file && (await reader.checkpoint(file.number, file.byteLength));
  for (const [i, header] of headers.entries()) checkSuccession(headers[i - 1] ?? checkpoint, header);
  return { reader, headers, checkpoint };
}

/**
 * Reads the log of a session into an empty core, and makes its tail safe.
 * @param listed what is to be read, where that was listed already
 * @throws HoldfastError `CORRUPTION` with segment and offset, `UNSUPPORTED`, `STORE_FULL`, and what the storage throws.
 */
export async function recoverLog(
  session: StorageSession,
  core: Core,
  options: RecoveryOptions,
  listed?: LogFiles,
): Promise<LogState> {
  const log = await readLog(session, core, options, listed);
  const isCounted = log.epoch === session.epoch || log.segmentBytes !== undefined;
  return options.readOnly || isCounted ? log : beginSegment(session, core, log);
}

/** Begins a segment, durably and with nothing in it yet: the next owner sees by it that there was this one, and its versions. */
async function beginSegment(session: StorageSession, core: Core, log: LogState): Promise<LogState> {
  const { number, position, crc, bytes } = new LogPlace(core, session, log).next();
  await session.createSegment(number, bytes);
  core.logBegin(position, crc, log.epoch, position);
  return { ...log, segment: number, segmentBytes: 0, predecessorEnd: position, predecessorCrc: crc };
}

/** Reads what there is, without a mark of this owner behind a clean end. */
async function readLog(
  session: StorageSession,
  core: Core,
  options: RecoveryOptions,
  listed: LogFiles | undefined,
): Promise<LogState> {
  const { reader, headers, checkpoint } = await beginReading(session, core, options, listed);
  const last = headers.at(-1);
  if (last === undefined) {
    return checkpoint === undefined
      ? newLog(session, core, options.databaseId)
      : importedLog(session, core, checkpoint, options.readOnly);
  }
  for (let i = 0; i + 1 < headers.length; i++) {
    const header = headers[i] as Header;
    const next = headers[i + 1] as Header;
    const { end } = await reader.segment(header, next.predecessorEnd);
    if (end !== next.predecessorEnd || core.logChain !== next.predecessorCrc) throw reader.closedDamage(header, end);
  }
  const state = await finish(session, core, options, reader, last);
  if (checkpoint !== undefined && !options.readOnly) {
    // Its name is durable by now: a clean end says so, and behind any other a segment has been made. What cannot be removed
    // is in nobody's way, and its turn comes again with the next opening.
    await removeBefore(session, checkpoint.number).catch(() => {});
  }
  return { ...state, checkpoint: checkpoint?.number ?? 0 };
}

/**
 * Reads as much of a damaged log as is whole, for a reader who knows that it is not all: a prefix of the commits.
 * @param listed what is to be read, where that was listed already
 * @returns what it ends at; undefined where nothing is damaged
 * @throws HoldfastError `CORRUPTION` or `STORE_FAILED` where nothing can be had: of a checkpoint that is damaged or cannot be
 *   read, or of a record that is whole and says what cannot be; otherwise as {@link recoverLog}.
 */
export async function salvageLog(
  session: StorageSession,
  core: Core,
  options: RecoveryOptions,
  listed?: LogFiles,
): Promise<SalvagedInfo | undefined> {
  const files = listed ?? (await listFiles(session));
  const reader = new LogReader(session, core, options, files);
  const { checkpoint: file } = files;
  const checkpoint = file && (await reader.checkpoint(file.number, file.byteLength));
  const found = await soundHeaders(reader, files, checkpoint);
  let { damage } = found;
  for (const [i, header] of found.headers.entries()) {
    const next = found.headers[i + 1];
    let read = { end: 0, bad: false };
    const failure = await damageOf(UNREADABLE, async () => {
      read = await reader.segment(header, next?.predecessorEnd);
    });
    if (failure !== undefined) {
      damage = failure;
      break;
    }
    const { end, bad } = read;
    if (next !== undefined && (end !== next.predecessorEnd || core.logChain !== next.predecessorCrc)) {
      damage = reader.closedDamage(header, end);
      break;
    }
    if (next === undefined && damage === undefined) {
      damage = await damageOf(DAMAGE, async () => {
        if (bad) await reader.judgeTail(header, end);
        if (core.logWatermark > end) throw reader.tailDamage(header, end);
      });
    }
  }
  await reader.reportAll();
  await raisePastLost(reader, core, files);
  return damage === undefined ? undefined : { commits: reader.commits, damage };
}

/** Moves versions past those that were given before the last segment: an export goes on above them, whatever of it is lost. */
async function raisePastLost(reader: LogReader, core: Core, files: LogFiles): Promise<void> {
  for (const { number } of files.segments) {
    // One that cannot be read may be of another owner, who has left some out before it gave its own.
    let given = core.version() + versionsUnseen(2);
    await damageOf(REFUSED, async () => {
      given = givenBefore(core, await reader.header(number));
    });
    core.versionRaise(given);
  }
}

/** The headers up to the first that is damaged or does not follow on, and what is wrong with that one. */
async function soundHeaders(
  reader: LogReader,
  files: LogFiles,
  checkpoint: CheckpointHeader | undefined,
): Promise<{ readonly headers: readonly Header[]; readonly damage: HoldfastError | undefined }> {
  const headers: Header[] = [];
  for (const { number } of files.segments) {
    const damage = await damageOf(DAMAGE, async () => {
      const header = await reader.header(number);
      checkSuccession(headers.at(-1) ?? checkpoint, header);
      headers.push(header);
    });
    if (damage !== undefined) return { headers, damage };
  }
  const isCut = headers.length === 0 && checkpoint !== undefined && !checkpoint.isExport;
  return { headers, damage: isCut ? missingSegment(checkpoint.number) : undefined };
}

/** How a place says that it cannot be read, and how one says that it is damaged, which both end what is salvaged. */
const UNREADABLE: readonly ErrorCode[] = ["STORE_FAILED"];
const DAMAGE: readonly ErrorCode[] = ["CORRUPTION", ...UNREADABLE];
/** The same of a header that nothing is read behind: it may be of a newer release. */
const REFUSED: readonly ErrorCode[] = ["UNSUPPORTED", ...DAMAGE];

/** The damage that a look meets: an error with one of these codes. */
async function damageOf(codes: readonly ErrorCode[], look: () => Promise<void>): Promise<HoldfastError | undefined> {
  try {
    await look();
    return undefined;
  } catch (error) {
    if (HoldfastError.is(error) && codes.includes(error.code)) return error;
    throw error;
  }
}

/** A log without segments, behind what was imported. */
function importedLog(session: StorageSession, core: Core, checkpoint: CheckpointHeader, readOnly: boolean): LogState {
  const { databaseId, number, epoch, isExport } = checkpoint;
  if (!isExport) throw missingSegment(number);
  const log = logWithoutSegments(session, databaseId, number);
  const own = Math.max(log.epoch, epoch + 1);
  // Owners before this one, and whoever has imported it, have left nothing, but may have given versions.
  const owners = readOnly ? 0 : own - epoch;
  raiseTo(core, core.version() + versionsUnseen(owners), epoch, { kind: "checkpoint", number });
  return { ...log, epoch: own };
}

/** Where the log goes on, whatever stands before its segments. */
type LogOfSegments = Omit<LogState, "checkpoint">;

/** Reads the last segment, judges its tail, and writes that again where it may not be on the disk. */
async function finish(
  session: StorageSession,
  core: Core,
  options: RecoveryOptions,
  reader: LogReader,
  last: Header,
): Promise<LogOfSegments> {
  const { end, bad } = await reader.segment(last, undefined);
  await reader.reportAll();
  const droppedBytes = bad ? await reader.judgeTail(last, end) : 0;
  if (core.logWatermark > end) throw reader.tailDamage(last, end);
  const clean = !bad && reader.endsClosed;
  if (options.readOnly) {
    // An export goes on above them, though nothing is found of what the last owner has committed.
    core.versionRaise(givenBefore(core, last));
    return stateAfter(session, last, end, core.logChain, undefined);
  }
  if (clean) {
    // The record that says so may itself not be on the disk: the log goes on where what it vouches for ends.
    const synced = core.logWatermark;
    // Owners that came in between and wrote nothing may have given versions all the same.
    raiseVersions(core, last, epochAfter(session, last) - last.epoch - 1);
    return stateAfter(session, last, synced, await crcBefore(reader, last, synced), undefined);
  }
  const recovered = {
    commits: reader.commits,
    droppedBytes,
    reason: bad ? "the last write was torn" : "the database was not closed",
  };
  raiseVersions(core, last, epochAfter(session, last) - last.epoch);
  return rewriteTail(session, core, reader, last, end, recovered);
}

/** The epoch to write: the session's, or where the lock that counts them was lost, one above the log's. */
function epochAfter(session: StorageSession, last: Header): number {
  return Math.max(session.epoch, last.epoch + 1);
}

/** The highest version that a database goes on from, so that as many again can still be given; and the last epoch. */
const VERSION_FOUND_MAX = 2 ** 52;
const EPOCH_MAX = 2 ** 32 - 1;

/**
 * Moves versions past every one that owners of the log may have given, though nothing of it is found (COMMIT 11).
 * @throws HoldfastError `CORRUPTION` where no database can have come to these: a commit beyond could not be read again.
 */
function raiseVersions(core: Core, last: Header, owners: number): void {
  raiseTo(core, givenBefore(core, last) + versionsUnseen(owners), last.epoch, { kind: "segment", number: last.number });
}

/** The highest version that is known to have been given, of what is found and of what a segment says was before it. */
function givenBefore(core: Core, { firstVersion }: Header): number {
  return Math.max(core.version(), firstVersion - 1);
}

function raiseTo(core: Core, version: number, epochFound: number, { kind, number }: FileName): void {
  const spent = epochFound === EPOCH_MAX ? "epoch leaves" : version > VERSION_FOUND_MAX ? "versions leave" : undefined;
  if (spent !== undefined) {
    throw new HoldfastError(
      "CORRUPTION",
      `The header of ${kind} ${number} is damaged: its ${spent} nothing for the next owner. Nothing was changed. Restore the file from a copy.`,
      { details: { [kind]: number, offset: 0 } },
    );
  }
  core.versionRaise(version);
}

function stateAfter(
  session: StorageSession,
  last: Header,
  end: number,
  crc: number,
  recovered: RecoveredInfo | undefined,
): LogOfSegments {
  return {
    databaseId: last.databaseId,
    epoch: epochAfter(session, last),
    segment: last.number,
    segmentBytes: undefined,
    predecessorEnd: end,
    predecessorCrc: crc,
    recovered,
  };
}

/** Writes the records above the watermark to a new segment of this epoch, whole and durable (COMMIT 18). */
async function rewriteTail(
  session: StorageSession,
  core: Core,
  reader: LogReader,
  last: Header,
  end: number,
  recovered: RecoveredInfo,
): Promise<LogOfSegments> {
  const watermark = Math.max(core.logWatermark, last.syncedEnd, last.position);
  const from = abi.SEGMENT_HEADER_BYTES + watermark - last.position;
  const tail = await reader.bytesOf(last.number, from, end - watermark);
  if (tail.length !== end - watermark) {
    throw new HoldfastError("STORE_FAILED", "The log changed while it was read. Open it again.");
  }
  const predecessorCrc = await crcBefore(reader, last, watermark);
  const epoch = epochAfter(session, last);
  const header = encodeSegmentHeader(
    {
      databaseId: last.databaseId,
      number: last.number + 1,
      epoch,
      position: watermark,
      firstVersion: core.version() + 1,
      syncedEnd: end,
      predecessor: last.number,
      predecessorEnd: watermark,
      predecessorCrc,
    },
    (bytes) => core.crc32c(bytes),
  );
  core.logBegin(watermark, header.crc, epoch, watermark);
  const content = new Uint8Array(abi.SEGMENT_HEADER_BYTES + tail.length);
  content.set(header.bytes);
  for (let done = 0; done < tail.length; ) {
    const piece = wholeRecords(tail.subarray(done), core.valueCapacity);
    core.stage(piece);
    const resealed = reseal(core, piece.length, last.epoch);
    if (resealed === undefined) throw reader.closedDamage(last, watermark + done);
    content.set(resealed, abi.SEGMENT_HEADER_BYTES + done);
    done += piece.length;
  }
  await session.createSegment(last.number + 1, content);
  core.logBegin(end, core.logChain, epoch, end);
  return {
    databaseId: last.databaseId,
    epoch,
    segment: last.number + 1,
    segmentBytes: tail.length,
    predecessorEnd: end,
    predecessorCrc: core.logChain,
    recovered,
  };
}

/** As many whole records from the front as fit into `bytesMax`, at least one. Their lengths have been judged. */
function wholeRecords(records: Uint8Array, bytesMax: number): Uint8Array {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let end = 0;
  while (end + abi.RECORD_HEADER_BYTES <= records.length) {
    const length = view.getUint32(end + abi.RECORD_LENGTH_OFFSET, true);
    if (length === 0 || (end > 0 && end + length > bytesMax)) break;
    end += length;
  }
  return records.subarray(0, Math.max(Math.min(end, records.length), 1));
}

/** The checksum that the record ending at `position` carries: of the header where that is the segment's beginning. */
async function crcBefore(reader: LogReader, header: Header, position: number): Promise<number> {
  if (position === header.position) return header.crc;
  const offset = abi.SEGMENT_HEADER_BYTES + position - header.position - abi.RECORD_TRAILER_BYTES;
  const bytes = await reader.bytesOf(header.number, offset, abi.RECORD_TRAILER_BYTES);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
}
