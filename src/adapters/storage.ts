/**
 * The contract between the store and the place where its log is kept.
 *
 * A storage keeps **segments**: numbered, append-only byte sequences that together are the log. The host writes the
 * bytes and understands them; a storage only keeps them, says what it can promise (its {@link StorageCapabilities}), and
 * makes sure that there is one owner. Nothing here knows the format.
 *
 * What every storage keeps true:
 *  - bytes are kept in the order in which they were appended, to the segment that was created last;
 *  - a segment comes into being whole and durable, or not at all; so does a **checkpoint**, a numbered file of another kind
 *    that is written piece by piece beside the log;
 *  - `append` hands the bytes over (they survive the death of the process where `persistent`), `flush` makes everything
 *    that was appended before it *started* survive a power cut;
 *  - a call that fails throws a `HoldfastError`: `STORAGE_FULL` for want of room (with `details.appendedBytes`: how many
 *    of the bytes of this call are in the segment), `STORE_FAILED` for anything else. A failed flush is never retried;
 *  - a byte array that is passed in is only valid during the call: whoever wants it longer copies it.
 */

/** What a storage can do, as data. The host decides by these, never by which storage it is. */
export interface StorageCapabilities {
  /** Short name for `db.storageInfo`: `"memory"`, `"files"`, `"indexeddb"`, `"opfs"`, `"durable-object"`, `"nats"`. */
  readonly kind: string;
  /** What makes bytes durable, in the platform's own word: `"fdatasync"`, `"none"`. */
  readonly mechanism: string;
  /** Whether anything is kept at all. Where it is `false` there is no log and only in-memory commits. */
  readonly persistent: boolean;
  /** Whether `appendSync`, `createSegmentSync` and `truncateSync` work; otherwise only their asynchronous twins do. */
  readonly syncAppend: boolean;
  /** Whether `flushSync` works. */
  readonly syncFlush: boolean;
  /** Whether `flush` makes bytes durable against a power cut. */
  readonly asyncFlush: boolean;
  /** Whether `appendDurably` is there; `false` if left out. */
  readonly durableAppend?: boolean;
  /** Whether `flush` does its work within the call, so that nothing else goes on meanwhile; `false` if left out. */
  readonly flushBlocks?: boolean;
  /** The most bytes that one commit's record may have, so that it can be stored atomically. */
  readonly recordBytesMax: number;
  /** A segment that has reached this many bytes is closed and a new one begun. */
  readonly segmentBytesTarget: number;
}

/** How a storage is opened. */
export interface StorageOpenOptions {
  /** Open beside a live owner: no lock, no epoch, every writing method throws `READ_ONLY`. */
  readonly readOnly: boolean;
  /** Ends a wait for the lock. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called at most once if ownership is lost while the session is open (another tab took over, the lock was stolen). Whatever is
   * called on the database from then on throws `code`, which is `CLOSED` if left out.
   */
  readonly onLockedOut?: ((reason: string, code?: "CLOSED" | "STORE_FAILED") => void) | undefined;
}

/** A place where a database can be kept. Creating one touches nothing; {@link Storage.open} does. */
export interface Storage {
  readonly capabilities: StorageCapabilities;
  /**
   * Takes ownership and returns a session.
   * @throws HoldfastError `LOCKED` with the owner's details while another owner lives; `STORE_FAILED`, `READ_ONLY`.
   */
  open(options: StorageOpenOptions): Promise<StorageSession>;
  /**
   * The same in a worker of the storage's own, which runs a part of the host beside the session: there the log is written for all
   * workers that share the memory. Set where such a worker can be started; never called for reading only.
   */
  readonly openApart?: ((options: StorageOpenOptions) => Promise<ApartSession>) | undefined;
}

/** A session that lives in a worker of its own, with the host's {@link Companion} beside it. It works asynchronously. */
export interface ApartSession extends StorageSession {
  /** Asks the companion there; both ways go by `postMessage`. What it throws arrives as a typed error. */
  ask(what: string, given?: unknown): Promise<unknown>;
}

/** The host's part beside a session, in the worker that the session lives in. */
export interface Companion {
  /** Answers what the session's side asks; what it throws arrives there as a typed error. */
  ask(what: string, given: unknown): Promise<unknown>;
  /** Comes before the session is closed. Never throws. */
  close(): Promise<void>;
}

/** One segment, or one checkpoint, as it stands in the storage. */
export interface SegmentInfo {
  /** The number it was created with. */
  readonly number: number;
  readonly byteLength: number;
}

/** A checkpoint that is being written: nothing of it is there until `commit` returns, and a session has one at a time. */
export interface CheckpointWriter {
  /** Writes the next bytes. @throws HoldfastError `STORAGE_FULL`, `STORE_FAILED`; then only `abandon` is left to call. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Makes it whole and durable under its number. Where this throws, it is there whole or not at all, and after a
   * `STORE_FAILED` perhaps not durably.
   */
  commit(): Promise<void>;
  /** Leaves nothing of it behind, as far as that is possible; what stays is removed by the next owner. Never throws. */
  abandon(): Promise<void>;
}

/** What is known of a database that was there and is gone. */
export interface VanishedInfo {
  /** The highest epoch that it is known to have had; the session's own is above it. */
  readonly epoch: number;
}

/** What another worker of the same process needs to write to a storage that is open: plain data, which can be posted. */
export interface JoinTicket {
  readonly kind: string;
  readonly path: string;
  readonly epoch: number;
  readonly segmentBytesTarget: number;
}

/** An open storage. The methods whose name ends in `Sync` work only where the capability of that kind says so. */
export interface StorageSession {
  /** Greater than that of every owner before; 0 when read-only. At most 2^32 − 1. */
  readonly epoch: number;
  /** Whether nothing was there before. */
  readonly fresh: boolean;
  /** Whether the platform promises not to evict: `undefined` where it cannot say. */
  readonly persisted: boolean | undefined;
  /** Set on a fresh session where it is known that there was a database of that name: it was evicted, cleared or deleted. */
  readonly vanished?: VanishedInfo | undefined;

  /**
   * Set where other workers of the same process can write to the same open storage, one at a time: each makes a session of
   * its own out of the ticket, with descriptors of its own, and ownership stays with this one.
   */
  readonly ticket?: JoinTicket | undefined;

  /** All segments, ascending by number. Left-overs of a creation that did not finish are not among them. */
  segments(): Promise<readonly SegmentInfo[]>;
  /**
   * Reads from `offset` of a segment into `into`; returns how many bytes there were, 0 at the end.
   * @throws HoldfastError `NOT_FOUND` if there is no such segment.
   */
  read(segment: number, offset: number, into: Uint8Array): Promise<number>;

  /**
   * Makes a segment with this content, durable and whole when it returns, or not there at all. Later appends go to it.
   * On files: temporary name, write, sync, rename, sync of the directory.
   */
  createSegment(number: number, content: Uint8Array): Promise<void>;
  /** {@link createSegment} in one call. @throws HoldfastError `SYNC_COMMIT_UNSUPPORTED` where the storage has no such calls. */
  createSegmentSync(number: number, content: Uint8Array): void;
  /** Waits until there is what {@link createSegmentSync} needs and cannot make in one call; left out where it needs nothing. */
  prepareSegment?(): Promise<void>;

  /**
   * Goes on in a segment that a session of another worker has made, or appended to, which is `byteLength` bytes long now. Only
   * where there is a {@link ticket}, or this session was made of one.
   */
  joinSegmentSync?(number: number, byteLength: number): void;

  /**
   * Goes on in a segment that a session of another worker was making when that died, if it is there, and makes it durable; false
   * if it is not. As {@link joinSegmentSync}.
   */
  adoptSegmentSync?(number: number): boolean;

  /** Appends to the newest segment of this session. Asynchronous appends are atomic and take effect in call order. */
  append(bytes: Uint8Array): Promise<void>;
  /** {@link append} in one call: whole, or nothing of it and a typed error. */
  appendSync(bytes: Uint8Array): void;

  /**
   * `append` and then `flush`, where one call can do both for little more than the price of one. Where it throws
   * `STORAGE_FULL` nothing was appended. Only where appends are asynchronous.
   */
  appendDurably?(bytes: Uint8Array): Promise<void>;

  /**
   * Makes everything durable that was appended before the call. The synchronous and the asynchronous form use handles
   * of their own, opened before the writes, so that neither can swallow the other's error.
   */
  flush(): Promise<void>;
  /** {@link flush} in one call. */
  flushSync(): void;

  /** Cuts the newest segment to `byteLength` bytes and makes the cut durable before it returns. */
  truncate(byteLength: number): Promise<void>;
  /** {@link truncate} in one call. */
  truncateSync(byteLength: number): void;

  /** Removes a segment that is no longer needed, durably. Removing one that is not there is no error. */
  removeSegment(number: number): Promise<void>;

  /** All checkpoints, ascending by number. One that was not committed is not among them. */
  checkpoints(): Promise<readonly SegmentInfo[]>;
  /** As {@link read}, of a checkpoint. @throws HoldfastError `NOT_FOUND` if there is no such checkpoint. */
  readCheckpoint(checkpoint: number, offset: number, into: Uint8Array): Promise<number>;
  /** Begins a checkpoint, while appends to the log go on. @throws HoldfastError `STORE_FAILED` if its number is taken. */
  beginCheckpoint(number: number): Promise<CheckpointWriter>;
  /** Removes a checkpoint, durably. Removing one that is not there is no error. */
  removeCheckpoint(number: number): Promise<void>;

  /** Waits for what is under way and gives up ownership. Never flushes by itself. Idempotent. */
  close(): Promise<void>;
}
