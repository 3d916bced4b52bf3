/**
 * `holdfast doctor`: what this runtime can promise, found out by doing it. The sync is measured with a file of its own in DIR,
 * removed afterwards; no database is opened there but one in memory, so that a live owner notices nothing.
 *
 * What it cannot find out it says: whether the disk keeps what it has acknowledged when the power is cut.
 */
import { fdatasyncSync, statfsSync, writeSync } from "node:fs";
import { arch, platform, release } from "node:os";
import { setImmediate as turn } from "node:timers/promises";
import { nodeFs } from "../adapters/node-fs.js";
import { Database, HoldfastError } from "../index.js";
import type { Call, Command } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import type { Json } from "./json-values.js";
import { directoryUse } from "./opening.js";
import { runtimeName } from "./runtime.js";
import { fileFailure } from "./system-errors.js";
import { withTemporary } from "./temporary.js";
import { bytes, duration, printable, table } from "./text.js";

export const doctorCommand: Command = {
  name: "doctor",
  operands: ["[DIR]"],
  summary: "what this runtime can promise in DIR: sync cost, storage, shared memory, modes",
  details: [
    "DIR is the current directory if left out, and need not have a database in it. A file of its own is written and synced there",
    "and removed; safe beside a live owner.",
  ],
  options: {},
  run: doctor,
};

const SYNCS_MAX = 200;
const SYNCS_MS_MAX = 1000;
/** About what one small commit adds to the log. */
const SYNC_BYTES = 256;
/** No disk syncs faster: what does keeps it in memory. */
const SYNC_NS_SUSPECT = 15_000;

/** Kinds of file systems by the numbers that Linux gives them. */
const FILE_SYSTEMS: { readonly [magic: number]: string } = {
  61267: "ext",
  1481003842: "xfs",
  2435016766: "btrfs",
  16914836: "tmpfs",
  2240043254: "ramfs",
  2035054128: "overlay",
  26985: "nfs",
  4283649346: "cifs",
  1702057286: "fuse",
  801189825: "zfs",
  4076150800: "f2fs",
  16914839: "9p",
};
const IN_MEMORY = new Set(["tmpfs", "ramfs"]);
const REMOTE = new Set(["nfs", "cifs", "9p"]);

/** How long a write with a sync takes. */
interface SyncCost {
  readonly syncs: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly maxNs: number;
}

/** What a runtime was found to be able to do. */
interface Findings {
  readonly runtime: string;
  readonly system: string;
  readonly core: string;
  readonly sharedMemory: string;
  readonly storage: { readonly kind: string; readonly mechanism: string; readonly syncFlush: boolean };
  readonly fileSystem: string | undefined;
  readonly freeBytes: number | undefined;
  readonly sync: SyncCost;
  readonly database: string;
}

async function doctor(call: Call): Promise<ExitCode> {
  const { out } = call;
  const directory = call.operandIfGiven(0) ?? ".";
  const sync = await measureSync(directory);
  const { kind, mechanism, syncFlush } = nodeFs(directory).capabilities;
  const room = roomIn(directory);
  const findings: Findings = {
    runtime: runtimeName(),
    system: `${platform()} ${release()} ${arch()}`,
    core: await tryMemory(false),
    sharedMemory: await tryMemory(true),
    storage: { kind, mechanism, syncFlush },
    fileSystem: room?.kind,
    freeBytes: room?.freeBytes,
    sync,
    database: await databaseIn(directory),
  };
  const warnings = warningsOf(findings);
  if (out.json) {
    const { fileSystem = null, freeBytes = null, storage, ...rest } = findings;
    await out.document({
      directory,
      ...rest,
      storage: { ...storage },
      sync: { ...sync },
      fileSystem,
      freeBytes,
      // Files stay until somebody removes them; only a browser evicts.
      persistence: "kept until removed",
      isolation: "not needed outside of browsers",
      modes: modesOf(findings).map(([mode, returns, kill, power]): Json => ({ mode, returns, kill, power })),
      warnings,
    });
    return EXIT.done;
  }
  const { p50Ns, p99Ns, maxNs, syncs } = sync;
  await out.lines([
    ...table([
      ["runtime", `${findings.runtime}, ${findings.system}`],
      ["core", findings.core],
      ["shared memory", `${findings.sharedMemory}; isolation is not needed outside of browsers`],
      ["directory", printable(directory)],
      ["database", findings.database],
      ["storage", `${kind}, durable by ${mechanism}; kept until removed`],
      [
        "file system",
        `${findings.fileSystem ?? "not told"}, ${room === undefined ? "room not told" : `${bytes(room.freeBytes)} free`}`,
      ],
      [
        "sync",
        `p50 ${duration(p50Ns)}, p99 ${duration(p99Ns)}, max ${duration(maxNs)} for ${SYNC_BYTES} bytes (${syncs} of them)`,
      ],
    ]),
    "",
    ...table([["mode", "when the call returns", "killed process", "power cut"], ...modesOf(findings)]),
    ...(warnings.length === 0 ? [] : ["", ...warnings.map((warning) => `! ${warning}`)]),
  ]);
  return EXIT.done;
}

function modesOf({ storage, fileSystem, sync }: Findings): (readonly [string, string, string, string])[] {
  const nothing = "nothing acknowledged is lost";
  const isLost = IN_MEMORY.has(fileSystem ?? "");
  const strict = `written and synced (about ${duration(sync.p50Ns)} here)`;
  return [
    ["in-memory", "applied in memory", "all lost", "all lost"],
    [
      "buffered",
      "handed to the system",
      nothing,
      isLost ? "all lost: files are in memory" : "at most the last 100 ms or 1,000 writes",
    ],
    [
      "strict",
      storage.syncFlush ? strict : "only by transactionAsync",
      nothing,
      isLost ? "all lost: files are in memory" : nothing,
    ],
  ];
}

function warningsOf({ fileSystem = "", sync, core, sharedMemory }: Findings): string[] {
  const warnings: string[] = [];
  if (IN_MEMORY.has(fileSystem))
    warnings.push(`${fileSystem} is memory: nothing in it outlives the machine. Choose a directory on a disk.`);
  else if (sync.p50Ns < SYNC_NS_SUSPECT) {
    warnings.push(
      "A sync that fast is probably none: the disk, or what simulates it, may acknowledge what a power cut loses.",
    );
  }
  if (REMOTE.has(fileSystem)) {
    warnings.push(
      `${fileSystem} is on another machine: whether an owner there is dead cannot be proved, and its sync is not ours to test.`,
    );
  }
  if (core !== "works") warnings.push(`The core does not run here: ${core}`);
  if (sharedMemory !== "works") warnings.push(`shared: true does not work here: ${sharedMemory}`);
  return warnings;
}

/** Whether a database in memory does what it should. */
async function tryMemory(shared: boolean): Promise<string> {
  try {
    const db = await Database.open({ durability: "in-memory", shared });
    try {
      const { kv } = db.run("doctor");
      kv.put("key", "value");
      return kv.get("key") === "value" && db.verify().valid ? "works" : "gives back something else than was put in";
    } finally {
      await db.close();
    }
  } catch (error) {
    return HoldfastError.is(error) ? `${error.code}: ${error.message}` : String(error);
  }
}

async function databaseIn(directory: string): Promise<string> {
  try {
    const { segments, checkpoints } = await directoryUse(directory);
    return `there is one, ${bytes(segments.bytes + checkpoints.bytes)}`;
  } catch (error) {
    if (HoldfastError.is(error, "NOT_FOUND")) return "none";
    throw error;
  }
}

/** Appends and syncs again and again. @throws HoldfastError where DIR is not there or may not be written to */
async function measureSync(directory: string): Promise<SyncCost> {
  try {
    return await withTemporary(directory, timeSyncs);
  } catch (error) {
    throw fileFailure(directory, error);
  }
}

async function timeSyncs(descriptor: number): Promise<SyncCost> {
  const content = new Uint8Array(SYNC_BYTES).fill(0x2e);
  const took: number[] = [];
  for (const began = performance.now(); took.length < SYNCS_MAX && performance.now() - began < SYNCS_MS_MAX; ) {
    const start = process.hrtime.bigint();
    writeSync(descriptor, content);
    fdatasyncSync(descriptor);
    took.push(Number(process.hrtime.bigint() - start));
    await turn();
  }
  took.sort((a, b) => a - b);
  const at = (part: number): number => took[Math.min(took.length - 1, Math.floor(took.length * part))] as number;
  return { syncs: took.length, p50Ns: at(0.5), p99Ns: at(0.99), maxNs: at(1) };
}

/** The file system's kind and room, where the runtime and the system tell. */
function roomIn(directory: string): { readonly kind: string | undefined; readonly freeBytes: number } | undefined {
  try {
    const { type, bavail, bsize } = statfsSync(directory);
    const kind =
      platform() === "linux" ? (FILE_SYSTEMS[type] ?? `unknown to holdfast (0x${type.toString(16)})`) : undefined;
    return { kind, freeBytes: bavail * bsize };
  } catch {
    return undefined;
  }
}
