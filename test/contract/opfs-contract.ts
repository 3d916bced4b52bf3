/**
 * What only a storage in the origin private file system has to keep: files that are made ahead of time, files that a crash has
 * left in any state, and the second fence. The cases run where it works synchronously, and damage its files from outside.
 */
import { indexedDb, removeIndexedDb } from "../../src/adapters/indexeddb.js";
import { opfs, removeOpfs } from "../../src/adapters/opfs.js";
import type { Storage, StorageCapabilities, StorageSession } from "../../src/adapters/storage.js";
import { Database, HoldfastError } from "../../src/index.js";
import { deepEqual, equal, ok, rejectsCode, throwsCode } from "./assert.js";
import type { Case, Context } from "./context.js";

const RUN = "run";
/** Where the bytes of a file begin, and where the second epoch stands. */
const BLOCK_BYTES = 4096;
/** How long a file takes where that is slow. */
const SLOW_MS = 100;

/** What a worker has and the platform's types for pages do not. */
interface RawHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(byteLength: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** Lets a refusal pass by that says that somebody else has it. */
function lockedOnly(error: unknown): undefined {
  if (!HoldfastError.is(error, "LOCKED")) throw error;
}

const inWorker = ({ kind, syncAppend }: StorageCapabilities): boolean => kind === "opfs" && syncAppend;

/** A case over one place, whose name the context has as its path. */
function inFiles(name: string, run: (name: string, context: Context) => Promise<void>): Case {
  return { name, needs: inWorker, run: (context) => run(context.path ?? "", context) };
}

const bytes = (byteLength: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: byteLength }, (_, i) => (i * 7 + seed * 31) & 255);

async function withSession<T>(storage: Storage, use: (session: StorageSession) => Promise<T>): Promise<T> {
  const session = await storage.open({ readOnly: false });
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

async function contents(session: StorageSession, segment: number): Promise<Uint8Array> {
  const into = new Uint8Array(100_000);
  return into.subarray(0, await session.read(segment, 0, into));
}

/** The directory that the database of that name stands in. */
async function directoryOf(name: string): Promise<FileSystemDirectoryHandle> {
  const top = await navigator.storage.getDirectory();
  const root = await top.getDirectoryHandle("holdfast");
  return root.getDirectoryHandle(name.replace(/[^a-z0-9_-]/g, encodeCharacter));
}

const encodeCharacter = (character: string): string =>
  `%${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`;

async function withFile<T>(directory: FileSystemDirectoryHandle, name: string, use: (raw: RawHandle) => T): Promise<T> {
  const file = await directory.getFileHandle(name, { create: true });
  const raw = await (file as unknown as { createSyncAccessHandle(): Promise<RawHandle> }).createSyncAccessHandle();
  try {
    return use(raw);
  } finally {
    raw.close();
  }
}

/** The names of the files that have anything in them, without the owner's. */
async function filled(directory: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = [];
  for await (const [name, entry] of directory.entries()) {
    if (name === "owner" || entry.kind !== "file") continue;
    if ((await (entry as FileSystemFileHandle).getFile()).size > 0) names.push(name);
  }
  return names.sort();
}

/** Does something while every file takes a while to be made or found. */
async function withSlowFiles(work: () => Promise<void>): Promise<void> {
  const { prototype } = FileSystemDirectoryHandle;
  const { getFileHandle } = prototype;
  prototype.getFileHandle = async function (this: FileSystemDirectoryHandle, ...given) {
    await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    return getFileHandle.apply(this, given);
  };
  try {
    await work();
  } finally {
    prototype.getFileHandle = getFileHandle;
  }
}

export function opfsContract(): Case[] {
  return [...spareCases(), ...removalCases(), ...damageCases(), ...ownerCases(), ...placeCases()];
}

function spareCases(): Case[] {
  return [
    inFiles("refuses a segment for which no file is ready, with nothing changed, and makes it later", (_, context) =>
      withSession(context.storage(), async (session) => {
        let made = 0;
        const error = throwsCode("STORAGE_FULL", () => {
          for (made = 0; made < 100; made += 1) session.createSegmentSync(made + 1, bytes(10, made));
        });
        ok(made >= 2, `at least two segments at once, not ${made}`);
        equal(error.details["appendedBytes"], 0, "details.appendedBytes");
        session.appendSync(bytes(5, 1));
        session.flushSync();
        equal((await contents(session, made)).byteLength, 15, "bytes of the last segment");
        await session.createSegment(made + 1, bytes(7, 7));
        equal((await session.segments()).length, made + 1, "segments");
      }),
    ),
    inFiles("lets a loop that never yields go on in the segment that it has", async (name) => {
      const open = (): Promise<Database> => Database.open({ storage: opfs(name, { segmentBytesTarget: 2_000 }) });
      const db = await open();
      for (let i = 0; i < 1_000; i += 1)
        db.run(RUN).kv.put(`key ${i % 10}`, "x".repeat(100), { durability: "buffered" });
      db.run(RUN).kv.put("last", 1);
      await new Promise((resolve) => setTimeout(resolve, 100));
      db.run(RUN).kv.put("later", 2);
      await db.close();
      const again = await open();
      deepEqual([again.run(RUN).kv.get("last"), again.run(RUN).kv.get("later"), again.run(RUN).kv.count()], [1, 2, 12]);
      await again.close();
    }),
    inFiles("waits for a file to be ready before a segment is made", (_, context) =>
      withSession(context.storage(), async (session) => {
        for (let i = 1; i <= 20; i += 1) {
          await session.prepareSegment?.();
          session.createSegmentSync(i, bytes(10, i));
        }
        equal((await session.segments()).length, 20, "segments");
      }),
    ),
    inFiles("makes one checkpoint after the other, however long files take to be made", async (name) => {
      const open = (): Promise<Database> => Database.open({ storage: opfs(name, { segmentBytesTarget: 1 }) });
      const db = await open();
      await withSlowFiles(async () => {
        for (let i = 0; i < 10; i += 1) {
          for (const key of ["a", "b"]) db.run(RUN).kv.put(key, i);
          await db.checkpoint();
        }
      });
      await db.close();
      const again = await open();
      deepEqual(again.run(RUN).kv.getMany(["a", "b"]), [9, 9], "values");
      await again.close();
    }),
    ...[false, true].map((shared) =>
      inFiles(`makes a checkpoint where all files that were ready are taken, shared: ${shared}`, async (name) => {
        const open = (): Promise<Database> => Database.open({ storage: opfs(name, { segmentBytesTarget: 1 }), shared });
        const db = await open();
        for (let i = 0; i < 5; i += 1) db.run(RUN).kv.put(`key ${i}`, i);
        await db.checkpoint();
        db.run(RUN).kv.put("later", 1);
        await db.close();
        const again = await open();
        equal(again.run(RUN).kv.count(), 6, "values");
        await again.close();
      }),
    ),
    inFiles("keeps no more files than it needs, however often it is opened", async (name, context) => {
      for (let i = 1; i <= 6; i += 1) {
        await withSession(context.storage(), async (session) => {
          await session.createSegment(i, bytes(10, i));
          if (i > 1) await session.removeSegment(i - 1);
        });
      }
      let files = 0;
      for await (const _ of (await directoryOf(name)).keys()) files += 1;
      ok(files <= 1 + 1 + 4, `the owner's, one segment and four spares at most, not ${files}`);
    }),
  ];
}

/** Does it while the browser takes each file away only once `release` is called. */
async function withSlowRemovals(work: (release: () => void) => Promise<void>): Promise<void> {
  const { prototype } = FileSystemDirectoryHandle;
  const { removeEntry } = prototype;
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  prototype.removeEntry = async function (...given) {
    await released;
    return removeEntry.apply(this, given);
  };
  try {
    await work(release);
  } finally {
    release();
    prototype.removeEntry = removeEntry;
  }
}

function removalCases(): Case[] {
  return [
    inFiles("writes on in synchronous calls while the browser takes a removed segment's file away", (_, context) =>
      withSession(context.storage(), (session) =>
        withSlowRemovals(async (release) => {
          await session.createSegment(1, bytes(10, 1));
          await session.createSegment(2, bytes(10, 2));
          const removed = session.removeSegment(1);
          session.appendSync(bytes(5, 5));
          session.flushSync();
          deepEqual(await session.segments(), [{ number: 2, byteLength: 15 }], "segments");
          session.truncateSync(12);
          session.createSegmentSync(3, bytes(10, 3));
          const removedToo = session.removeSegment(2);
          await session.append(bytes(7, 7));
          deepEqual(await session.segments(), [{ number: 3, byteLength: 17 }], "segments");
          release();
          await Promise.all([removed, removedToo]);
        }),
      ),
    ),
    inFiles("is closed only when the files of removed segments are gone", async (name, context) =>
      withSlowRemovals(async (release) => {
        const session = await context.storage().open({ readOnly: false });
        await session.createSegment(1, bytes(10, 1));
        const order: string[] = [];
        const removed = session.removeSegment(1).then(() => order.push("removed"));
        const closed = session.close().then(() => order.push("closed"));
        await new Promise((resolve) => setTimeout(resolve, 50));
        deepEqual(order, [], "over");
        release();
        await Promise.all([removed, closed]);
        deepEqual(order, ["removed", "closed"], "over");
        deepEqual(await filled(await directoryOf(name)), [], "files");
      }),
    ),
    inFiles("commits go on while the files are taken away that a checkpoint stands for", async (name, context) => {
      const db = await context.open();
      const { kv } = db.run(RUN);
      kv.put("before", 1);
      await withSlowRemovals(async (release) => {
        const done = db.checkpoint();
        for (let i = 0; i < 20; i += 1) {
          kv.put(`key ${i}`, i);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        ok((await filled(await directoryOf(name))).length > 2, "a file that is still there");
        release();
        await done;
      });
      kv.put("after", 1);
      const before = kv.list();
      const again = await context.reopen();
      deepEqual([again.run(RUN).kv.list(), before.length], [before, 22], "opened again");
    }),
  ];
}

function damageCases(): Case[] {
  return [
    inFiles("takes what has no whole header for left over, and removes it", async (name, context) => {
      await withSession(context.storage(), (session) => session.createSegment(1, bytes(100, 1)));
      const directory = await directoryOf(name);
      const [whole = ""] = await filled(directory);
      const copy = await withFile(directory, whole, (raw) => {
        const all = new Uint8Array(raw.getSize());
        raw.read(all, { at: 0 });
        return all;
      });
      // A header of which one bit is not what was written; bytes whose header never came; a header alone that is torn.
      const flipped = copy.slice();
      flipped[9] = (flipped[9] ?? 0) ^ 4;
      const unborn = copy.slice();
      unborn.fill(0, 0, BLOCK_BYTES);
      for (const [file, content] of [
        ["900-1", flipped],
        ["900-2", unborn],
        ["900-3", copy.subarray(0, 20)],
        ["900-4", bytes(9000, 4)],
      ] as const) {
        await withFile(directory, file, (raw) => raw.write(content, { at: 0 }));
      }
      await withSession(context.storage(), async (session) => {
        deepEqual(
          (await session.segments()).map(({ number, byteLength }) => [number, byteLength]),
          [[1, 100]],
          "segments",
        );
        deepEqual(await contents(session, 1), bytes(100, 1), "content");
      });
      deepEqual(await filled(directory), [whole], "files");
    }),
    inFiles("reads of a segment what there is, whatever length a crash has left it", async (name, context) => {
      await withSession(context.storage(), async (session) => {
        await session.createSegment(1, bytes(100, 1));
        await session.append(bytes(50, 2));
      });
      const directory = await directoryOf(name);
      const [file = ""] = await filled(directory);
      for (const byteLength of [400, 120, 100, 10, 0]) {
        await withFile(directory, file, (raw) => raw.truncate(BLOCK_BYTES + byteLength));
        await withSession(context.storage(), async (session) => {
          deepEqual(await session.segments(), [{ number: 1, byteLength }], "segments");
          const expected = Math.min(byteLength, 10);
          deepEqual((await contents(session, 1)).subarray(0, expected), bytes(100, 1).subarray(0, expected), "content");
          equal((await contents(session, 1)).byteLength, byteLength, "bytes");
        });
      }
      await withFile(directory, file, (raw) => raw.truncate(BLOCK_BYTES - 1000));
      await withSession(context.storage(), async (session) =>
        equal((await contents(session, 1)).byteLength, 0, "bytes"),
      );
    }),
    inFiles("reads of a checkpoint no more than it was made of", async (name, context) => {
      await withSession(context.storage(), async (session) => {
        const writer = await session.beginCheckpoint(3);
        await writer.write(bytes(100, 3));
        await writer.commit();
      });
      const directory = await directoryOf(name);
      const [file = ""] = await filled(directory);
      await withFile(directory, file, (raw) => raw.truncate(BLOCK_BYTES + 9000));
      await withSession(context.storage(), async (session) => {
        deepEqual(await session.checkpoints(), [{ number: 3, byteLength: 100 }], "checkpoints");
        equal(await session.readCheckpoint(3, 0, new Uint8Array(500)), 100, "bytes");
      });
    }),
    inFiles("refuses a database of a newer layout, and leaves it as it is", async (name, context) => {
      await withSession(context.storage(), (session) => session.createSegment(1, bytes(10, 1)));
      const directory = await directoryOf(name);
      await withFile(directory, "owner", (raw) => {
        // The record of some later owner: magic, format 2, its epoch, and the checksum that goes with it.
        const record = Uint8Array.from([0x48, 0x46, 0x4f, 0x57, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        new DataView(record.buffer).setUint32(12, crc32(record.subarray(0, 12)), true);
        raw.write(record, { at: 0 });
      });
      await rejectsCode("STORE_FAILED", () => context.storage().open({ readOnly: false }));
      equal((await filled(directory)).length, 1, "files");
    }),
  ];
}

function crc32(content: Uint8Array): number {
  let crc = -1;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function ownerCases(): Case[] {
  return [
    inFiles(
      "raises the epoch above all that is known, also where its record is torn or gone",
      async (name, context) => {
        const epochOf = (): Promise<number> =>
          withSession(context.storage(), async (session) => {
            if (session.fresh) await session.createSegment(1, bytes(10, 1));
            return session.epoch;
          });
        let last = await epochOf();
        const damages: ((raw: RawHandle) => void)[] = [
          (raw) => raw.write(new Uint8Array(8).fill(0xff), { at: 4 }),
          (raw) => raw.write(new Uint8Array(8).fill(0xff), { at: BLOCK_BYTES + 4 }),
          (raw) => raw.truncate(BLOCK_BYTES + 7),
          (raw) => raw.truncate(0),
        ];
        for (const damage of damages) {
          await withFile(await directoryOf(name), "owner", damage);
          const epoch = await epochOf();
          ok(epoch > last - 1, `an epoch of ${last} at least, got ${epoch}`);
          last = Math.max(last, epoch) + 1;
          last = await epochOf();
        }
      },
    ),
    inFiles("keeps out whoever has no lock while the owner file is open", async (name, context) => {
      await withSession(context.storage(), (session) => session.createSegment(1, bytes(10, 1)));
      const file = await (await directoryOf(name)).getFileHandle("owner");
      const raw = await (file as unknown as { createSyncAccessHandle(): Promise<RawHandle> }).createSyncAccessHandle();
      await rejectsCode("LOCKED", () => context.storage().open({ readOnly: false }));
      setTimeout(() => raw.close(), 500);
      await withSession(context.storage(), async (session) => equal(session.fresh, false, "fresh"));
    }),
    inFiles(
      "ends a session whose lock is taken, and lets its taker in when that one is closed",
      async (name, context) => {
        const told: string[] = [];
        const session = await context.storage().open({ readOnly: false, onLockedOut: (reason) => told.push(reason) });
        await session.createSegment(1, bytes(10, 1));
        await navigator.locks.request(`holdfast-opfs:${name}`, { steal: true }, () => {});
        await new Promise((resolve) => setTimeout(resolve, 50));
        equal(told.length, 1, "times told");
        throwsCode("STORE_FAILED", () => session.appendSync(bytes(1, 1)));
        setTimeout(() => void session.close(), 200);
        await withSession(context.storage(), async (next) => ok(next.epoch > session.epoch, "a greater epoch"));
      },
    ),
  ];
}

function placeCases(): Case[] {
  return [
    inFiles("leaves a name by which there is a database in IndexedDB to that one", async (name) => {
      const path = `${name} in IndexedDB`;
      const made = await Database.open({ storage: indexedDb(path) });
      made.run(RUN).kv.put("a", 1);
      await made.close();
      const db = await Database.open(path);
      deepEqual([db.storageInfo.kind, db.run(RUN).kv.get("a")], ["indexeddb", 1]);
      await db.close();
      await removeIndexedDb(path);
      const anew = await Database.open(path);
      deepEqual([anew.storageInfo.kind, anew.storageInfo.fresh, anew.durability.mode], ["opfs", true, "strict"]);
      await anew.close();
      await removeOpfs(path);
    }),
    {
      name: "in a page leaves a name by which there is a database in files to that one, and makes new ones in IndexedDB",
      needs: ({ kind, syncAppend }) => kind === "opfs" && !syncAppend,
      async run() {
        const path = "made in files";
        const made = await Database.open({ storage: opfs(path), shared: false });
        made.run(RUN).kv.put("a", 1);
        await made.close();
        const db = await Database.open(path);
        deepEqual([db.storageInfo.kind, db.run(RUN).kv.get("a"), db.durability.mode], ["opfs", 1, "buffered"]);
        await db.close();
        await removeOpfs(path);
        const anew = await Database.open(path);
        deepEqual([anew.storageInfo.kind, anew.storageInfo.fresh], ["indexeddb", true]);
        await anew.close();
        await removeIndexedDb(path);
      },
    },
    inFiles("keeps names apart that look alike", async (name) => {
      const names = [`${name}A`, `${name}a`, `${name}%41`, `${name}/a`, `${name}.`, `${name}é`, `${name}e\u0301`];
      for (const [i, it] of names.entries()) {
        await withSession(opfs(it), async (session) => {
          equal(session.fresh, true, `fresh, ${it}`);
          await session.createSegment(1, bytes(i + 1, i));
        });
      }
      for (const [i, it] of names.entries()) {
        await withSession(opfs(it), async (session) => equal((await contents(session, 1)).byteLength, i + 1, it));
        await removeOpfs(it);
      }
    }),
    inFiles("refuses names that cannot be kept apart, and bad options", async () => {
      for (const bad of ["", "x".repeat(300), "\ud800", "é".repeat(100)])
        throwsCode("INVALID_ARGUMENT", () => opfs(bad));
      throwsCode("INVALID_ARGUMENT", () => opfs("a", { segmentBytesTarget: 0 }));
    }),
    inFiles("tells of a database that was there and is gone, once it held anything", async (name, context) => {
      const epoch = await withSession(context.storage(), async (session) => {
        equal(session.vanished, undefined, "vanished");
        await session.createSegment(1, bytes(10, 1));
        return session.epoch;
      });
      const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("holdfast");
      await root.removeEntry((await directoryOf(name)).name, { recursive: true });
      await withSession(context.storage(), async (session) => {
        equal(session.fresh, true, "fresh");
        deepEqual(session.vanished, { epoch }, "vanished");
        ok(session.epoch > epoch, "an epoch above the one that is gone");
      });
    }),
    inFiles(
      "forgets a database that is removed on purpose, which it cannot be while it is open",
      async (name, context) => {
        await withSession(context.storage(), async (session) => {
          await session.createSegment(1, bytes(10, 1));
          await rejectsCode("LOCKED", () => removeOpfs(name));
        });
        await removeOpfs(name);
        await removeOpfs(name);
        await withSession(context.storage(), async (session) => {
          deepEqual([session.fresh, session.vanished], [true, undefined], "fresh, and vanished");
        });
      },
    ),
    inFiles("opens beside a removal whole or not at all", async (name) => {
      const counted = { opened: 0, locked: 0 };
      for (let turn = 0; turn < 60; turn++) {
        const removed = removeOpfs(name).catch(lockedOnly);
        for (let later = turn % 12; later > 0; later--) await new Promise((resolve) => setTimeout(resolve));
        const db = await Database.open({ storage: opfs(name) }).catch(lockedOnly);
        counted[db === undefined ? "locked" : "opened"]++;
        db?.run(RUN).kv.put("a", turn);
        await removed;
        equal(db?.run(RUN).kv.get("a"), db && turn, "what was put");
        await db?.close();
      }
      ok(counted.opened > 0 && counted.locked > 0, `the turns met: ${JSON.stringify(counted)}`);
    }),
  ];
}
