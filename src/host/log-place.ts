/**
 * Where the log goes on: in which segment, where that begins, and how full it is.
 *
 * Where workers share a memory each has its own descriptor, and any of them may have begun the next segment: whoever has the
 * turn to write follows the others first. What one must know of another stands in the memory: where the log ends, the segment
 * that it goes on in, and, while one is being made, the plan of it, so that the next can go on in it where its maker has died.
 */
import type { StorageSession } from "../adapters/storage.js";
import * as abi from "./abi.js";
import type { Core } from "./core.js";
import { beginPlanned, logPlace, plannedSegment, planSegment, setLogPlace } from "./core-shared-log.js";
import type { SegmentStart } from "./log.js";
import { encodeSegmentHeader } from "./log-format.js";
import type { LogState } from "./log-state.js";

/** A segment that is not begun yet, with its header and that one's checksum. */
export interface NextSegment extends SegmentStart {
  readonly bytes: Uint8Array;
  readonly crc: number;
}

export class LogPlace {
  readonly #core: Core;
  readonly #session: StorageSession;
  readonly #state: LogState;
  #segment = 0;
  /** The log position that the segment begins at. */
  #position: number;
  #start: SegmentStart | undefined;
  /** Where the log ended when this worker last had the turn to write: if it ends elsewhere, somebody else has written. */
  #endSeen: number;
  /** Bytes of records in the segment, perhaps fewer after an append that failed. */
  bytes: number;

  constructor(core: Core, session: StorageSession, state: LogState) {
    this.#core = core;
    this.#session = session;
    this.#state = state;
    const { segmentBytes, predecessorEnd, isJoined = false } = state;
    this.bytes = segmentBytes ?? 0;
    this.#position = predecessorEnd - this.bytes;
    this.#endSeen = isJoined ? -1 : core.logPosition;
    if (isJoined) return;
    if (segmentBytes === undefined) {
      core.logBegin(predecessorEnd, state.predecessorCrc, state.epoch, predecessorEnd);
      return;
    }
    this.#segment = state.segment;
    if (core.shared) setLogPlace(core, this.#segment, this.#position);
  }

  /** The segment that appends go to, 0 before the first. */
  get segment(): number {
    return this.#segment;
  }

  /** Where that was begun, if it was in this session and by this worker. */
  get start(): SegmentStart | undefined {
    return this.#start;
  }

  /** How long the segment's file is up to what is known to be in it. */
  get segmentEnd(): number {
    return abi.SEGMENT_HEADER_BYTES + this.#core.logPosition - this.#position;
  }

  /** Whether the log has a segment of this session. */
  get hasBegun(): boolean {
    return this.#segment !== 0 || (this.#core.shared && logPlace(this.#core).segment !== 0);
  }

  /** Remembers that everything up to the end of the log is known here. */
  noteEnd(): void {
    this.#endSeen = this.#core.logPosition;
  }

  /** Goes on behind what other workers have written. In turn; throws what the storage does. */
  follow(): void {
    const core = this.#core;
    if (plannedSegment(core) !== 0) this.#endPlan();
    const { segment, position } = logPlace(core);
    const end = core.logPosition;
    if (segment === 0 || (segment === this.#segment && end === this.#endSeen)) return;
    this.#segment = segment;
    this.#position = position;
    this.bytes = end - position;
    if (this.#session.joinSegmentSync === undefined) throw new Error("The storage cannot be joined.");
    this.#session.joinSegmentSync(segment, this.segmentEnd);
  }

  /** Finds out whether a segment is there that somebody has died in making: then the log goes on in it. */
  #endPlan(): void {
    const core = this.#core;
    if (this.#session.adoptSegmentSync?.(plannedSegment(core)) === true) beginPlanned(core);
    else planSegment(core, 0);
  }

  /** What the next segment would be, and begin with, if it were begun now. */
  next(): NextSegment {
    const core = this.#core;
    const { databaseId, segment, epoch } = this.#state;
    const predecessor = this.#segment || segment;
    const isFirst = predecessor === 0;
    const number = predecessor + 1;
    const { logPosition: position, writtenVersion } = core;
    const chain = isFirst ? 0 : core.logChain;
    const header = encodeSegmentHeader(
      {
        databaseId,
        number,
        epoch,
        position,
        firstVersion: core.version() + 1,
        syncedEnd: position,
        predecessor,
        predecessorEnd: isFirst ? 0 : position,
        predecessorCrc: chain,
      },
      (bytes) => core.crc32c(bytes),
    );
    return { number, position, chain, writtenVersion, ...header };
  }

  /** Tells other workers that a segment is being made. */
  plan({ number, position, crc }: NextSegment): void {
    if (this.#core.shared) planSegment(this.#core, number, position, crc, this.#state.epoch);
  }

  /** Takes that back: it was not made. */
  unplan(): void {
    if (this.#core.shared) planSegment(this.#core, 0);
  }

  /** Goes on in a segment that was made. */
  begin(next: NextSegment): void {
    const core = this.#core;
    const { number, position, crc } = next;
    this.#start = next;
    this.#segment = number;
    this.#position = position;
    this.bytes = 0;
    if (core.shared) {
      // Again, for what was made asynchronously: a plan is nothing that may stand there while others have a turn.
      this.plan(next);
      beginPlanned(core);
    } else core.logBegin(position, crc, this.#state.epoch, position);
  }
}
