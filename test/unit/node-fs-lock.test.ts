/**
 * Who owns a directory, tried with real processes: live, blocked, stopped, killed and racing ones.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import ts from "typescript";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { nodeFs } from "../../src/adapters/node-fs.js";
import { judge, type OwnerRecord, ownRecord } from "../../src/adapters/node-fs-owner.js";
import { platform } from "../../src/adapters/node-fs-platform.js";
import type { StorageSession } from "../../src/adapters/storage.js";
import { rejectsCode } from "../contract/assert.js";

/** The adapter compiled apart, so that plain children can import the sources of this very moment. */
let built: string;
let directory: string;
const children = new Set<ChildProcess>();

const CHILD = `
const [module, path, mode, startAt] = process.argv.slice(1);
const { nodeFs } = await import(module);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\\n");
// Whoever wants a race looks at the clock until it begins, so that all begin at once.
while (Date.now() < Number(startAt));
try {
  const session = await nodeFs(path).open({ readOnly: false });
  say({ epoch: session.epoch });
  if (mode === "leave") session.createSegmentSync(1, new Uint8Array(1));
  else {
    process.stdin.resume();
    process.stdin.on("end", async () => { await session.close(); process.exit(0); });
    if (mode === "block") setTimeout(() => { for (;;); }, 0);
  }
} catch (error) {
  say({ code: error.code, details: error.details });
}
`;

interface Report {
  readonly epoch?: number;
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

interface Child {
  readonly process: ChildProcess;
  readonly report: Report;
}

type Mode = "hold" | "block" | "leave";

function child(mode: Mode, path = directory, startAt = 0): Promise<Child> {
  return start(scriptOf(mode, path, startAt));
}

function scriptOf(mode: Mode, path = directory, startAt = 0): string[] {
  const module = pathToFileURL(join(built, "adapters/node-fs.js")).href;
  return [process.execPath, "--input-type=module", "-e", CHILD, module, path, mode, String(startAt)];
}

async function start([command = "", ...given]: readonly string[]): Promise<Child> {
  const started = spawn(command, given, { stdio: ["pipe", "pipe", "inherit"] });
  children.add(started);
  const [line] = (await once(createInterface(started.stdout), "line")) as [string];
  return { process: started, report: JSON.parse(line) as Report };
}

async function end(target: Child, signal: NodeJS.Signals | "close"): Promise<void> {
  const exit = target.process.exitCode === null ? once(target.process, "exit") : undefined;
  if (signal === "close") target.process.stdin?.end();
  else target.process.kill(signal);
  await exit;
  children.delete(target.process);
}

function open(options?: Parameters<typeof nodeFs>[1], path = directory): Promise<StorageSession> {
  return nodeFs(path, options).open({ readOnly: false });
}

const locks = (path = directory): string[] =>
  fs
    .readdirSync(path)
    .filter((name) => name.startsWith("lock."))
    .sort();

beforeAll(() => {
  built = fs.mkdtempSync(join(tmpdir(), "hf-built-"));
  fs.mkdirSync(join(built, "adapters"));
  fs.writeFileSync(join(built, "package.json"), '{ "type": "module" }');
  const sources = new URL("../../src/", import.meta.url);
  const parts = fs.readdirSync(new URL("adapters/", sources)).map((file) => `adapters/${file.slice(0, -3)}`);
  for (const file of ["errors", ...parts]) {
    const source = fs.readFileSync(new URL(`${file}.ts`, sources), "utf8");
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    fs.writeFileSync(join(built, `${file}.js`), outputText);
  }
});

afterAll(() => fs.rmSync(built, { recursive: true, force: true }));

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "hf-"));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const left of children) left.kill("SIGKILL");
  children.clear();
  fs.rmSync(directory, { recursive: true, force: true });
});

function startTimeOf(pid: number): string {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/** Rewrites the highest lock as if another owner had left it. */
function forge(fields: Readonly<Record<string, unknown>>): void {
  const path = join(directory, locks().at(-1) ?? "");
  const record = JSON.parse(fs.readFileSync(path, "utf8")) as Record<string, unknown>;
  fs.writeFileSync(path, JSON.stringify({ ...record, released: false, ...fields }));
}

describe("an owner in another process", () => {
  test("is found alive, and named", async () => {
    const owner = await child("hold");
    const error = await rejectsCode("LOCKED", () => open());
    expect(error.details).toMatchObject({ pid: owner.process.pid, epoch: 1 });
    expect(typeof error.details["host"]).toBe("string");
    expect(Number.isNaN(Date.parse(String(error.details["since"])))).toBe(false);
    await end(owner, "close");
    const session = await open();
    expect(session.epoch).toBe(2);
    await session.close();
  });

  test("is alive while its loop is blocked", async () => {
    const owner = await child("block");
    await new Promise((resolve) => setTimeout(resolve, 100));
    await rejectsCode("LOCKED", () => open({ takeOver: true }));
    await end(owner, "SIGKILL");
  });

  test("is alive while it is stopped", async () => {
    const owner = await child("hold");
    owner.process.kill("SIGSTOP");
    await rejectsCode("LOCKED", () => open());
    await end(owner, "SIGKILL");
  });

  test("is taken over once it was killed", async () => {
    await end(await child("hold"), "SIGKILL");
    const session = await open();
    expect(session.epoch).toBe(2);
    expect(locks()).toEqual(["lock.2"]);
    expect(fs.readdirSync(directory).filter((name) => name.endsWith(".sock"))).toHaveLength(1);
    await session.close();
  });

  test("does not live on for having left its session open", async () => {
    const owner = await child("leave");
    const [code] = owner.process.exitCode === null ? await once(owner.process, "exit") : [owner.process.exitCode];
    expect(code).toBe(0);
    const session = await open();
    expect([session.epoch, session.fresh]).toEqual([2, false]);
    await session.close();
  });

  test("is judged by its process where the path is too long for a socket", async () => {
    const path = join(directory, "long".repeat(40));
    const owner = await child("hold", path);
    await rejectsCode("LOCKED", () => open({}, path));
    expect(fs.readdirSync(path).some((name) => name.endsWith(".sock"))).toBe(false);
    await end(owner, "SIGKILL");
    const session = await open({}, path);
    expect(session.epoch).toBe(2);
    await session.close();
  });
});

test("of many that race over a dead owner exactly one wins, and the epochs rise", async () => {
  await end(await child("hold"), "SIGKILL");
  let last = 1;
  for (let round = 0; round < 4; round += 1) {
    const startAt = Date.now() + 700;
    const racers = await Promise.all(Array.from({ length: 6 }, () => child("hold", directory, startAt)));
    const winners = racers.filter((racer) => racer.report.epoch !== undefined);
    expect(winners).toHaveLength(1);
    expect(racers.filter((racer) => racer.report.code === "LOCKED")).toHaveLength(5);
    const epoch = winners[0]?.report.epoch ?? 0;
    expect(epoch).toBeGreaterThan(last);
    last = epoch;
    await Promise.all(racers.map((racer) => end(racer, round % 2 === 0 ? "SIGKILL" : "close")));
  }
});

/** What a worker runs to own the directory until it is terminated. */
function ownerScript(): string {
  const module = pathToFileURL(join(built, "adapters/node-fs.js")).href;
  return `import(${JSON.stringify(module)}).then(async ({ nodeFs }) => {
    globalThis.session = await nodeFs(${JSON.stringify(directory)}).open({ readOnly: false });
    const { parentPort } = await import("node:worker_threads");
    parentPort.on("message", () => {});
    parentPort.postMessage(globalThis.session.epoch);
  });`;
}

describe("within one process", () => {
  test("two copies of the package know of each other", async () => {
    const copy = (await import(pathToFileURL(join(built, "adapters/node-fs.js")).href)) as { nodeFs: typeof nodeFs };
    const session = await copy.nodeFs(directory).open({ readOnly: false });
    const link = `${directory}-link`;
    fs.symlinkSync(directory, link);
    await rejectsCode("LOCKED", () => open({ takeOver: true }));
    await rejectsCode("LOCKED", () => open({}, link));
    fs.unlinkSync(link);
    await session.close();
    await (await open()).close();
  });

  test("a worker keeps others out until it is terminated", async () => {
    const worker = new Worker(ownerScript(), { eval: true });
    expect(await once(worker, "message")).toEqual([1]);
    await rejectsCode("LOCKED", () => open());
    await worker.terminate();
    const session = await open();
    expect(session.epoch).toBe(2);
    await session.close();
  });

  test("a worker whose socket has lost its name is still found alive", async () => {
    const worker = new Worker(ownerScript(), { eval: true });
    await once(worker, "message");
    for (const name of fs.readdirSync(directory)) if (name.endsWith(".sock")) fs.unlinkSync(join(directory, name));
    await rejectsCode("LOCKED", () => open());
    await worker.terminate();
    await (await open()).close();
  });

  test("a directory that was removed under its owner leaves nothing behind", async () => {
    const session = await open();
    fs.rmSync(directory, { recursive: true });
    fs.mkdirSync(directory);
    const other = await open();
    expect(other.epoch).toBe(1);
    await session.close();
    await rejectsCode("LOCKED", () => open());
    await other.close();
  });
});

describe("a lock that was left", () => {
  beforeEach(async () => {
    await (await open()).close();
  });

  test("stays, says that it was released, and is removed by the next owner only", async () => {
    expect(locks()).toEqual(["lock.1"]);
    expect(JSON.parse(fs.readFileSync(join(directory, "lock.1"), "utf8"))).toMatchObject({ released: true });
    const session = await open();
    expect(locks()).toEqual(["lock.2"]);
    await session.close();
    expect(fs.readdirSync(directory)).toEqual(["lock.2"]);
  });

  test("is removed, and what a command may be writing there is not", async () => {
    const names = [".holdfast-0123456789ab.tmp", "lock.0123456789abcdef.tmp"];
    for (const name of names) fs.writeFileSync(join(directory, name), "");
    await (await open()).close();
    expect(names.filter((name) => fs.existsSync(join(directory, name)))).toEqual([names[0]]);
  });

  test("from before a restart of this machine is taken over", async () => {
    forge({ bootId: "11111111-0000-0000-0000-000000000000", pid: 1 });
    const session = await open();
    expect(session.epoch).toBe(2);
    await session.close();
  });

  test("from what may be another machine is refused, unless told otherwise", async () => {
    forge({ bootId: "11111111-0000-0000-0000-000000000000", host: "elsewhere" });
    vi.spyOn(fs, "statfsSync").mockReturnValue({ type: 0x6969 } as ReturnType<typeof fs.statfsSync>);
    const error = await rejectsCode("LOCKED", () => open());
    expect(error.message).toContain("takeOver");
    expect(error.details["host"]).toBe("elsewhere");
    const session = await open({ takeOver: true });
    expect(session.epoch).toBe(2);
    await session.close();
  });

  test("of a process whose number was given to another is taken over", async () => {
    forge({ pid: process.pid, startTime: "1", socket: "" });
    await (await open()).close();
  });

  test("of a living process whose socket was lost is refused, unless told otherwise", async () => {
    forge({ pid: process.ppid, startTime: startTimeOf(process.ppid), socket: "gone.sock" });
    await rejectsCode("LOCKED", () => open());
    await (await open({ takeOver: true })).close();
  });

  test("that cannot be read is refused, unless told otherwise", async () => {
    fs.writeFileSync(join(directory, "lock.1"), "{");
    await rejectsCode("LOCKED", () => open());
    const session = await open({ takeOver: true });
    expect(session.epoch).toBe(2);
    await session.close();
  });

  test("that is a link is not followed", async () => {
    fs.symlinkSync("/etc/hostname", join(directory, "lock.9"));
    await rejectsCode("STORE_FAILED", () => open());
  });

  test("with the last epoch there is ends the database", async () => {
    fs.renameSync(join(directory, "lock.1"), join(directory, `lock.${2 ** 32 - 1}`));
    await rejectsCode("STORE_FAILED", () => open());
  });

  test("is taken where files cannot be linked", async () => {
    vi.spyOn(fs, "linkSync").mockImplementation(() => {
      throw Object.assign(new Error("no links here"), { code: "EPERM" });
    });
    const session = await open();
    expect(session.epoch).toBe(2);
    expect(locks()).toEqual(["lock.2"]);
    await session.close();
  });
});

/** Listens at a name in the directory, or leaves there what refuses. */
async function socketAt(name: string, state: "listens" | "refuses"): Promise<Server> {
  const path = join(directory, name);
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  if (state === "refuses") {
    // Closing takes the name away; under another name it stays, with nobody behind it.
    fs.linkSync(path, `${path}.kept`);
    await new Promise((resolve) => server.close(resolve));
    fs.renameSync(`${path}.kept`, path);
  }
  return server;
}

// Containers of LXC and systemd-nspawn have boot ids of their own on one kernel and one file system. An owner in one of them was
// called dead for its boot id, from the host and from other containers, while it lived: a database then had two owners.
describe("an owner under another boot id", () => {
  const KERNEL = "11111111-0000-0000-0000-000000000000";
  const OTHER_BOOTS = [KERNEL, `container:${KERNEL}`];

  beforeEach(async () => {
    await (await open()).close();
  });

  test.each(OTHER_BOOTS)("is alive if its socket answers (%s)", async (bootId) => {
    const server = await socketAt("0badcafe.sock", "listens");
    forge({ bootId, socket: "0badcafe.sock", pid: 1, pidNamespace: "pid:[1]", host: "elsewhere" });
    const error = await rejectsCode("LOCKED", () => open({ takeOver: true }));
    expect(error.details["reason"]).toContain("answers");
    await new Promise((resolve) => server.close(resolve));
  });

  test.each(OTHER_BOOTS)("is taken over if its socket refuses (%s)", async (bootId) => {
    await socketAt("0badcafe.sock", "refuses");
    forge({ bootId, socket: "0badcafe.sock", pid: 1, pidNamespace: "pid:[1]", host: "elsewhere" });
    const session = await open();
    expect(session.epoch).toBe(2);
    await session.close();
  });

  test("is refused if its socket refuses where another machine may have the files too", async () => {
    await socketAt("0badcafe.sock", "refuses");
    forge({ bootId: KERNEL, socket: "0badcafe.sock", pid: 1 });
    vi.spyOn(fs, "statfsSync").mockReturnValue({ type: 0x6969 } as ReturnType<typeof fs.statfsSync>);
    await rejectsCode("LOCKED", () => open());
    await (await open({ takeOver: true })).close();
  });

  test("without a socket is taken over if both are of kernels, whatever its namespace", async () => {
    forge({ bootId: KERNEL, socket: "gone.sock", pidNamespace: "pid:[1]" });
    await (await open()).close();
  });

  test.each(["pid:[1]", ""])(
    "without a socket in a container elsewhere (%s) is for a person to settle",
    async (pidNamespace) => {
      for (const socket of ["gone.sock", ""]) {
        forge({ bootId: `container:${KERNEL}`, socket, pidNamespace });
        await rejectsCode("LOCKED", () => open());
      }
      await (await open({ takeOver: true })).close();
    },
  );

  test("without a socket in the same namespace is judged by its process", async () => {
    const startTime = startTimeOf(process.ppid);
    forge({ bootId: `container:${KERNEL}`, socket: "gone.sock", pid: process.ppid, startTime });
    await rejectsCode("LOCKED", () => open());
    forge({ bootId: `container:${KERNEL}`, socket: "gone.sock", pid: process.ppid, startTime: "1" });
    await (await open()).close();
  });

  test("that a container has mounted over the kernel's is told from it, from both sides", async ({ skip }) => {
    const id = join(directory, "boot_id");
    fs.writeFileSync(id, `${KERNEL}\n`);
    const mounted = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
    const contained = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", mounted, id];
    const [unshare = "", ...given] = contained;
    if (spawnSync(unshare, [...given, "true"]).status !== 0) return skip("namespaces need Linux and root");
    const owner = await start([...contained, ...scriptOf("hold")]);
    expect(owner.report).toMatchObject({ epoch: 2 });
    const record = JSON.parse(fs.readFileSync(join(directory, "lock.2"), "utf8")) as OwnerRecord;
    expect(record.bootId).toBe(`container:${KERNEL}`);
    await rejectsCode("LOCKED", () => open({ takeOver: true }));
    fs.renameSync(join(directory, record.socket), join(directory, "aside"));
    await rejectsCode("LOCKED", () => open());
    fs.renameSync(join(directory, "aside"), join(directory, record.socket));
    await end(owner, "close");
    const session = await open();
    const inside = await start([...contained, ...scriptOf("hold")]);
    expect(inside.report).toMatchObject({ code: "LOCKED", details: { reason: "it answers on its socket" } });
    await session.close();
  });
});

// With a long name for its directory a socket's address was cut off at the directory, which refuses as whatever is no socket does.
test("an owner that is reached by a path that is too long for its socket is not called dead for it", async () => {
  const inner = join(directory, "inner");
  const owner = await child("hold", inner);
  const long = join(directory, "x".repeat(107 - directory.length - 1));
  fs.renameSync(inner, long);
  const error = await rejectsCode("LOCKED", () => open({}, long));
  expect(error.details["pid"]).toBe(owner.process.pid);
  await end(owner, "SIGKILL");
  await (await open({}, long)).close();
});

// Elsewhere than on Linux a socket refuses also while too many wait at it: a living owner that was blocked was called dead.
describe("a socket that refuses", () => {
  async function verdictOn(name: string, ended: boolean): Promise<string> {
    const kill = (): void => {
      if (ended) throw Object.assign(new Error("no such process"), { code: "ESRCH" });
    };
    const node = { ...platform(), name, kill };
    const own = { ...ownRecord(node), bootId: "", startTime: "", pidNamespace: "" };
    return (await judge(node, directory, { ...own, pid: 12_345, socket: "0badcafe.sock" }, own)).state;
  }

  beforeEach(async () => {
    await socketAt("0badcafe.sock", "refuses");
  });

  test.each(["darwin", "freebsd", "openbsd"])("is no proof on %s while there is such a process", async (name) => {
    expect(await verdictOn(name, false)).toBe("undecidable");
    expect(await verdictOn(name, true)).toBe("dead");
  });

  // Bun connects to a socket at which too many wait, and says that it refuses: a living owner was called dead.
  test.each([
    ["EAGAIN", "answers"],
    ["ECONNREFUSED", "dead"],
    ["FailedToOpenSocket", "undecidable"],
  ])("is asked for its reason by Bun (%s)", async (code, verdict) => {
    const ask = vi.fn(() => Promise.reject(Object.assign(new Error("refused"), { code })));
    vi.stubGlobal("Bun", {});
    vi.stubGlobal("fetch", ask);
    expect(await verdictOn("linux", false)).toBe(verdict);
    expect(ask).toHaveBeenCalledWith(
      expect.any(String),
      expect.objectContaining({ unix: join(directory, "0badcafe.sock") }),
    );
  });

  test.each(["linux", "android"])("is proof on %s", async (name) => {
    expect(await verdictOn(name, false)).toBe("dead");
  });
});

/** What a worker of a cluster runs: it owns the directory, and has no turn for anything else until it is killed. */
const CLUSTER = `
import cluster from "node:cluster";
import { writeSync } from "node:fs";
const [module, path] = process.argv.slice(2);
if (cluster.isPrimary) cluster.fork();
else {
  const { nodeFs } = await import(module);
  globalThis.session = await nodeFs(path).open({ readOnly: false });
  // In one turn: once it is heard of, its primary is killed, and it must not come to notice that.
  writeSync(1, JSON.stringify({ epoch: globalThis.session.epoch, details: { pid: process.pid } }) + "\\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20_000);
}
`;

// The primary of a cluster listened for its workers. Once it was killed the socket of a worker that lived refused.
test("a worker of a cluster lives longer than its primary", async () => {
  const script = join(built, "cluster.mjs");
  fs.writeFileSync(script, CLUSTER);
  const module = pathToFileURL(join(built, "adapters/node-fs.js")).href;
  const primary = await start([process.execPath, script, module, directory]);
  expect(primary.report.epoch).toBe(1);
  const pid = Number(primary.report.details?.["pid"]);
  try {
    await end(primary, "SIGKILL");
    const error = await rejectsCode("LOCKED", () => open({ takeOver: true }));
    expect(error.details["pid"]).toBe(pid);
  } finally {
    process.kill(pid, "SIGKILL");
  }
  await vi.waitFor(async () => (await open()).close());
});

describe("an owner that closes where its record cannot be written anew", () => {
  // It stayed the owner, by its record, for as long as its process lived: others were LOCKED out of a database that was closed.
  async function isFree(path: string, epoch: number): Promise<void> {
    const next = await child("hold", path);
    expect(next.report).toMatchObject({ epoch });
    await end(next, "close");
  }

  const recordIn = (path: string, name: string): string => fs.readFileSync(join(path, name), "utf8");

  /** Mounts a disk of so few bytes; undefined where this process may not. */
  function smallDisk(): string | undefined {
    const path = join(directory, "disk");
    fs.mkdirSync(path);
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", path]);
    return status === 0 ? path : undefined;
  }

  test("says so in the record that is there, on a full disk", async ({ skip }) => {
    const path = smallDisk();
    if (path === undefined) return skip("mounting a file system needs Linux and root");
    try {
      const session = await open({}, path);
      const fd = fs.openSync(join(path, "filler"), "w");
      expect(() => {
        for (;;) fs.writeSync(fd, new Uint8Array(4096));
      }).toThrow("ENOSPC");
      fs.closeSync(fd);
      const held = recordIn(path, "lock.1");
      await session.close();
      const released = recordIn(path, "lock.1");
      expect(released).toHaveLength(held.length);
      expect(JSON.parse(released)).toEqual({ ...(JSON.parse(held) as object), released: true });
      fs.rmSync(join(path, "filler"));
      await isFree(path, 2);
    } finally {
      spawnSync("umount", ["-l", path]);
    }
  });

  test("says so in the record that is there, where the new one's name is taken", async () => {
    const session = await open();
    const held = JSON.parse(recordIn(directory, "lock.1")) as { nonce: string };
    fs.mkdirSync(join(directory, `lock.${held.nonce}.tmp`));
    await session.close();
    expect(JSON.parse(recordIn(directory, "lock.1"))).toEqual({ ...held, released: true });
    await isFree(directory, 2);
  });

  test("leaves a record as it is that is not as it has written it", async () => {
    const session = await open();
    const held = JSON.parse(recordIn(directory, "lock.1")) as { nonce: string };
    const changed = JSON.stringify({ ...held, released: false, since: "long ago" });
    fs.writeFileSync(join(directory, "lock.1"), changed);
    fs.mkdirSync(join(directory, `lock.${held.nonce}.tmp`));
    await session.close();
    expect(recordIn(directory, "lock.1")).toBe(changed);
  });
});

test("an owner that was overtaken notices before it makes a segment", async () => {
  const reasons: string[] = [];
  const session = await nodeFs(directory).open({ readOnly: false, onLockedOut: (reason) => reasons.push(reason) });
  session.createSegmentSync(1, new Uint8Array(1));
  fs.copyFileSync(join(directory, "lock.1"), join(directory, "lock.2"));
  await rejectsCode("STORE_FAILED", () => session.createSegment(2, new Uint8Array(1)));
  await rejectsCode("STORE_FAILED", () => session.append(new Uint8Array(1)));
  expect(reasons).toHaveLength(1);
  await session.close();
});
