/**
 * The storage contract on every storage that works without a browser, and what only one of them can show: how files
 * answer to a system that fails, and that the simulated disk is as cruel as it says.
 */

import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import { nodeFs } from "../../src/adapters/node-fs.js";
import type { Storage, StorageSession } from "../../src/adapters/storage.js";
import { equal, rejectsCode, throwsCode } from "../contract/assert.js";
import { storageContract } from "../contract/storage-contract.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

interface Mount {
  readonly name: string;
  place(): { storage(): Storage; remove(): void };
}

function temporaryDirectory(): { path: string; remove(): void } {
  const path = fs.mkdtempSync(join(tmpdir(), "hf-"));
  return { path, remove: () => fs.rmSync(path, { recursive: true, force: true }) };
}

function simulated(options: Parameters<SimulatedDisk["storage"]>[0]): ReturnType<Mount["place"]> {
  const disk = new SimulatedDisk({ seed: 7 });
  return { storage: () => disk.storage(options), remove: () => {} };
}

const mounts: readonly Mount[] = [
  { name: "memory", place: () => ({ storage: () => memory(), remove: () => {} }) },
  {
    name: "files",
    place() {
      const { path, remove } = temporaryDirectory();
      return { storage: () => nodeFs(join(path, "a/b")), remove };
    },
  },
  {
    name: "files under a path too long for a socket",
    place() {
      const { path, remove } = temporaryDirectory();
      return { storage: () => nodeFs(join(path, "long".repeat(40))), remove };
    },
  },
  { name: "simulated", place: () => simulated({}) },
  { name: "simulated, asynchronous only", place: () => simulated({ syncAppend: false }) },
  {
    name: "simulated, asynchronous only, appending durably",
    place: () => simulated({ syncAppend: false, durableAppend: true }),
  },
];

for (const mount of mounts) {
  describe(`storage contract: ${mount.name}`, () => {
    const { capabilities } = mount.place().storage();
    for (const item of storageContract()) {
      if (item.needs?.(capabilities) === false) continue;
      test(item.name, async () => {
        const place = mount.place();
        try {
          await item.run(place);
        } finally {
          place.remove();
        }
      });
    }
  });
}

describe("files", () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let session: StorageSession;
  const open = (options?: Parameters<typeof nodeFs>[1]): Promise<StorageSession> =>
    nodeFs(directory.path, options).open({ readOnly: false });
  const failing = (code: string): Error => Object.assign(new Error(`simulated ${code}`), { code });

  beforeEach(async () => {
    directory = temporaryDirectory();
    session = await open();
    session.createSegmentSync(1, new Uint8Array(10));
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await session.close();
    directory.remove();
  });

  test("nobody else can read them", () => {
    expect(fs.statSync(join(directory.path, "000000000001.log")).mode & 0o777).toBe(0o600);
    expect(fs.statSync(join(directory.path, "lock.1")).mode & 0o777).toBe(0o600);
  });

  test("temporaries of whoever died are removed by the next owner, and never listed", async () => {
    fs.writeFileSync(join(directory.path, "000000000002.log.tmp"), "half");
    await session.close();
    session = await open();
    expect(await session.segments()).toEqual([{ number: 1, byteLength: 10 }]);
    expect(fs.readdirSync(directory.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  // Somebody had put an export beside the log under a name that ends so; opening the database took it away.
  test("what others keep in the directory stays, whatever it is called", async () => {
    const others = ["backup.tmp", "notes.sock", "1.log.tmp", "lock.tmp", "000000000002.log.tmp.old"];
    for (const name of others) fs.writeFileSync(join(directory.path, name), "precious");
    await session.close();
    session = await open();
    expect(fs.readdirSync(directory.path).filter((name) => others.includes(name))).toEqual([...others].sort());
  });

  test("short writes are continued, and writing nothing is an error", () => {
    const write = fs.writeSync;
    vi.spyOn(fs, "writeSync").mockImplementation(((
      fd: number,
      bytes: Uint8Array,
      offset: number,
      length: number,
      position: number,
    ) => write(fd, bytes, offset, Math.min(length, 3), position)) as typeof fs.writeSync);
    session.appendSync(new TextEncoder().encode("hello world"));
    expect(fs.readFileSync(join(directory.path, "000000000001.log"), "latin1").slice(10)).toBe("hello world");
    vi.spyOn(fs, "writeSync").mockImplementation((() => 0) as typeof fs.writeSync);
    throwsCode("STORE_FAILED", () => session.appendSync(new Uint8Array(1)));
  });

  test("a bad sector ends a read before it, and is an error where it begins", async () => {
    session.appendSync(new TextEncoder().encode("hello world"));
    const read = fs.readSync;
    vi.spyOn(fs, "readSync").mockImplementation(((
      fd: number,
      into: Uint8Array,
      offset: number,
      length: number,
      position: number,
    ) => {
      if (position === 16) throw failing("EIO");
      return read(fd, into, offset, position < 16 ? Math.min(length, 16 - position) : length, position);
    }) as typeof fs.readSync);
    const into = new Uint8Array(100);
    expect(await session.read(1, 10, into)).toBe(6);
    expect(new TextDecoder().decode(into.subarray(0, 6))).toBe("hello ");
    await rejectsCode("STORE_FAILED", () => session.read(1, 16, into));
    expect(await session.read(1, 17, into)).toBe(4);
  });

  for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
    test(`${code} says how much was appended, and appends go on after it`, async () => {
      const write = fs.writeSync;
      let calls = 0;
      const spy = vi.spyOn(fs, "writeSync").mockImplementation(((
        fd: number,
        bytes: Uint8Array,
        offset: number,
        _length: number,
        position: number,
      ) => {
        calls += 1;
        if (calls === 2) throw failing(code);
        return write(fd, bytes, offset, 4, position);
      }) as typeof fs.writeSync);
      equal(
        throwsCode("STORAGE_FULL", () => session.appendSync(new Uint8Array(9).fill(1))).details["appendedBytes"],
        4,
      );
      calls = 0;
      const error = await rejectsCode("STORAGE_FULL", () => session.append(new Uint8Array(9).fill(2)));
      equal(error.details["appendedBytes"], 0, "appended by an atomic append");
      spy.mockRestore();
      session.appendSync(new Uint8Array([3]));
      expect([...fs.readFileSync(join(directory.path, "000000000001.log"))].slice(10)).toEqual([1, 1, 1, 1, 3]);
    });
  }

  test("bytes that were written by a call that throws are counted", () => {
    // Deno writes what fits, and then throws without a word about it: the count has to come from the file.
    const write = fs.writeSync;
    vi.spyOn(fs, "writeSync").mockImplementation(((
      fd: number,
      bytes: Uint8Array,
      offset: number,
      _: number,
      at: number,
    ): number => {
      write(fd, bytes, offset, 4, at);
      throw failing("ENOSPC");
    }) as typeof fs.writeSync);
    equal(throwsCode("STORAGE_FULL", () => session.appendSync(new Uint8Array(9))).details["appendedBytes"], 4);
    vi.restoreAllMocks();
    session.appendSync(new Uint8Array([7]));
    expect([...fs.readFileSync(join(directory.path, "000000000001.log"))].slice(10)).toEqual([0, 0, 0, 0, 7]);
  });

  test("a segment that does not fit is not there", async () => {
    vi.spyOn(fs, "writeSync").mockImplementation((() => {
      throw failing("ENOSPC");
    }) as typeof fs.writeSync);
    throwsCode("STORAGE_FULL", () => session.createSegmentSync(2, new Uint8Array(10)));
    vi.restoreAllMocks();
    session.appendSync(new Uint8Array(1));
    expect(await session.segments()).toEqual([{ number: 1, byteLength: 11 }]);
    expect(fs.readdirSync(directory.path).some((name) => name.endsWith(".tmp"))).toBe(false);
  });

  test("a failed sync is final, for both ways to sync", async () => {
    session.appendSync(new Uint8Array(1));
    vi.spyOn(fs, "fdatasyncSync").mockImplementationOnce(() => {
      throw failing("EIO");
    });
    throwsCode("STORE_FAILED", () => session.flushSync());
    throwsCode("STORE_FAILED", () => session.flushSync());
    await rejectsCode("STORE_FAILED", () => session.flush());
    throwsCode("STORE_FAILED", () => session.appendSync(new Uint8Array(1)));
    expect(fs.fdatasyncSync).toHaveBeenCalledTimes(1);
  });

  test("want of room at a sync is a failed sync, because nobody knows what was lost", () => {
    session.appendSync(new Uint8Array(1));
    vi.spyOn(fs, "fdatasyncSync").mockImplementationOnce(() => {
      throw failing("ENOSPC");
    });
    throwsCode("STORE_FAILED", () => session.flushSync());
  });

  test("a flush that overlaps a failed sync does not count", async () => {
    session.appendSync(new Uint8Array(1));
    const flushing = session.flush();
    vi.spyOn(fs, "fdatasyncSync").mockImplementationOnce(() => {
      throw failing("EIO");
    });
    throwsCode("STORE_FAILED", () => session.flushSync());
    await rejectsCode("STORE_FAILED", () => flushing);
  });

  test("flushes that are called while one runs wait for the next one and share it", async () => {
    const done: (() => void)[] = [];
    const spy = vi.spyOn(fs, "fdatasync").mockImplementation(((_fd: number, callback: (error: null) => void) => {
      done.push(() => callback(null));
    }) as typeof fs.fdatasync);
    session.appendSync(new Uint8Array(1));
    const first = session.flush();
    session.appendSync(new Uint8Array(1));
    const [second, third] = [session.flush(), session.flush()];
    let secondDone = false;
    second.then(() => {
      secondDone = true;
    });
    done.shift()?.();
    await first;
    expect(secondDone).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(spy).toHaveBeenCalledTimes(2);
    done.shift()?.();
    await Promise.all([second, third]);
    await session.flush();
    expect(spy).toHaveBeenCalledTimes(2);
  });

  test("what is appended after a cut is not covered by a flush that began before it", async () => {
    let finish = (): void => {};
    vi.spyOn(fs, "fdatasync").mockImplementationOnce(((_fd: number, callback: (error: null) => void) => {
      finish = () => callback(null);
    }) as typeof fs.fdatasync);
    session.appendSync(new Uint8Array(100));
    const flushing = session.flush();
    session.truncateSync(10);
    session.appendSync(new Uint8Array(50));
    finish();
    await flushing;
    const sync = vi.spyOn(fs, "fdatasyncSync");
    session.flushSync();
    expect(sync).toHaveBeenCalledTimes(1);
  });

  test("the two ways to sync have a descriptor each", async () => {
    const [async_, sync] = [vi.spyOn(fs, "fdatasync"), vi.spyOn(fs, "fdatasyncSync")];
    session.appendSync(new Uint8Array(1));
    await session.flush();
    session.appendSync(new Uint8Array(1));
    session.flushSync();
    expect(async_.mock.calls[0]?.[0]).not.toBe(sync.mock.calls[0]?.[0]);
  });

  test("the predecessor is synced to its end before its successor is there", () => {
    const order: string[] = [];
    const { fdatasyncSync, renameSync } = fs;
    vi.spyOn(fs, "fdatasyncSync").mockImplementation((fd) => {
      order.push("sync");
      fdatasyncSync(fd);
    });
    vi.spyOn(fs, "renameSync").mockImplementation((from, to) => {
      order.push("rename");
      renameSync(from, to);
    });
    session.appendSync(new Uint8Array(1));
    session.createSegmentSync(2, new Uint8Array(1));
    expect(order).toEqual(["sync", "rename"]);
  });

  test("a directory that must not be written to says how to open it", async () => {
    await session.close();
    vi.spyOn(fs, "openSync").mockImplementation((() => {
      throw failing("EROFS");
    }) as typeof fs.openSync);
    const error = await rejectsCode("READ_ONLY", () => open());
    vi.restoreAllMocks();
    expect(error.message).toContain("readOnly: true");
  });

  test("a path that is a file is refused", async () => {
    const file = join(directory.path, "file");
    fs.writeFileSync(file, "");
    await rejectsCode("STORE_FAILED", () => nodeFs(file).open({ readOnly: false }));
    await rejectsCode("STORE_FAILED", () => nodeFs(join(file, "below")).open({ readOnly: false }));
    throwsCode("INVALID_ARGUMENT", () => nodeFs(""));
  });

  test("a path that others make meanwhile is taken as they have made it", async () => {
    const path = join(directory.path, "made/at/once");
    const { mkdirSync } = fs;
    const making = vi.spyOn(fs, "mkdirSync").mockImplementation((...given) => {
      mkdirSync(...given);
      return mkdirSync(...given);
    });
    const synced = vi.spyOn(fs, "fsyncSync");
    const made = await nodeFs(path).open({ readOnly: false });
    expect(making).toHaveBeenCalledTimes(3);
    // What stood there, and each place that something was made in: who made it may die before that is durable.
    expect(synced.mock.calls.length).toBeGreaterThanOrEqual(4);
    await made.close();
    making.mockImplementation((given) => {
      fs.writeFileSync(given, "");
      mkdirSync(given);
      return undefined;
    });
    await rejectsCode("STORE_FAILED", () => nodeFs(join(path, "below")).open({ readOnly: false }));
  });

  test("descriptors are given back", async () => {
    const count = (): number => fs.readdirSync("/proc/self/fd").length;
    await session.close();
    const before = count();
    for (let i = 0; i < 20; i += 1) {
      session = await open();
      for (let n = 0; n < 5; n += 1) {
        await session.createSegment(100 + i * 10 + n, new Uint8Array(1));
        await session.append(new Uint8Array(1));
        await Promise.all([session.flush(), session.read(1, 0, new Uint8Array(1))]);
      }
      await session.close();
    }
    expect(count()).toBeLessThanOrEqual(before + 1);
  });
});

describe("the simulated disk", () => {
  const bytes = (n: number, fill: number): Uint8Array => new Uint8Array(n).fill(fill);
  const owner = (disk: SimulatedDisk, options = {}): Promise<StorageSession> =>
    disk.storage(options).open({ readOnly: false });

  async function written(seed: number): Promise<SimulatedDisk> {
    const disk = new SimulatedDisk({ seed });
    const session = await owner(disk);
    session.createSegmentSync(1, bytes(100, 1));
    session.appendSync(bytes(1000, 2));
    session.flushSync();
    session.appendSync(bytes(4000, 3));
    return disk;
  }

  test("a kill keeps what was appended, a power cut what was synced", async () => {
    const fates = new Set<string>();
    for (let seed = 1; seed <= 300; seed += 1) {
      const disk = await written(seed);
      const killed = disk.clone();
      killed.crash({ kind: "kill" });
      expect(killed.bytes(1).byteLength).toBe(5100);
      disk.crash({ kind: "power" });
      const left = disk.bytes(1);
      expect(left.subarray(0, 1100)).toEqual(new Uint8Array([...bytes(100, 1), ...bytes(1000, 2)]));
      const tail = left.subarray(1100);
      const lost = tail.indexOf(0);
      fates.add(
        tail.byteLength === 0
          ? "gone"
          : lost < 0
            ? tail.byteLength === 4000
              ? "whole"
              : "prefix"
            : tail.lastIndexOf(3) > lost
              ? "hole"
              : "torn",
      );
    }
    expect([...fates].sort()).toEqual(["gone", "hole", "prefix", "torn", "whole"]);
  });

  test("the same seed gives the same crash", async () => {
    const [a, b] = [await written(5), await written(5)];
    a.crash({ kind: "power" });
    b.crash({ kind: "power" });
    expect(a.bytes(1)).toEqual(b.bytes(1));
  });

  test("what was killed stays unsynced until a power cut takes it", async () => {
    let lost = 0;
    for (let seed = 1; seed <= 50; seed += 1) {
      const disk = await written(seed);
      disk.crash({ kind: "kill" });
      const session = await owner(disk);
      session.createSegmentSync(2, bytes(1, 1));
      session.flushSync();
      disk.crash({ kind: "power" });
      if (disk.bytes(1).byteLength < 5100) lost += 1;
    }
    expect(lost).toBeGreaterThan(10);
  });

  test("a failed sync is reported once per handle, and what it covered never becomes durable", async () => {
    const disk = await written(3);
    disk.crash({ kind: "kill" });
    const session = await owner(disk);
    session.createSegmentSync(2, bytes(10, 1));
    session.appendSync(bytes(600, 2));
    disk.failNext("flushSync", "STORE_FAILED");
    throwsCode("STORE_FAILED", () => session.flushSync());
    session.flushSync();
    await rejectsCode("STORE_FAILED", () => session.flush());
    await session.flush();
    session.appendSync(bytes(600, 3));
    session.flushSync();
    expect(disk.bytes(2).subarray(10, 610)).toEqual(bytes(600, 2));
    disk.crash({ kind: "power" });
    expect(disk.bytes(2)).toEqual(new Uint8Array([...bytes(10, 1), ...bytes(600, 0), ...bytes(600, 3)]));
  });

  test("a flush that is held covers what was there when it began", async () => {
    const disk = new SimulatedDisk();
    const session = await owner(disk);
    session.createSegmentSync(1, bytes(10, 1));
    session.appendSync(bytes(10, 2));
    disk.hold("flush");
    const flushing = session.flush();
    session.appendSync(bytes(10, 3));
    expect(disk.durableBytes(1).byteLength).toBe(10);
    expect(disk.waiting("flush")).toBe(1);
    await disk.release("flush");
    await flushing;
    expect(disk.durableBytes(1).byteLength).toBe(20);
    disk.hold("flush");
    const failing = rejectsCode("STORE_FAILED", () => session.flush());
    await disk.release("flush", { fail: "STORE_FAILED" });
    await failing;
  });

  test("steps one asynchronous call at a time", async () => {
    const disk = new SimulatedDisk({ manual: true });
    const session = await owner(disk, { syncAppend: false });
    const creating = session.createSegment(1, bytes(1, 1));
    const appending = session.append(bytes(2, 2));
    const flushing = session.flush();
    expect(await disk.step()).toBe("createSegment");
    expect(disk.bytes(1).byteLength).toBe(1);
    expect(await disk.step()).toBe("append");
    expect(await disk.step()).toBe("flush");
    expect(await disk.step()).toBeUndefined();
    await Promise.all([creating, appending, flushing]);
    expect(disk.durableBytes(1).byteLength).toBe(3);
  });

  test("a full disk takes what fits, and has room again", async () => {
    const disk = new SimulatedDisk({ room: 100 });
    const session = await owner(disk);
    session.createSegmentSync(1, bytes(50, 1));
    equal(throwsCode("STORAGE_FULL", () => session.appendSync(bytes(80, 2))).details["appendedBytes"], 50);
    session.truncateSync(50);
    disk.room = 80;
    session.appendSync(bytes(80, 2));
    expect(disk.bytes(1).byteLength).toBe(130);
  });

  test("asynchronous appends behind one that failed fail too, until the segment is cut", async () => {
    const disk = new SimulatedDisk({ room: 30 });
    const session = await owner(disk, { syncAppend: false });
    await session.createSegment(1, bytes(10, 1));
    const results = await Promise.allSettled([25, 5, 5].map((n) => session.append(bytes(n, n))));
    expect(results.map((result) => result.status)).toEqual(["rejected", "rejected", "rejected"]);
    await session.truncate(10);
    await session.append(bytes(5, 5));
    expect(disk.bytes(1).byteLength).toBe(15);
  });

  test("fails what it is told to, after as many as it is told", async () => {
    const disk = new SimulatedDisk();
    const session = await owner(disk);
    session.createSegmentSync(1, bytes(1, 1));
    disk.failNext("appendSync", "STORE_FAILED", { after: 1, times: 2, afterBytes: 3 });
    session.appendSync(bytes(5, 2));
    throwsCode("STORE_FAILED", () => session.appendSync(bytes(5, 3)));
    throwsCode("STORE_FAILED", () => session.appendSync(bytes(5, 4)));
    session.appendSync(bytes(1, 5));
    expect([...disk.bytes(1)]).toEqual([1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5]);
    expect(disk.calls.filter((call) => call.method === "appendSync").map((call) => call.bytes)).toEqual([5, 5, 5, 1]);
  });

  test("a removal that failed may come back, one that returned never does", async () => {
    let [back, gone] = [0, 0];
    for (let seed = 1; seed <= 60; seed += 1) {
      const disk = new SimulatedDisk({ seed });
      const session = await owner(disk);
      session.createSegmentSync(1, bytes(1, 1));
      session.createSegmentSync(2, bytes(1, 1));
      await session.removeSegment(2);
      disk.failNext("removeSegment", "STORE_FAILED", { applied: true });
      await rejectsCode("STORE_FAILED", () => session.removeSegment(1));
      expect(disk.segmentNumbers()).toEqual([]);
      disk.crash({ kind: "power" });
      expect(disk.segmentNumbers()).not.toContain(2);
      if (disk.segmentNumbers().includes(1)) back += 1;
      else gone += 1;
    }
    expect(Math.min(back, gone)).toBeGreaterThan(5);
  });

  test("a dead session changes nothing any more, and the next owner has a higher epoch", async () => {
    const disk = new SimulatedDisk();
    const session = await owner(disk);
    session.createSegmentSync(1, bytes(1, 1));
    disk.hold("flush");
    session.appendSync(bytes(1, 2));
    const flushing = rejectsCode("STORE_FAILED", () => session.flush());
    disk.crash({ kind: "kill" });
    await flushing;
    throwsCode("STORE_FAILED", () => session.appendSync(bytes(1, 3)));
    const next = await owner(disk);
    await session.close();
    expect(next.epoch).toBe(session.epoch + 1);
    await rejectsCode("LOCKED", () => owner(disk));
    disk.corrupt(1, 0, 1);
    disk.cut(1, 1);
    expect([...disk.bytes(1)]).toEqual([3]);
  });
});
