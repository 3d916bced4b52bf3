// What each layer adds to a put: the bare table of the core (A0), the engine's put (A1), the same with the host's codec, and
// `kv.put` (B); over 100,000 keys in shuffled order, and over a hot thousand of them.
//
// Keeps true: A0 and A1 are one call of WebAssembly for each operation, of one module, from bytes that were encoded outside of
// the time; B and the row above A1 encode key and value each time.

import { openHoldfast } from "../subjects/holdfast.mjs";
import { openCore, openRawTable } from "../subjects/holdfast-layers.mjs";
import { makeKeys, makeValues, pick, shuffledIndices } from "../workload.mjs";

const ENTRIES = 100_000;
const HOT_KEYS = 1000;
const OPERATIONS = 100_000;
const OPERATIONS_QUICK = 20_000;

export const prepareAll = (context) => prepare(context, (round) => shuffledIndices(ENTRIES, round));

export const prepareHot = (context) =>
  prepare(context, (round) =>
    shuffledIndices(OPERATIONS, round).map((index) => (index % HOT_KEYS) * (ENTRIES / HOT_KEYS)),
  );

async function prepare({ quick, opened }, orderOfRound) {
  const all = makeKeys(ENTRIES);
  const values = makeValues(ENTRIES, 0);
  const operations = quick ? OPERATIONS_QUICK : OPERATIONS;

  const holdfast = await opened("Holdfast", () => openHoldfast({ durability: "in-memory" }));
  const core = await opened("the core", openCore);
  const raw = await opened("the bare table", openRawTable);
  for (const store of [holdfast, core, raw]) await store?.load(all, values);

  const makeInput = (round, count) => ({
    keys: pick(all, orderOfRound(round)),
    values: makeValues(ENTRIES, round + 1),
    count,
    expected: count,
  });
  const makePlaced = (round, count) => {
    const input = makeInput(round, count);
    return { ...input, first: raw.placeAll(input.keys, input.values, count) };
  };
  return {
    computes: true,
    makeInput,
    subjects: [
      holdfast && {
        name: "Holdfast kv.put (B)",
        isHoldfast: true,
        operations,
        pass: holdfast.putPass,
        read: holdfast.read,
      },
      core && {
        name: "engine put, encoding each time",
        isHoldfast: true,
        note: "the release's export, the host's codec",
        operations,
        pass: core.putPass,
        read: core.read,
      },
      raw && {
        name: "engine put (A1)",
        isHoldfast: true,
        note: "bytes that stand ready",
        operations,
        pass: raw.enginePass,
        makeInput: makePlaced,
        read: raw.readEngine,
      },
      raw && {
        name: "raw table put (A0)",
        isHoldfast: true,
        note: "bytes that stand ready; no versions, nothing published",
        operations,
        pass: raw.tablePass,
        makeInput: makePlaced,
        read: raw.readTable,
      },
    ].filter(Boolean),
  };
}
