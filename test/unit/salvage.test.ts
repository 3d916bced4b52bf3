/**
 * Opening a damaged log with `salvage`: what stands before the damage, and never anything else.
 */
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { Database, HoldfastError } from "../../src/index.js";
import { ByteStorage } from "../support/byte-storage.js";
import { type DamageLog, type DamageLogOptions, damageLog, type State, stateOf, wasm } from "../support/damage-logs.js";

const LOGS: Record<string, DamageLogOptions> = {
  closed: { bytes: 3000, ending: "closed" },
  "with an unsynced tail": { bytes: 3000, ending: "buffered tail" },
  "of several segments": { bytes: 3000, ending: "closed", storage: { segmentBytesTarget: 700 } },
};
/** Bits from one flip to the next: a number that meets every bit of a byte. */
const STRIDE = 37;

interface Opening {
  readonly state: State | undefined;
  readonly code: string | undefined;
  readonly damage: HoldfastError | undefined;
}

async function openedWith(storage: ByteStorage, options: { readOnly: boolean; salvage?: boolean }): Promise<Opening> {
  try {
    const db = await Database.open({ storage, wasm, ...options });
    try {
      return { state: stateOf(db), code: undefined, damage: db.storageInfo.salvaged?.damage };
    } finally {
      await db.close();
    }
  } catch (error) {
    if (!HoldfastError.is(error)) throw error;
    return { state: undefined, code: error.code, damage: undefined };
  }
}

/** How many commits a state is after; −1 for none of them. */
function commitsOf(log: DamageLog, state: State | undefined): number {
  return log.states.findIndex((each) => isDeepStrictEqual(each, state));
}

describe.each(Object.entries(LOGS))("a log %s", (_name, options) => {
  it("gives up what stands before a flipped bit, and says where it ends", async () => {
    const log = await damageLog(options);
    let salvaged = 0;
    for (const [number, bytes] of log.segments) {
      let least = 0;
      for (let bit = 0; bit < bytes.length * 8; bit += STRIDE) {
        const damaged = bytes.slice();
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        const segments = new Map([...log.segments, [number, damaged]]);
        const plain = await openedWith(new ByteStorage(segments, log.epoch), { readOnly: true });
        const found = await openedWith(new ByteStorage(segments, log.epoch), { readOnly: true, salvage: true });
        expect(found.code, `bit ${bit} of segment ${number}`).toBeUndefined();
        const commits = commitsOf(log, found.state);
        expect(commits, `the state with bit ${bit} of segment ${number}`).toBeGreaterThanOrEqual(0);
        if (plain.code === undefined) {
          expect([found.state, found.damage]).toEqual([plain.state, undefined]);
          continue;
        }
        expect(plain.code).toBe("CORRUPTION");
        expect(found.damage?.code).toBe("CORRUPTION");
        expect(found.damage?.details).toHaveProperty("segment");
        // The further back the damage, the more is had.
        expect(commits).toBeGreaterThanOrEqual(least);
        least = commits;
        salvaged++;
      }
    }
    expect(salvaged).toBeGreaterThan(100);
  });
});

it("is what it is elsewhere where nothing is damaged, and takes no writes", async () => {
  const log = await damageLog({ bytes: 2000, ending: "closed" });
  const db = await Database.open({
    storage: new ByteStorage(log.segments, log.epoch),
    wasm,
    readOnly: true,
    salvage: true,
  });
  expect(stateOf(db)).toEqual(log.states.at(-1));
  expect(db.storageInfo.salvaged).toBeUndefined();
  expect(() => db.run("alpha").kv.put("k", 1)).toThrowError(expect.objectContaining({ code: "READ_ONLY" }));
  await db.close();
});

it("gives what was salvaged on as an export", async () => {
  const log = await damageLog({ bytes: 2000, ending: "closed" });
  const [number, bytes] = [...log.segments][0] as [number, Uint8Array];
  const damaged = bytes.slice();
  damaged[bytes.length >> 1] = (damaged[bytes.length >> 1] as number) ^ 1;
  const storage = new ByteStorage(new Map([...log.segments, [number, damaged]]), log.epoch);
  const db = await Database.open({ storage, wasm, readOnly: true, salvage: true });
  const copy = await Database.import(db.export(), { durability: "in-memory", wasm });
  expect(stateOf(copy)).toEqual(stateOf(db));
  expect(commitsOf(log, stateOf(copy))).toBeGreaterThan(0);
  await copy.close();
  await db.close();
});

it("only reads", async () => {
  const opening = Database.open({ durability: "in-memory", salvage: true, wasm });
  await expect(opening).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
