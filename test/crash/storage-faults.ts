/**
 * What the system may answer when a log is written, and what has to become of each commit then.
 *
 * An outcome is written as the child tells it: `3 ok` for commit 3, `4 COMMIT_INDETERMINATE` for one that failed, a bare
 * code for what is no commit. Commits 1 and 2 stand in segment 1 before the child begins, so that segment 2 is its own.
 */

/** What the child does; see `faulty.mjs`. */
export type Act =
  | { readonly do: "commit"; readonly bytes?: number; readonly as?: string }
  | { readonly do: "put" | "flush" | "flushSync" | "read" | "checkpoint" | "close" }
  | { readonly do: "burst"; readonly count: number }
  | { readonly do: "pause"; readonly ms: number };

export interface Scenario {
  readonly name: string;
  readonly durability: unknown;
  readonly segmentBytes?: number;
  /** What is there before: nothing, or two commits and whether they were closed. */
  readonly before: "nothing" | "closed" | "left open";
  /** What strace does to which calls, and the files whose calls it does that to. */
  readonly inject: readonly string[];
  readonly on: readonly Place[];
  readonly acts: readonly Act[];
  readonly expected: readonly string[];
  /** What is told in the background. */
  readonly events?: readonly string[];
  /** The kernel is made to say that it has done what it has not: what is found afterwards says nothing. */
  readonly isLie?: boolean;
  /** The most bytes that any file may have, kept by the system itself. */
  readonly fileBytesMax?: number;
  /** Those that it is for; all, where that is left out. */
  readonly runtimes?: readonly string[];
  /** The database must be left byte for byte as it was. */
  readonly leavesLog?: boolean;
}

export const FIRST = "000000000001.log";
export const LOG = "000000000002.log";
/** The segment of the child before it has its name. */
export const NEW = "000000000002.log.tmp";
/** The checkpoint that the child makes first, before it has its name. */
export const CHECKPOINT = "000000000003.ckp.tmp";
export type Place = typeof FIRST | typeof LOG | typeof NEW | typeof CHECKPOINT | ".";

const NEVER_IN_TIME = { mode: "buffered", flushIntervalMs: 60_000, maxPendingWrites: 1e9 };
const SOON = { mode: "buffered", flushIntervalMs: 20, maxPendingWrites: 1e9 };

const commit: Act = { do: "commit" };
const read: Act = { do: "read" };
const flush: Act = { do: "flush" };
const flushSync: Act = { do: "flushSync" };
const checkpoint: Act = { do: "checkpoint" };
const close: Act = { do: "close" };
const burst: Act = { do: "burst", count: 4 };

/** What every write gets once the storage has failed, and that reading goes on. */
const AFTERWARDS: readonly Act[] = [read, commit, { do: "burst", count: 1 }, flush, flushSync];
const afterwards = (next: number): string[] => [
  "read ok",
  `${next} STORE_FAILED`,
  `${next + 1} STORE_FAILED`,
  "STORE_FAILED",
  "STORE_FAILED",
];

type Common = Pick<Scenario, "name"> & Partial<Scenario>;

const scenario = (given: Common): Scenario => ({
  durability: "strict",
  before: "closed",
  inject: [],
  on: [LOG],
  acts: [],
  expected: [],
  ...given,
});

/** A call for the child's first commits that ends the store: in doubt is what was under way, refused all that follows. */
const fatal = (given: Common): Scenario => {
  const acts = given.acts ?? [commit];
  const expected = given.expected ?? ["3 COMMIT_INDETERMINATE"];
  const commits = acts.reduce((sum, act) => sum + (act.do === "burst" ? act.count : act.do === "commit" ? 1 : 0), 0);
  return scenario({
    events: ["STORE_FAILED"],
    ...given,
    acts: [...acts, ...AFTERWARDS],
    expected: [...expected, ...afterwards(3 + commits)],
  });
};

/** Want of room: the commits leave no trace, and writing goes on as soon as there is room. */
const full = (given: Common): Scenario => {
  const acts = given.acts ?? [commit];
  const expected = given.expected ?? ["3 STORAGE_FULL"];
  const next = 3 + expected.length;
  return scenario({
    ...given,
    acts: [...acts, read, commit, burst, flush, close],
    expected: [...expected, "read ok", ...[0, 1, 2, 3, 4].map((i) => `${next + i} ok`), "flushed", "closed"],
  });
};

/** A checkpoint that fails costs nothing but itself: writing goes on, and the next one is made. */
const withoutCheckpoint = (given: Common & { readonly code: string }): Scenario => {
  const { code, ...rest } = given;
  return scenario({
    on: [CHECKPOINT],
    ...rest,
    acts: [commit, checkpoint, read, commit, burst, checkpoint, commit, close],
    expected: ["3 ok", code, "read ok", "4 ok", "5 ok", "6 ok", "7 ok", "8 ok", "checkpointed", "9 ok", "closed"],
  });
};

const opening = (given: Common): Scenario =>
  scenario({ before: "left open", leavesLog: true, acts: [commit], ...given });

const inDoubt = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${first + i} COMMIT_INDETERMINATE`);
const refused = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${first + i} STORAGE_FULL`);

const syncs: readonly Scenario[] = [
  fatal({
    name: "EIO on fdatasync of a synchronous commit",
    inject: ["fdatasync:error=EIO:when=2"],
    acts: [commit, commit],
    expected: ["3 ok", "4 COMMIT_INDETERMINATE"],
  }),
  fatal({
    name: "EIO on fdatasync of transactions in flight",
    inject: ["fdatasync:error=EIO:when=1"],
    acts: [burst],
    expected: inDoubt(3, 4),
  }),
  fatal({
    name: "EIO on fdatasync in the background",
    durability: SOON,
    inject: ["fdatasync:error=EIO:when=1"],
    acts: [commit, { do: "pause", ms: 300 }],
    expected: ["3 ok"],
  }),
  fatal({
    name: "EIO on fdatasync of flush()",
    durability: NEVER_IN_TIME,
    inject: ["fdatasync:error=EIO:when=1"],
    acts: [commit, flush],
    expected: ["3 ok", "COMMIT_INDETERMINATE"],
  }),
  fatal({
    name: "EIO on fdatasync of flushSync()",
    durability: NEVER_IN_TIME,
    inject: ["fdatasync:error=EIO:when=1"],
    acts: [commit, flushSync],
    expected: ["3 ok", "COMMIT_INDETERMINATE"],
  }),
  fatal({
    name: "EIO on fdatasync of a strict commit over buffered ones",
    durability: NEVER_IN_TIME,
    inject: ["fdatasync:error=EIO:when=1"],
    acts: [commit, { do: "commit", as: "strict" }],
    expected: ["3 ok", "4 COMMIT_INDETERMINATE"],
  }),
  fatal({
    name: "ENOSPC on fdatasync, which no room can mend",
    inject: ["fdatasync:error=ENOSPC:when=1"],
  }),
  scenario({
    name: "EIO on fdatasync of close()",
    durability: NEVER_IN_TIME,
    inject: ["fdatasync:error=EIO:when=1"],
    acts: [commit, close],
    expected: ["3 ok", "COMMIT_INDETERMINATE"],
    events: ["STORE_FAILED"],
  }),
];

const writes: readonly Scenario[] = [
  fatal({ name: "EIO on the write of a synchronous commit", inject: ["pwrite64:error=EIO:when=1"] }),
  fatal({
    name: "EIO on the write of transactions in flight",
    inject: ["pwrite64:error=EIO:when=1"],
    acts: [burst],
    expected: inDoubt(3, 4),
  }),
  fatal({
    name: "EIO on the write of a buffered commit",
    durability: NEVER_IN_TIME,
    inject: ["pwrite64:error=EIO:when=2"],
    acts: [commit, commit],
    expected: ["3 ok", "4 COMMIT_INDETERMINATE"],
  }),
  fatal({
    name: "a write that writes nothing, and says so",
    inject: ["pwrite64:retval=0:when=1"],
    runtimes: ["node", "bun"],
  }),
  scenario({
    name: "a write that writes nothing, which the runtime makes again by itself",
    inject: ["pwrite64:retval=0:when=1"],
    runtimes: ["deno"],
    acts: [commit, burst, close],
    expected: ["3 ok", "4 ok", "5 ok", "6 ok", "7 ok", "closed"],
  }),
  full({ name: "ENOSPC on the write of a synchronous commit", inject: ["pwrite64:error=ENOSPC:when=1"] }),
  full({
    name: "ENOSPC on the write of transactions in flight",
    inject: ["pwrite64:error=ENOSPC:when=1"],
    acts: [burst],
    expected: refused(3, 4),
  }),
  full({
    name: "ENOSPC on the write of a buffered commit",
    durability: NEVER_IN_TIME,
    inject: ["pwrite64:error=ENOSPC:when=1"],
  }),
  full({ name: "EDQUOT on a write", inject: ["pwrite64:error=EDQUOT:when=1"] }),
  full({ name: "EFBIG on a write", inject: ["pwrite64:error=EFBIG:when=1"] }),
  fatal({
    name: "ENOSPC on a write, and EIO on what cuts it off",
    inject: ["pwrite64:error=ENOSPC:when=1", "ftruncate:error=EIO:when=1"],
  }),
  fatal({
    name: "ENOSPC on a write, and EIO on the sync of what cuts it off",
    inject: ["pwrite64:error=ENOSPC:when=1", "fsync:error=EIO:when=1"],
  }),
  scenario({
    name: "EINTR on a write, which is made again",
    inject: ["pwrite64:error=EINTR:when=1"],
    acts: [commit, burst, close],
    expected: ["3 ok", "4 ok", "5 ok", "6 ok", "7 ok", "closed"],
  }),
  scenario({
    name: "a short write is continued where it ended",
    inject: ["pwrite64:retval=10:when=1"],
    acts: [commit],
    expected: ["3 ok"],
    isLie: true,
  }),
  scenario({
    name: "a file that may not grow: a real short write, and then none",
    acts: [...Array.from({ length: 7 }, (): Act => ({ do: "commit", bytes: 5_000_000 })), commit, close],
    expected: ["3 ok", "4 ok", "5 ok", "6 ok", "7 ok", "8 ok", "9 STORAGE_FULL", "10 ok", "closed"],
    fileBytesMax: 32 * 1024 * 1024,
  }),
];

const segments: readonly Scenario[] = [
  fatal({ name: "EIO on fsync of a new segment", inject: ["fsync:error=EIO:when=1"], on: [NEW] }),
  fatal({ name: "EIO on fsync of the directory of a new segment", inject: ["fsync:error=EIO:when=2"], on: ["."] }),
  fatal({
    name: "EIO on the rename of a new segment",
    inject: ["rename,renameat,renameat2:error=EIO:when=1"],
    on: [NEW],
  }),
  fatal({ name: "EMFILE on openat of a new segment", inject: ["openat:error=EMFILE:when=1"], on: [NEW] }),
  fatal({ name: "EROFS on openat of a new segment", inject: ["openat:error=EROFS:when=1"], on: [NEW] }),
  fatal({ name: "EIO on the first write of a new segment", inject: ["pwrite64:error=EIO:when=1"], on: [NEW] }),
  full({ name: "ENOSPC on openat of a new segment", inject: ["openat:error=ENOSPC:when=1"], on: [NEW] }),
  full({ name: "ENOSPC on the first write of a new segment", inject: ["pwrite64:error=ENOSPC:when=1"], on: [NEW] }),
  full({
    name: "ENOSPC on the rename of a new segment",
    inject: ["rename,renameat,renameat2:error=ENOSPC:when=1"],
    on: [NEW],
  }),
];

const checkpoints: readonly Scenario[] = [
  withoutCheckpoint({
    name: "ENOSPC on openat of a checkpoint",
    inject: ["openat:error=ENOSPC:when=1"],
    code: "STORAGE_FULL",
  }),
  withoutCheckpoint({
    name: "EMFILE on openat of a checkpoint",
    inject: ["openat:error=EMFILE:when=1"],
    code: "STORE_FAILED",
  }),
  withoutCheckpoint({
    name: "ENOSPC on the write of a checkpoint",
    inject: ["pwrite64:error=ENOSPC:when=1"],
    code: "STORAGE_FULL",
  }),
  withoutCheckpoint({
    name: "EIO on the write of a checkpoint",
    inject: ["pwrite64:error=EIO:when=1"],
    code: "STORE_FAILED",
  }),
  withoutCheckpoint({
    name: "EIO on fsync of a checkpoint",
    inject: ["fsync:error=EIO:when=1"],
    code: "STORE_FAILED",
  }),
  withoutCheckpoint({
    name: "EIO on the rename of a checkpoint",
    inject: ["rename,renameat,renameat2:error=EIO:when=1"],
    code: "STORE_FAILED",
  }),
  withoutCheckpoint({
    name: "EIO on the removal of what a checkpoint takes the place of",
    inject: ["unlink,unlinkat:error=EIO:when=1"],
    on: [FIRST],
    code: "STORE_FAILED",
  }),
  fatal({
    name: "EIO on fsync of the directory of the segment that a checkpoint begins",
    inject: ["fsync:error=EIO:when=3"],
    on: ["."],
    acts: [commit, checkpoint],
    expected: ["3 ok", "COMMIT_INDETERMINATE"],
  }),
];

const openings: readonly Scenario[] = [
  opening({
    name: "EROFS on mkdir of a new database",
    before: "nothing",
    inject: ["mkdir,mkdirat:error=EROFS"],
    on: ["."],
    expected: ["refused READ_ONLY"],
  }),
  opening({
    name: "EMFILE on openat of the directory",
    inject: ["openat:error=EMFILE"],
    on: ["."],
    expected: ["refused STORE_FAILED"],
  }),
  opening({
    name: "EIO on fsync of the directory for the lock",
    inject: ["fsync:error=EIO:when=1"],
    on: ["."],
    expected: ["refused STORE_FAILED"],
  }),
  opening({
    name: "EACCES on openat of a log",
    inject: ["openat:error=EACCES"],
    on: [FIRST],
    expected: ["refused STORE_FAILED"],
  }),
  opening({
    name: "EIO on reading a log",
    inject: ["pread64,read:error=EIO"],
    on: [FIRST],
    expected: ["refused STORE_FAILED"],
  }),
  opening({
    name: "EIO on fsync of what recovery writes again",
    inject: ["fsync:error=EIO:when=1"],
    on: [NEW],
    expected: ["refused STORE_FAILED"],
  }),
  opening({
    name: "EIO on fsync of the directory for what recovery writes again",
    inject: ["fsync:error=EIO:when=2"],
    on: ["."],
    expected: ["refused STORE_FAILED"],
  }),
  opening({
    name: "ENOSPC on what recovery writes again",
    inject: ["pwrite64:error=ENOSPC:when=1"],
    on: [NEW],
    expected: ["refused STORAGE_FULL"],
  }),
];

/** Every fault that a call is made to return. */
export const FAULTS: readonly Scenario[] = [...syncs, ...writes, ...segments, ...checkpoints, ...openings];

/** What is only watched: when syncs return, and when commits are acknowledged. */
export const ORDERS: readonly Scenario[] = [
  scenario({
    name: "strict commits one after another",
    acts: [commit, commit, { do: "put" }, commit, { do: "put" }],
    expected: ["3 ok", "4 ok", "5 ok", "6 ok", "7 ok"],
  }),
  scenario({
    name: "strict transactions in flight",
    acts: [burst, { do: "burst", count: 2 }, commit, { do: "burst", count: 1 }],
    expected: Array.from({ length: 8 }, (_, i) => `${3 + i} ok`),
  }),
  scenario({
    name: "strict over buffered, and flushes",
    durability: NEVER_IN_TIME,
    acts: [commit, { do: "commit", as: "strict" }, commit, flush, commit, flushSync],
    expected: ["3 ok", "4 ok", "5 ok", "flushed", "6 ok", "flushed"],
  }),
  scenario({
    name: "strict commits that change segments",
    segmentBytes: 200,
    acts: [commit, commit, commit, burst, commit, commit],
    expected: Array.from({ length: 9 }, (_, i) => `${3 + i} ok`),
  }),
  scenario({
    name: "strict commits beside checkpoints",
    acts: [commit, checkpoint, burst, checkpoint, commit],
    expected: ["3 ok", "checkpointed", "4 ok", "5 ok", "6 ok", "7 ok", "checkpointed", "8 ok"],
  }),
];
