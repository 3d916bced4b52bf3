/**
 * The command line as a user runs it: processes of their own over real directories, judged by exit code, by what they print and
 * by what they leave behind. The owner that some of them have beside them is this test's process.
 *
 * What docs/CLI.md shows is run and compared, but for figures that depend on the machine.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_MEANINGS, exitCodeOf } from "../../src/cli/exit-codes.js";
import { jsonText, toJson } from "../../src/cli/json-values.js";
import { nearest, printable, shortened } from "../../src/cli/text.js";
import { Database, HoldfastError, type Value } from "../../src/index.js";
import { serverRuntimes } from "../runtimes/install.mjs";
import { makeExample } from "../support/cli-example.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(ROOT, "dist/cli/main.js");
const DOCS = fs.readFileSync(join(ROOT, "docs/CLI.md"), "utf8");
const PATIENCE_MS = 20_000;
/** The table of a graph's index. */
const INDEX = 12;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

let place: string;

beforeAll(async () => {
  place = fs.mkdtempSync(join(tmpdir(), "hf-cli-test-"));
  await makeExample(join(place, "agent-state"));
  await owning("large", async (db) => {
    const filler = "x".repeat(1000);
    db.run("large").transaction(({ kv, events }) => {
      for (let i = 0; i < 3000; i++) kv.put(`key-${i}`, filler);
      for (let i = 0; i < 3000; i++) events.append("e", filler);
    });
  });
});

afterAll(() => {
  fs.rmSync(place, { recursive: true, force: true });
});

function start(args: readonly string[], node: readonly string[] = []): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [...node, MAIN, ...args], { cwd: place });
}

function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // It may have ended before it has read all.
    child.stdin.on("error", () => {});
    child.once("error", reject);
    child.once("close", (code) => {
      const bytes = Buffer.concat(stdout);
      resolve({ code, stdout: bytes.toString(), stderr: Buffer.concat(stderr).toString(), bytes });
    });
  });
}

/** Runs a command to its end. */
function holdfast(args: readonly string[], input: Uint8Array | string = ""): Promise<Outcome> {
  const child = start(args);
  child.stdin.end(input);
  return outcomeOf(child);
}

/** The outcome of a command that has to work: nothing but data, without colours. */
async function ok(args: readonly string[], input?: Uint8Array | string): Promise<Outcome> {
  const outcome = await holdfast(args, input);
  expect({ code: outcome.code, stderr: outcome.stderr }, args.join(" ")).toEqual({ code: 0, stderr: "" });
  expect(outcome.stdout).not.toContain("\u001b[");
  return outcome;
}

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await ok([...args, "--json"])).stdout);
}

/** What a command that has to fail says of it. */
async function failure(args: readonly string[], input?: Uint8Array | string) {
  const { code, stdout, stderr } = await holdfast([...args, "--json"], input);
  expect(stdout).toBe("");
  const { error } = JSON.parse(stderr);
  return { exit: code, code: error.code as string, message: error.message as string, details: error.details };
}

/** Waits until something that is written elsewhere is there. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (const began = performance.now(); !holds(); ) {
    if (performance.now() - began > PATIENCE_MS) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A database that this process owns until the work is done. */
async function owning(name: string, work: (db: Database, path: string) => Promise<void>): Promise<void> {
  const path = join(place, name);
  const db = await Database.open(path);
  try {
    await work(db, path);
  } finally {
    await db.close();
  }
}

/** What depends on the machine, and on how the core lays out its memory, is of one kind. */
function steady(text: string): string {
  return text
    .replaceAll(/^(runtime|file system|database|sync) .*$/gm, "$1 #")
    .replaceAll(/\b(Node|Deno|Bun) v?[\d.]+/g, "#")
    .replaceAll(/[\d.]+ (B|[KMG]iB|ns|µs|ms|s)\b/g, "#")
    .replaceAll(/[\d,]+\/s/g, "#")
    .replaceAll(/^! .*\n/gm, "")
    .replaceAll("all lost: files are in memory", "nothing acknowledged is lost")
    .replaceAll(/ {2,}/g, "  ")
    .trimEnd();
}

describe("docs/CLI.md", () => {
  const shown = [...DOCS.matchAll(/```console\n([\s\S]*?)```/g)].flatMap(([, body = ""]) =>
    body
      .split(/^\$ npx holdfast /m)
      .slice(1)
      .map((part) => ({ line: part.slice(0, part.indexOf("\n")), output: part.slice(part.indexOf("\n") + 1) })),
  );

  test("shows every command but one that never ends by itself", () => {
    const names = new Set(shown.map(({ line }) => line.split(" ")[0]));
    for (const name of [
      "inspect",
      "get",
      "events",
      "verify",
      "dump",
      "export",
      "import",
      "compact",
      "bench",
      "doctor",
    ]) {
      expect(names, name).toContain(name);
      expect(DOCS).toMatch(new RegExp(`^## .*\\b${name}\\b`, "m"));
    }
  });

  test("has the exit codes that there are", () => {
    for (const [code, meaning] of EXIT_MEANINGS) expect(DOCS).toContain(`| ${code} | ${meaning} |`);
  });

  test.each(shown)("holdfast $line", async ({ line, output }) => {
    const { stdout, stderr } = await holdfast(line.split(" "));
    expect(steady(stdout + stderr)).toBe(steady(output));
  });
});

describe("a line that cannot be followed", () => {
  test("names the command or the option that was probably meant, or what is missing", async () => {
    const [command, option, missing, surplus, number, raw, interval, none] = await Promise.all([
      failure(["exprot", "agent-state"]),
      failure(["events", "agent-state", "run-1", "--folow"]),
      failure(["get", "agent-state", "run-1"]),
      failure(["verify", "agent-state", "b"]),
      failure(["events", "agent-state", "run-1", "--limit", "-1x"]),
      failure(["get", "agent-state", "run-1", "note", "--raw"]),
      failure(["events", "agent-state", "run-1", "--follow", "--interval", "2147483648"]),
      holdfast([]),
    ]);
    expect(command).toMatchObject({ exit: 2, code: "INVALID_ARGUMENT", details: { nearest: "export" } });
    expect(option).toMatchObject({ exit: 2, message: expect.stringContaining("did you mean --follow?") });
    expect(missing.message).toContain("KEY is missing");
    expect(surplus.message).toContain("There is no place for b");
    expect(number).toMatchObject({ exit: 2 });
    expect(raw).toMatchObject({ exit: 2, message: expect.stringContaining("--raw and --json exclude one another") });
    // A timer that is to wait longer than this waits for one millisecond.
    expect(interval).toMatchObject({ exit: 2, message: expect.stringContaining("at most 2147483647") });
    expect(none).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("inspect DIR [RUN]") });
  });

  test("is told from a call for help", async () => {
    const [help, one, version, forPrograms, again] = await Promise.all([
      json(["help"]),
      ok(["compact", "--help"]),
      ok(["--version"]),
      json(["compact", "--help"]),
      json(["help", "compact"]),
    ]);
    expect(forPrograms).toMatchObject({ commands: [{ name: "compact" }] });
    expect(forPrograms).toEqual(again);
    expect((help["commands"] as unknown[]).length).toBe(10);
    expect(one.stdout).toContain("holdfast compact DIR [--json]");
    const { version: packaged } = JSON.parse(fs.readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(version.stdout).toBe(`${packaged}\n`);
  });
});

describe("where there is no database", () => {
  test("says so, and makes none", async () => {
    fs.mkdirSync(join(place, "empty"));
    fs.writeFileSync(join(place, "file"), "no directory");
    const outcomes = await Promise.all(
      ["nowhere", "empty", "file"].flatMap((name) => [failure(["inspect", name]), failure(["compact", name])]),
    );
    expect(outcomes.map(({ exit, code }) => [exit, code])).toEqual([
      ...Array(4).fill([3, "NOT_FOUND"]),
      ...Array(2).fill([8, "STORE_FAILED"]),
    ]);
    expect(fs.readdirSync(join(place, "empty"))).toEqual([]);
    expect(fs.existsSync(join(place, "nowhere"))).toBe(false);
  });
});

describe("what is read", () => {
  test("is whole in a document of one run, and of all", async () => {
    const [all, one] = await Promise.all([json(["inspect", "agent-state"]), json(["inspect", "agent-state", "run-1"])]);
    expect(all).toMatchObject({
      storage: { kind: "files", mechanism: "fdatasync", segments: { files: 1 } },
      stats: { runs: 2, entries: 15 },
      runs: [
        { id: "run-1", kv: 2, events: 3, state: 1, traces: 4, nodes: 2, edges: 1, info: { status: "active" } },
        { id: "run-2", kv: 1, info: null },
      ],
    });
    const tree = one["traceTree"] as { id: string; depth: number }[];
    expect(tree.map(({ id, depth }) => [id, depth])).toEqual([
      ["t1", 0],
      ["t2", 1],
      ["t3", 2],
      ["t4", 1],
    ]);
  });

  test("is cut where it is asked to be, and says so", async () => {
    const [cut, shallow] = await Promise.all([
      ok(["inspect", "agent-state", "run-1", "--limit", "2"]),
      json(["inspect", "agent-state", "run-1", "--depth", "1"]),
    ]);
    expect(cut.stdout).toContain("… 4 traces in all; --limit 0 shows them\n");
    expect(shallow["traceTree"]).toMatchObject([{ id: "t1" }]);
  });

  test("comes by every place that it can be in", async () => {
    const get = (...args: string[]): Promise<Outcome> => ok(["get", "agent-state", "run-1", ...args]);
    const [event, node, edge, raw] = await Promise.all([
      get("1", "--in", "event"),
      get("2", "--in", "node", "--json"),
      get("3", "--in", "edge", "--json"),
      get("note", "--raw"),
    ]);
    expect(JSON.parse(event.stdout)).toEqual({ file: "b.ts", line: 9 });
    expect(JSON.parse(node.stdout)).toMatchObject({ id: 2, labels: ["function"], properties: { name: "parse" } });
    expect(JSON.parse(edge.stdout)).toMatchObject({ id: 3, source: 2, target: 1, type: "in" });
    expect(raw.stdout).toBe("look at the parser first");
    const missing = await Promise.all([
      failure(["get", "agent-state", "run-3", "note"]),
      failure(["get", "agent-state", "run-1", "note", "--in", "heap"]),
      failure(["events", "agent-state", "run-3"]),
    ]);
    expect(missing.map(({ exit }) => exit)).toEqual([3, 2, 3]);
  });

  test("is all there in a dump, each item once", async () => {
    const [{ stdout }, once, twice] = await Promise.all([
      ok(["dump", "agent-state"]),
      ok(["dump", "agent-state", "--run=run-2"]),
      ok(["dump", "agent-state", "--run=run-2", "--run=run-2"]),
    ]);
    expect(twice.stdout).toBe(once.stdout);
    const items = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const places = items.map(
      (item) => `${item.run} ${item.in} ${item.key ?? item.name ?? item.sequence ?? item.id ?? ""}`,
    );
    expect(places).toEqual([
      "run-1 info ",
      "run-1 kv note",
      "run-1 kv plan",
      "run-1 state cursor",
      ...[0, 1, 2].map((sequence) => `run-1 event ${sequence}`),
      ...["t1", "t2", "t3", "t4"].map((id) => `run-1 trace ${id}`),
      ...["node 1", "node 2", "edge 3"].map((id) => `run-1 ${id}`),
      "run-2 kv draft",
    ]);
    expect(items[2].value).toEqual({
      goal: "find the leak",
      budget: { $bigint: String(2n ** 60n) },
      seal: { $bytes: "3q0=" },
    });
  });
});

/** Has a command say on standard error when it has read a log. */
const LOOKED = `data:text/javascript,${encodeURIComponent(`
  import fs from "node:fs";
  const { closeSync, openSync } = fs;
  let log;
  fs.openSync = (path, ...how) => {
    const fd = openSync(path, ...how);
    if (String(path).endsWith(".log")) log = fd;
    return fd;
  };
  fs.closeSync = (fd) => {
    closeSync(fd);
    if (fd === log) process.stderr.write("looked ");
  };`)}`;

describe("beside a live owner", () => {
  test("what reads works, and what writes is LOCKED with the owner's process", async () => {
    await owning("owned", async (db) => {
      db.run("live").kv.put("key", "value");
      const [compact, again, seen, dumped] = await Promise.all([
        failure(["compact", "owned"]),
        failure(["import", "owned", "-"], "no export"),
        ok(["get", "owned", "live", "key"]),
        ok(["dump", "owned"]),
      ]);
      expect(compact).toMatchObject({ exit: 4, code: "LOCKED", details: { pid: process.pid } });
      expect(again).toMatchObject({ exit: 4, code: "LOCKED" });
      expect(seen.stdout).toBe("value\n");
      expect(dumped.stdout).toBe('{"run":"live","in":"kv","key":"key","version":1,"value":"value"}\n');
      db.run("live").kv.put("key", "the lock is where it was");
    });
  });

  test("--follow gives what the owner appends, once and in order, across a checkpoint and a run that begins anew", async () => {
    await owning("followed", async (db) => {
      db.run("other").kv.put("key", 1);
      const child = start(["events", "followed", "live", "--follow", "--interval", "10", "--json", "--limit", "7"]);
      const ended = outcomeOf(child);
      let seen = "";
      child.stdout.on("data", (chunk) => {
        seen += chunk;
      });
      const lines = (): number => seen.split("\n").length - 1;
      const append = (...payloads: Value[]): void => {
        for (const payload of payloads) db.run("live").events.append("tick", payload);
      };
      // The run is not there when it begins.
      append(0, 1);
      await until("the first two", () => lines() === 2);
      append(2);
      await db.checkpoint();
      append(3);
      await until("four", () => lines() === 4);
      db.deleteRun("live");
      append("anew 0", "anew 1", "anew 2");
      const { code, stdout, stderr } = await ended;
      const events = stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(events.map(({ sequence, payload }) => [sequence, payload])).toEqual([
        ...[0, 1, 2, 3].map((n) => [n, n]),
        ...[0, 1, 2].map((n) => [n, `anew ${n}`]),
      ]);
      expect(code).toBe(0);
      expect(JSON.parse(stderr)).toMatchObject({ notice: { kind: "begun-anew" } });
    });
  });

  for (const place of [
    ["--last", "0"],
    ["--from", "3"],
  ]) {
    test(`--follow ${place.join(" ")} notices a run that begins anew before it has given anything`, async () => {
      const name = `followed${place.join("")}`;
      await owning(name, async (db) => {
        const append = (...payloads: string[]): void => {
          for (const payload of payloads) db.run("live").events.append("tick", payload);
        };
        append("old 0", "old 1", "old 2");
        const following = ["events", name, "live", "--follow", "--interval", "10", "--json", "--limit", "2", ...place];
        const child = start(following, ["--import", LOOKED]);
        const ended = outcomeOf(child);
        // It has looked once it closes what it has read.
        await new Promise((resolve) => child.stderr.once("data", resolve));
        db.deleteRun("live");
        append("anew 0", "anew 1");
        const { code, stdout, stderr } = await ended;
        const lines = stdout.trimEnd().split("\n");
        expect(lines.map((line) => JSON.parse(line).payload)).toEqual(["anew 0", "anew 1"]);
        expect(stderr).toContain("begun-anew");
        expect(code).toBe(0);
      });
    });
  }

  test("a reader that goes away ends a command without an error", async () => {
    await owning("large", async () => {
      for (const args of [
        ["dump", "large"],
        ["events", "large", "large"],
        ["export", "large"],
      ]) {
        const child = start(args);
        const ended = outcomeOf(child);
        child.stdout.once("data", () => child.stdout.destroy());
        expect(await ended, args[0]).toMatchObject({ code: 0, stderr: "" });
      }
    });
  });
});

/** Time in which a command has filled the pipe to somebody who does not read. */
const WAITING_MS = 600;

describe("other runtimes", () => {
  const found = serverRuntimes();

  for (const name of ["deno", "bun"])
    test(`${name} prints what Node does, fails as it does, and goes when its reader goes`, async ({ skip }) => {
      const runtime = found.find((one) => one.name === name && one.command !== undefined);
      if (runtime === undefined) return skip(`no ${name} here, which npm test installs`);
      const { command = "", args } = runtime;
      const run = (...line: string[]): ChildProcessWithoutNullStreams =>
        spawn(command, [...args, MAIN, ...line], { cwd: place, env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" } });
      const line = ["inspect", "agent-state", "--json"];
      expect((await outcomeOf(run(...line))).stdout).toBe((await ok(line)).stdout);
      const wrong = await outcomeOf(run("events", "agent-state", "run-1", "--folow"));
      expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean --follow?") });
      const child = run("dump", "large");
      const ended = outcomeOf(child);
      child.stdout.once("data", () => child.stdout.destroy());
      expect(await ended).toMatchObject({ code: 0, stderr: "" });
      // One that goes while the command waits for it leaves something unread.
      const waiting = run("dump", "large");
      let stderr = "";
      waiting.stderr.on("data", (data) => {
        stderr += data;
      });
      const left = new Promise((resolve) => waiting.once("close", resolve));
      waiting.stdout.once("readable", () => setTimeout(() => waiting.stdout.destroy(), WAITING_MS));
      expect(await left).toBe(0);
      expect(stderr).toBe("");
    });
});

describe("damage", () => {
  test("below what was synced is a typed error with the place, and what stands before it can be read", async () => {
    const path = join(place, "damaged");
    const db = await Database.open(path);
    for (let i = 0; i < 50; i++) db.run("run").kv.put(`key-${i}`, "x".repeat(100));
    await db.close();
    const [segment = ""] = fs.readdirSync(path).filter((name) => name.endsWith(".log"));
    const content = fs.readFileSync(join(path, segment));
    content[content.length >> 1]! ^= 0xff;
    fs.writeFileSync(join(path, segment), content);
    const [verified, salvaged] = await Promise.all([
      failure(["verify", "damaged"]),
      holdfast(["dump", "damaged", "--salvage"]),
    ]);
    expect(verified).toMatchObject({ exit: 5, code: "CORRUPTION", details: { segment: 1 } });
    expect(verified.message).toContain("--salvage");
    expect(salvaged).toMatchObject({ code: 0, stderr: expect.stringContaining("commits before the damage") });
    const lines = salvaged.stdout.trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.length).toBeLessThan(50);
    expect(fs.readFileSync(join(path, segment))).toEqual(content);
  });

  test("is the exit code also where nobody reads what is printed of it", async () => {
    await owning("dangling", async (db) => {
      // More than is handed over at once.
      for (let runs = 0; runs < 20; runs++) {
        const { writer } = db.run(`${"long".repeat(60)} ${runs}`);
        for (let i = 0; i < 150; i++) writer.put(INDEX, `o${i}\0`, null, { durability: "in-memory" });
      }
    });
    const child = start(["verify", "dangling"]);
    const ended = outcomeOf(child);
    child.stdout.destroy();
    expect(await ended).toMatchObject({ code: 5, stderr: "" });
    const { code, stdout } = await holdfast(["verify", "dangling"]);
    expect({ code, hasProblems: stdout.includes("graph: ") }).toEqual({ code: 5, hasProblems: true });
  });

  test("by a sector that cannot be read is told with its place, and what stands before it can be had", async () => {
    const path = join(place, "bad-sector");
    const db = await Database.open(path);
    for (let i = 0; i < 50; i++) db.run("run").kv.put(`key-${i}`, "x".repeat(100));
    await db.close();
    // As Linux has it: a read goes as far as the sector, and the next one fails.
    const preload = `
      import fs from "node:fs";
      const { openSync, readSync } = fs;
      let log;
      fs.openSync = (path, ...how) => {
        const fd = openSync(path, ...how);
        if (String(path).endsWith(".log")) log = fd;
        return fd;
      };
      fs.readSync = (fd, into, offset, length, position) => {
        if (fd !== log || position >= 4608) return readSync(fd, into, offset, length, position);
        if (position >= 4096) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
        return readSync(fd, into, offset, Math.min(length, 4096 - position), position);
      };`;
    const damaged = ["--import", `data:text/javascript,${encodeURIComponent(preload)}`];
    const outcomes = [
      ["export", "bad-sector", "bad.hf", "--json"],
      ["export", "bad-sector", "good.hf", "--salvage"],
      ["inspect", "bad-sector", "--salvage", "--json"],
    ].map((args) => outcomeOf(start(args, damaged)));
    const [plain, exported, inspected] = (await Promise.all(outcomes)) as [Outcome, Outcome, Outcome];
    expect(plain.code).toBe(8);
    const { error } = JSON.parse(plain.stderr);
    expect(error).toMatchObject({ code: "STORE_FAILED", details: { segment: 1, offset: 4096 } });
    expect(error.message).toContain("EIO");
    expect(error.message).toContain("--salvage");
    expect(exported).toMatchObject({ code: 0, stderr: expect.stringContaining("could not be read at byte 4096") });
    expect(JSON.parse(inspected.stdout).salvaged.damage).toContain("Segment 1 could not be read at byte 4096");
    await ok(["import", "bad-sector-copy", "good.hf"]);
    const { stdout } = await ok(["dump", "bad-sector-copy"]);
    expect(stdout.trimEnd().split("\n").length).toBeGreaterThan(15);
  });

  test("of a log behind a checkpoint leaves the checkpoint, and of the checkpoint leaves nothing to salvage", async () => {
    const path = join(place, "half");
    const db = await Database.open(path);
    const put = (from: number, to: number): void => {
      for (let i = from; i < to; i++) db.run("run").kv.put(`key-${i}`, "x".repeat(100));
    };
    put(0, 20);
    await db.checkpoint();
    put(20, 40);
    await db.close();
    const damage = (ending: string, at: (length: number) => number): void => {
      const name = fs.readdirSync(path).find((one) => one.endsWith(ending)) ?? "";
      const content = fs.readFileSync(join(path, name));
      content[at(content.length)]! ^= 0xff;
      fs.writeFileSync(join(path, name), content);
    };
    // The first record behind the header.
    damage(".log", () => 200);
    const salvaged = await holdfast(["dump", "half", "--salvage", "--json"]);
    const { notice } = JSON.parse(salvaged.stderr);
    expect(notice).toMatchObject({ kind: "salvaged" });
    expect(notice.message).toContain("read the checkpoint and 0 commits before the damage");
    expect(salvaged.stdout.trimEnd().split("\n").length).toBe(20);
    damage(".ckp", (length) => length >> 1);
    const outcomes = await Promise.all([failure(["dump", "half"]), failure(["export", "half", "x.hf", "--salvage"])]);
    for (const { exit, code, message } of outcomes) {
      expect({ exit, code }).toEqual({ exit: 5, code: "CORRUPTION" });
      expect(message).toContain("Restore the file from a copy. --salvage gets nothing out of it");
      expect(message).not.toContain("holdfast export");
    }
  });
});

describe("moving", () => {
  test("an export goes through a pipe, and is refused where something is or what it is is none", async () => {
    const [{ bytes }, before] = await Promise.all([ok(["export", "agent-state"]), ok(["dump", "agent-state"])]);
    await ok(["import", "piped"], bytes);
    fs.mkdirSync(join(place, "mine"));
    fs.writeFileSync(join(place, "mine", "note"), "stays");
    const [after, verified, again, none, file, other] = await Promise.all([
      ok(["dump", "piped"]),
      json(["verify", "piped"]),
      failure(["import", "piped"], bytes),
      failure(["import", "torn"], bytes.subarray(0, bytes.length - 5)),
      failure(["import", "torn", "not-there"]),
      failure(["import", join("deep", "er")], "x".repeat(5000)),
      failure(["import", "mine"], "no export"),
    ]);
    expect(after.stdout).toBe(before.stdout);
    expect(verified).toEqual({ valid: true, runs: 2, items: 15, problems: [] });
    expect(again).toMatchObject({ exit: 3, code: "ALREADY_EXISTS" });
    expect(none).toMatchObject({ exit: 5, message: expect.stringContaining("Standard input is no whole export") });
    expect(file).toMatchObject({ exit: 3, code: "NOT_FOUND" });
    expect(other).toMatchObject({ exit: 5, code: "CORRUPTION", details: { offset: 0 } });
    expect(other.message).toContain("Standard input is no export of Holdfast, or it is damaged: ");
    expect(other.message).not.toMatch(/checkpoint|restore/i);
    expect(fs.existsSync(join(place, "torn"))).toBe(false);
    expect(fs.existsSync(join(place, "deep"))).toBe(false);
    expect(fs.readdirSync(join(place, "mine"))).toContain("note");
  });

  test.skipIf(process.platform === "win32")("what has no room in the file behind standard output fails", async () => {
    for (const [args, blocks] of [
      [["export", "large"], 100],
      [["export", "agent-state"], 1],
      [["dump", "agent-state"], 1],
    ] as const) {
      const limited = `ulimit -f ${blocks}; exec "$0" "$@" > out`;
      const child = spawn("sh", ["-c", limited, process.execPath, MAIN, ...args, "--json"], { cwd: place });
      const { code, stderr } = await outcomeOf(child);
      expect(code, args.join(" ")).toBe(8);
      expect(JSON.parse(stderr), args.join(" ")).toMatchObject({
        error: { code: "STORE_FAILED", details: { path: "Standard output", system: "EFBIG" } },
      });
    }
  });

  test("a file that is there is kept, unless it is to be replaced", async () => {
    fs.writeFileSync(join(place, "kept"), "mine");
    expect(await failure(["export", "agent-state", "kept"])).toMatchObject({ exit: 3, code: "ALREADY_EXISTS" });
    expect(fs.readFileSync(join(place, "kept"), "utf8")).toBe("mine");
    const report = await json(["export", "agent-state", "kept", "--force"]);
    expect(report).toMatchObject({ file: "kept", runs: 2, bytes: fs.statSync(join(place, "kept")).size });
    expect(fs.readdirSync(place).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("an export never takes a place in the directory of its database, by whichever name that goes", async () => {
    await makeExample(join(place, "own"));
    fs.symlinkSync("own", join(place, "own-by-link"), "junction");
    const before = fs.readdirSync(join(place, "own")).map((name) => fs.readFileSync(join(place, "own", name)));
    const [segment = ""] = fs.readdirSync(join(place, "own")).filter((name) => name.endsWith(".log"));
    const refusals = await Promise.all([
      failure(["export", "own", join("own", "new.hf")]),
      failure(["export", "own", join("own", segment), "--force"]),
      failure(["export", join(place, "own"), join("own-by-link", segment), "--force"]),
      failure(["export", "own-by-link", join("own", "..", "own", segment), "--force"]),
    ]);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ exit: 2, code: "INVALID_ARGUMENT" });
      expect(refusal.message).toContain("in the directory of the database");
    }
    const after = fs.readdirSync(join(place, "own")).map((name) => fs.readFileSync(join(place, "own", name)));
    expect(after).toEqual(before);
    await ok(["export", "own", "new.hf"]);
  });

  test("a place that cannot be is a typed error, and a long name is none", async () => {
    fs.writeFileSync(join(place, "afile"), "no directory");
    const long = "n".repeat(250);
    const [below, tooLong, doctor] = await Promise.all([
      failure(["export", "agent-state", join("afile", "x")]),
      failure(["export", "agent-state", "n".repeat(300)]),
      failure(["doctor", "afile"]),
      ok(["export", "agent-state", long]),
    ]);
    expect(below).toMatchObject({ exit: 8, code: "STORE_FAILED", details: { system: "ENOTDIR" } });
    expect(tooLong).toMatchObject({ exit: 8, code: "STORE_FAILED", details: { system: "ENAMETOOLONG" } });
    expect(doctor).toMatchObject({ exit: 8, code: "STORE_FAILED", details: { system: "ENOTDIR" } });
    expect(fs.existsSync(join(place, long))).toBe(true);
  });

  test.skipIf(process.platform === "win32")("what a signal ends leaves no file that is not finished", async () => {
    fs.mkdirSync(join(place, "beside"));
    const names = (): string[] => fs.readdirSync(join(place, "beside"));
    for (const [args, signal, code] of [
      [["doctor", "beside"], "SIGTERM", 143],
      [["export", "large", join("beside", "large.hf")], "SIGINT", 130],
    ] as const) {
      const child = start(args);
      const ended = outcomeOf(child);
      await until("its file, or its end", () => names().length > 0 || child.exitCode !== null);
      child.kill(signal);
      // A fast disk may have been done before the signal came.
      expect([0, code], args[0]).toContain((await ended).code);
      expect(
        names().filter((name) => name !== "large.hf"),
        args[0],
      ).toEqual([]);
    }
  });

  test("a checkpoint takes the place of a log, and nothing else changes", async () => {
    const db = await Database.open({ path: join(place, "long"), durability: "buffered" });
    for (let i = 0; i < 500; i++) db.run("run").kv.put("key", i);
    await db.close();
    const { bytesBefore, bytesAfter, recovered } = await json(["compact", "long"]);
    expect(Number(bytesAfter)).toBeLessThan(Number(bytesBefore) / 10);
    expect(recovered).toBeNull();
    expect((await ok(["get", "long", "run", "key"])).stdout).toBe("499\n");
  });
});

describe("measuring", () => {
  test("bench and doctor give figures of this machine, and leave nothing behind", async () => {
    const directory = join(place, "measured");
    fs.mkdirSync(directory);
    const [bench, doctor] = [
      await json(["bench", "measured", "--seconds", "0.05"]),
      await json(["doctor", "measured"]),
    ];
    const rows = bench["rows"] as { name: string; nsPerOperation: number }[];
    expect(rows.length).toBe(7);
    for (const { name, nsPerOperation } of rows) expect(nsPerOperation, name).toBeGreaterThan(0);
    expect(doctor).toMatchObject({
      core: "works",
      sharedMemory: "works",
      storage: { kind: "files", mechanism: "fdatasync", syncFlush: true },
      database: "none",
    });
    const { p50Ns, maxNs } = doctor["sync"] as { p50Ns: number; maxNs: number };
    expect(p50Ns).toBeGreaterThan(0);
    expect(maxNs).toBeGreaterThanOrEqual(p50Ns);
    expect((doctor["modes"] as unknown[]).length).toBe(3);
    expect(fs.readdirSync(directory)).toEqual([]);
    expect(await failure(["doctor", "nowhere"])).toMatchObject({ exit: 3, code: "NOT_FOUND" });
  });
});

describe("text", () => {
  /** The inverse of `toJson`, as docs/CLI.md describes it. */
  function fromJson(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(fromJson);
    const entries = Object.entries(value);
    const [key, inner] = entries.length === 1 ? (entries[0] as [string, unknown]) : ["", undefined];
    if (key === "$bigint") return BigInt(inner as string);
    if (key === "$bytes") return new Uint8Array(Buffer.from(inner as string, "base64"));
    if (key === "$number") return Number(inner);
    const object = key === "$object" ? Object.entries(inner as object) : entries;
    return Object.fromEntries(object.map(([name, item]) => [name, fromJson(item)]));
  }

  test("of values in JSON can be read back to the very same values", () => {
    const values: Value[] = [
      null,
      -0,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      5n,
      5,
      "$bytes",
      new Uint8Array([0, 255]),
      { $bytes: "mine" },
      { $object: { $bigint: "5" } },
      { $object: { a: 1 } },
      { $bigint: 5n, other: 1 },
      JSON.parse('{"__proto__": {"$number": "-0"}, "constructor": 1}'),
      [{ deep: [{ $number: [-0] }] }],
    ];
    for (const value of values) expect(fromJson(JSON.parse(JSON.stringify(toJson(value))))).toStrictEqual(value);
  });

  test("for a terminal has nothing in it that a terminal obeys", () => {
    expect(printable("a\u001b[31m\u009b\r\nb\u202e")).toBe("a\\u001b[31m\\u009b\\u000d\\u000ab\\u202e");
    expect(jsonText({ "\u009b": "\u202e\u001b" })).toBe('{"\\u009b":"\\u202e\\u001b"}');
    expect(shortened("😀😀😀", 4)).toBe("😀…");
    expect(nearest("verfy", ["verify", "events"])).toBe("verify");
    expect(nearest("x".repeat(500), ["verify"])).toBeUndefined();
    expect(nearest("sql", ["verify", "events"])).toBeUndefined();
  });

  test("of failures that are none of ours has the exit code of the unexpected", () => {
    expect(exitCodeOf(new TypeError("oops"))).toBe(1);
    expect(exitCodeOf(new HoldfastError("STORAGE_FULL", "full"))).toBe(7);
  });
});
