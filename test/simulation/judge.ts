/**
 * What a crash leaves, opened by the code under test and compared with what must be there.
 *
 * For each state: the database opens; it is a prefix of the commit order with everything that had been promised, sound, and
 * says that it was recovered if it was; no version is given again; and whatever is done next (the process is killed, the
 * power is cut, it is closed, it is written to and the power is cut) the same is found once more. In one of ten states the
 * first recovery is itself cut short at some call.
 */

import * as abi from "../../src/host/abi.js";
import type { Database } from "../../src/index.js";
import { crc32c, parseSegment } from "../support/log-oracle.js";
import { recyclingMemories } from "../support/recycled-memories.js";
import { SeededEnvironment, turn } from "../support/seeded-environment.js";
import { faultIn } from "./primitives.js";
import { mixed, Odometer, Random } from "./random.js";
import {
  afterPowerCut,
  type Disk,
  type Fate,
  filesOf,
  fingerprint,
  SimulatedFiles,
  uncertainties,
  withContent,
} from "./simulated-files.js";
import { codeOf, expectPrefix, type OpenOptions, openOn, type Point, type Subject, Violation } from "./workload.js";
import { countUpTo, digestOfDatabase } from "./written-log.js";

/** How a state came about. */
export type Crash = "kill" | "power";

/** How many uncertainties are gone through one by one, and how many combinations at most. */
const EXHAUSTED_MOST = 3;
const COMBINATIONS_MOST = 24;
/** A recovery that is cut short ends before that many calls that change something. */
const RECOVERY_CALLS = 16;
const OPEN_TURNS_MAX = 50;
/** In one of so many states the lock that ships takes part; otherwise what it keeps true does. */
const LOCKED_ONE_IN = 16;
const DEFERRED = { durability: "in-memory" } as const;
const STRICT = { durability: "strict" } as const;

/** The states of a disk that crashes at a point may leave, each once. */
export function* crashStates(point: Point, seed: number, many: number, seen: Set<string>): Generator<[Crash, Disk]> {
  const isNew = (crash: Crash, disk: Disk): boolean => {
    const key = `${crash} ${point.call} ${fingerprint(disk)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  };
  if (isNew("kill", point.disk)) yield ["kill", point.disk];
  if (uncertainties(point.disk) <= EXHAUSTED_MOST) {
    const odometer = new Odometer();
    for (let count = 0; count < COMBINATIONS_MOST; count++) {
      const disk = afterPowerCut(point.disk, odometer);
      if (isNew("power", disk)) yield ["power", disk];
      if (!odometer.next()) return;
    }
  }
  const random = new Random(seed);
  const fates: readonly Fate[] = ["lost", "kept"];
  for (let count = 0; count < many; count++) {
    const disk = afterPowerCut(point.disk, random, fates[count] ?? "any");
    if (isNew("power", disk)) yield ["power", disk];
  }
}

/** Opens what is there; whatever it says but a database is a violation. */
async function openAfter(subject: Subject, files: SimulatedFiles, options: OpenOptions): Promise<Database> {
  try {
    return await openOn(subject, files, options);
  } catch (error) {
    const code = codeOf("open after a crash", error);
    throw new Violation(
      code === "CORRUPTION" ? "lost" : "broken",
      `after a crash open ends with ${String(error)}`,
      error,
    );
  }
}

/** Lets a recovery die at one of its calls; the disk that it leaves, or that of a recovery which had no such call. */
async function recoveryCutShort(
  subject: Subject,
  disk: Disk,
  random: Random,
  options: OpenOptions,
): Promise<{ readonly disk: Disk; readonly crash: Crash }> {
  const files = new SimulatedFiles(disk);
  let left = random.pick(RECOVERY_CALLS);
  let found = disk;
  files.onBoundary = () => {
    if (left-- > 0) return;
    found = files.disk;
    files.die();
  };
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  openOn(subject, files, options).then(settle, settle);
  for (let turns = 0; !isSettled && !files.isDead; turns++) {
    if (turns === OPEN_TURNS_MAX) throw new Violation("hung", "a recovery never ends");
    await turn();
  }
  if (!files.isDead) {
    found = files.disk;
    files.die();
  }
  if (random.rarely(2)) return { disk: found, crash: "kill" };
  return { disk: afterPowerCut(found, random), crash: "power" };
}

/** Judges one state of a disk. */
export function judgeState(...state: Parameters<typeof judgeIt>): Promise<void> {
  return recyclingMemories(() => judgeIt(...state));
}

async function judgeIt(
  subject: Subject,
  point: Point,
  crash: Crash,
  disk: Disk,
  segmentBytes: number,
  seed: number,
): Promise<void> {
  const random = new Random(seed);
  const { entries, recoverable, floors } = point;
  let floor = crash === "kill" ? floors.kill : floors.power;
  let state = disk;
  const options = { segmentBytes, environment: new SeededEnvironment(seed), locks: random.rarely(LOCKED_ONE_IN) };
  if (random.rarely(10)) {
    const cut = await recoveryCutShort(subject, disk, random, options);
    state = cut.disk;
    if (cut.crash === "power") floor = floors.power;
  }
  const files = new SimulatedFiles(state);
  const database = await openAfter(subject, files, options);
  const { count, digest } = expectPrefix(database, recoverable, floor, crash);
  const { recovered } = database.storageInfo;
  if (recovered === undefined && (count < entries.length || (state === disk && crash === "kill" && point.isUnclean))) {
    throw new Violation("broken", `${entries.length - count} commits are gone and nobody is told of a recovery`);
  }
  await judgeNext(subject, database, files, { digest, given: floors.given }, options, random);
}

/** Whatever comes next, the same is found again, and no version is given twice. */
async function judgeNext(
  subject: Subject,
  database: Database,
  files: SimulatedFiles,
  found: { readonly digest: string; readonly given: number },
  options: OpenOptions,
  random: Random,
): Promise<void> {
  let expected = found.digest;
  const probe = expectNewVersion(database, found.given);
  const next = random.pick(4);
  if (next === 2) {
    expected = digestOfDatabase(database);
    await database.close();
  }
  if (next === 3) {
    database.run("b").kv.put("k1", "after", STRICT);
    database.run("b").events.append("after", "after", STRICT);
    database.run("b").state.set("c1", "after", STRICT);
    expected = digestOfDatabase(database);
  }
  const { disk } = files;
  files.die();
  const left = next === 0 || next === 2 ? disk : afterPowerCut(disk, random, next === 1 ? "lost" : "any");
  const again = new SimulatedFiles(left);
  const reopened = await openAfter(subject, again, options);
  const shown = digestOfDatabase(reopened);
  const what = ["kill", "power cut", "close", "strict commit and a power cut"][next];
  if (shown !== expected) throw new Violation("lost", `after recovery and a ${what}: ${shown}, not ${expected}`);
  if (next === 2 && reopened.storageInfo.recovered !== undefined) {
    throw new Violation("broken", "a database that was closed says that it was recovered");
  }
  // Where nothing was written since, the digest has said all.
  const wrong = next >= 2 ? faultIn(reopened) : undefined;
  if (wrong !== undefined) throw new Violation("silentlyCorrupt", `after a second recovery: ${wrong}`);
  const { valid, fault } = reopened.verify();
  if (!valid) throw new Violation("silentlyCorrupt", `after a second recovery: fault ${fault}`);
  expectNewVersion(reopened, probe);
  again.die();
}

function expectNewVersion(database: Database, given: number): number {
  const version = database.run("a").kv.put("k0", "probe", DEFERRED);
  if (version <= given) throw new Violation("broken", `version ${version} is given, though ${given} was given before`);
  return version;
}

/** What a judge has counted. */
export interface Judged {
  states: number;
  acknowledged: number;
}

/** Judges every state that a workload's points may leave; `many` for each point where there are too many to go through. */
export async function judgePoints(
  subject: Subject,
  points: readonly Point[],
  segmentBytes: number,
  seed: number,
  many: number,
): Promise<Judged> {
  const seen = new Set<string>();
  const judged = { states: 0, acknowledged: 0 };
  for (const [index, point] of points.entries()) {
    for (const [crash, disk] of crashStates(point, mixed(seed, 3, index), many, seen)) {
      judged.states++;
      judged.acknowledged += countUpTo(point.entries, crash === "kill" ? point.floors.kill : point.floors.power);
      try {
        await judgeState(subject, point, crash, disk, segmentBytes, mixed(seed, 4, index, judged.states));
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        throw new Violation(error.wrong, `${error.reason}\n  ${crash} at call ${point.call}, ${point.name}`, error);
      }
    }
  }
  return judged;
}

/** Whether a record's checksum holds. */
function isWhole(record: Uint8Array): boolean {
  const at = record.byteLength - abi.RECORD_TRAILER_BYTES;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return crc32c(record.subarray(0, at)) === view.getUint32(at, true);
}

/**
 * Flips one bit in a record that a later one says is synced. The database must refuse what is left, as damage: opening it
 * without that record would lose what was promised in silence.
 */
export async function judgeDamage(
  subject: Subject,
  point: Point,
  segmentBytes: number,
  seed: number,
): Promise<boolean> {
  const random = new Random(seed);
  const segments = [...filesOf(point.disk)]
    .filter(([path]) => path.endsWith(".log"))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const bytes = segments.at(-1)?.[1];
  if (bytes === undefined) return false;
  // Behind one that the crash has torn nothing vouches for anything.
  const all = parseSegment(bytes).records;
  const torn = all.findIndex(({ start, end }) => !isWhole(bytes.subarray(start, end)));
  const records = torn < 0 ? all : all.slice(0, torn);
  const watermark = Math.max(0, ...records.map((record) => record.watermark));
  const vouched = records.filter((record, index) => index + 1 < records.length && record.position < watermark);
  if (vouched.length === 0) return false;
  const { start, end } = random.of(vouched);
  const damaged = bytes.slice();
  const offset = start + random.pick(end - start);
  damaged[offset] = (damaged[offset] as number) ^ (1 << random.pick(8));
  const files = new SimulatedFiles(withContent(point.disk, bytes, damaged));
  const options = { segmentBytes, environment: new SeededEnvironment(seed), locks: false };
  try {
    await openOn(subject, files, options);
  } catch (error) {
    const code = codeOf("open after damage", error);
    if (code === "CORRUPTION") return true;
    throw new Violation("untyped", `damage at byte ${offset} ends with ${String(error)}`, error);
  } finally {
    files.die();
  }
  throw new Violation("silentlyCorrupt", `damage at byte ${offset} of a synced record is served as if it were good`);
}
