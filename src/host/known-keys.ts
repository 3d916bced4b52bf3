/**
 * Keys that are read again and again, by the strings that name them: where their entries stand in the core.
 *
 * To find a key the core needs its characters, hashes them and probes a table. A string that was looked up before has its hash
 * with it, so that a Map finds the entry for a fraction of that; what the key's value is stands behind the entry at any time.
 *
 * What it keeps true:
 *  - an entry that stands here is marked in the core, whose epoch rises before a marked one goes: then nothing is known any more;
 *  - nothing is read here while a commit is installed that is not published;
 *  - only where memory is not shared: nobody comes between two looks;
 *  - there is one of these for each run, since an entry has one mark: whoever keeps a part of a run keeps all of it (run.ts);
 *  - who reads ever other keys does not pay for it: where little is found here, it is left alone for a while.
 */
import { ENTRY_HEAD_OFFSET, TOMBSTONE, VERSION_LENGTH_OFFSET } from "./abi.js";
import type { Core } from "./core.js";

/** The most keys that are known of one run, some 70 bytes each. */
const KEYS_MAX = 8192;
/** One of so many reads that the core was asked for is remembered: what is read once costs next to nothing. */
const LEARNT_ONE_IN = 8;
/** After so many of them it is seen whether one read for each FOUND_ONE_FOR of them was found here. */
const ASKED_FOR_A_VERDICT = 16384;
const FOUND_ONE_FOR = 8;
/** Reads that it is left alone for, at first and at most; twice as many each time. */
const RESTS_MIN = 131_072;
const RESTS_MAX = 4_194_304;

export class KnownKeys {
  readonly #core: Core;
  /** Addresses of entries; 0 where a key was let go of. */
  readonly #entries = new Map<string, number>();
  #epoch = -1;
  #asked = 0;
  #found = 0;
  /** Reads that it is still left alone for, and for how many the next time. */
  #resting = 0;
  #rest = RESTS_MIN;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The record of a key's published value; 0 where the core must be asked. */
  record(key: string): number {
    if (this.#resting > 0) {
      this.#resting--;
      return 0;
    }
    const entry = this.#entries.get(key) ?? 0;
    const core = this.#core;
    if (entry === 0 || core.knownEpoch !== this.#epoch || !core.newestIsPublished) return 0;
    this.#found++;
    const { view } = core;
    const record = view.getUint32(entry + ENTRY_HEAD_OFFSET, true);
    return view.getUint32(record + VERSION_LENGTH_OFFSET, true) === TOMBSTONE ? 0 : record;
  }

  /** Remembers now and then where a key stands that the core has just found, and which is in scratch. */
  learn(key: string, pointer: number, table: number, keyBytes: number): void {
    if (this.#resting > 0) return;
    if (this.#asked++ % LEARNT_ONE_IN !== 0) return;
    if (this.#asked > ASKED_FOR_A_VERDICT) this.#judge();
    const core = this.#core;
    const { knownEpoch } = core;
    if (knownEpoch !== this.#epoch || this.#entries.size >= KEYS_MAX) this.#entries.clear();
    this.#epoch = knownEpoch;
    this.#entries.set(key, core.keyKnown(pointer, table, keyBytes));
  }

  #judge(): void {
    const isWorthIt = this.#found >= this.#asked / FOUND_ONE_FOR;
    this.#asked = 0;
    this.#found = 0;
    if (!isWorthIt) this.#resting = this.#rest;
    this.#rest = isWorthIt ? RESTS_MIN : Math.min(this.#rest * 2, RESTS_MAX);
    if (!isWorthIt) this.#entries.clear();
  }

  /** Lets go of a key that is about to be deleted, so that the others stay known when its entry goes. */
  forget(key: string): void {
    const entry = this.#entries.get(key) ?? 0;
    if (entry === 0) return;
    // Its place is kept: a Map that keys come to and go from makes itself anew again and again.
    this.#entries.set(key, 0);
    if (this.#core.knownEpoch === this.#epoch) this.#core.keyForgotten(entry);
  }
}
