/** What the benchmark takes for YCSB is YCSB: its distributions, key names, shares, and the right answers to them. */
import { describe, expect, test } from "vitest";
import {
  FIELDS,
  INSERT,
  openWorkload,
  READ,
  READ_MODIFY_WRITE,
  SCAN,
  TOLD_BY,
  UPDATE,
  WORKLOADS,
} from "../../bench/work/ycsb.mjs";
import {
  fnvHash64,
  SCRAMBLED_ZETA,
  scrambledZipfian,
  skewedLatest,
  THETA,
  zeta,
  zipfian,
} from "../../bench/work/zipfian.mjs";
import { randomFrom } from "../support/seeded-random.js";

const SEED = Number(process.env["HOLDFAST_SEED"] ?? 11);
const DRAWS = 200_000;
const ITEMS = 1000;

/** How often each number below `items` came, as shares. */
function sharesOf(items: number, next: () => number): Float64Array {
  const counts = new Float64Array(items);
  for (let draw = 0; draw < DRAWS; draw++) counts[next()]! += 1 / DRAWS;
  return counts;
}

describe(`the choosers, seed ${SEED}`, () => {
  test("key numbers are hashed as YCSB does: its first three keys", () => {
    expect([0, 1, 2].map((number) => `user${fnvHash64(number)}`)).toEqual([
      "user6284781860667377211",
      "user8517097267634966620",
      "user1820151046732198393",
    ]);
  });

  test("the sum over ten billion ranks is what it is said to be", () => {
    const summed = 1_000_000;
    const ranks = 10_000_000_000;
    const term = (rank: number) => 1 / rank ** THETA;
    // Euler and Maclaurin: the rest as an integral.
    const rest = (ranks ** (1 - THETA) - summed ** (1 - THETA)) / (1 - THETA) + (term(ranks) - term(summed)) / 2;
    expect(zeta(0, summed) + rest).toBeCloseTo(SCRAMBLED_ZETA, 6);
  });

  test("ranks come as often as 1 ÷ rank ^ 0.99 says", () => {
    const shares = sharesOf(ITEMS, zipfian(randomFrom(SEED), ITEMS).next);
    const total = zeta(0, ITEMS);
    const wantedBelow = (rank: number) => zeta(0, rank) / total;
    const foundBelow = (rank: number) => shares.subarray(0, rank).reduce((sum, share) => sum + share, 0);
    // The method is exact for the first two ranks and near for the others.
    for (const rank of [1, 2]) expect(Math.abs(foundBelow(rank) - wantedBelow(rank))).toBeLessThan(0.005);
    for (const rank of [5, 10, 50, 100, 500]) expect(Math.abs(foundBelow(rank) - wantedBelow(rank))).toBeLessThan(0.03);
    expect(foundBelow(ITEMS)).toBeCloseTo(1, 9);
  });

  test("growing gives what it would have been from the start", () => {
    const grown = zipfian(randomFrom(SEED), 10);
    grown.grow(ITEMS);
    const whole = zipfian(randomFrom(SEED), ITEMS);
    const draws = (chooser: { next(): number }) => Array.from({ length: 1000 }, () => chooser.next());
    expect(draws(grown)).toEqual(draws(whole));
  });

  test("scrambled, the most frequent lie anywhere, the first as often as unscrambled", () => {
    const shares = sharesOf(ITEMS, scrambledZipfian(randomFrom(SEED), ITEMS).next);
    const ranked = [...shares].map((share, item) => ({ share, item })).sort((a, b) => b.share - a.share);
    expect(ranked[0]!.item).toBe(Number(fnvHash64(0) % BigInt(ITEMS)));
    expect(Math.abs(ranked[0]!.share - 1 / SCRAMBLED_ZETA)).toBeLessThan(0.005);
    const mean = ranked.slice(0, 100).reduce((sum, { item }) => sum + item, 0) / 100;
    expect(Math.abs(mean - ITEMS / 2)).toBeLessThan(ITEMS / 8);
  });

  test("the latest come most often, and none that is not there", () => {
    const chooser = skewedLatest(randomFrom(SEED), 10);
    const shares = sharesOf(ITEMS, () => chooser.next(ITEMS - 1));
    expect(Math.abs(shares[ITEMS - 1]! - 1 / zeta(0, ITEMS))).toBeLessThan(0.005);
    expect(shares[ITEMS - 1]).toBeGreaterThan(shares[ITEMS - 2]!);
  });
});

describe("the workloads", () => {
  const sizes = { records: 300, operations: 4000, rounds: 3, seed: SEED };
  const names = Object.keys(WORKLOADS) as (keyof typeof WORKLOADS)[];

  test.each(names)("%s: shares, sizes, and the right answers, from the seed alone", (name) => {
    const workload = openWorkload(WORKLOADS[name], sizes);
    const twin = openWorkload(WORKLOADS[name], sizes);
    const store = new Map(workload.keys.map((key, at) => [key, { ...workload.records[at]! }]));
    const tally = (record: Readonly<Record<string, string>> | undefined) =>
      FIELDS.reduce((total, field) => total + record![field]!.charCodeAt(TOLD_BY), 0);
    expect(workload.records.every((record) => FIELDS.every((field) => record[field]!.length === 100))).toBe(true);

    for (let round = 0; round < sizes.rounds; round++) {
      const input = workload.makeInput(round);
      const { kinds, keys, fields, texts, records, lengths, count, expected, values } = input;
      expect(twin.makeInput(round)).toEqual(input);
      expect(workload.makeInput(round)).toBe(input);
      for (const [kind, share] of WORKLOADS[name].shares) {
        expect(Math.abs(kinds.filter((each) => each === kind).length / count - share)).toBeLessThan(0.03);
      }
      let total = 0;
      for (let i = 0; i < count; i++) {
        const [key, kind] = [keys[i]!, kinds[i]];
        if (kind === INSERT) store.set(key, { ...records[i]! });
        if (kind === READ || kind === READ_MODIFY_WRITE) total += tally(store.get(key));
        if (kind === UPDATE || kind === READ_MODIFY_WRITE) store.get(key)![fields[i]!] = texts[i]!;
        if (kind === SCAN) {
          const from = [...store.keys()].filter((each) => each >= key).sort();
          for (const each of from.slice(0, lengths[i])) total += tally(store.get(each));
        }
      }
      expect(total).toBe(expected);
      const last = store.get(keys[count - 1]!)!;
      expect(values[count - 1]).toBe(FIELDS.map((field) => last[field]).join(""));
    }
  });
});
