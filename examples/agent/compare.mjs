/**
 * What the demo proves: that no acknowledged step is missing, and that both stores hold the same. A check is
 * `{ ok, text }`, and its text says what was compared, or what differs.
 */
import { isDeepStrictEqual } from "node:util";

const RUN_ID = "demo";

/** Everything that a run has left: read back from its files by this process, or as told where it was in memory. */
export async function listingOf(Database, run, path) {
  if (run.listing !== undefined) return run.listing;
  const db = await Database.open({ path });
  try {
    return db.run(RUN_ID).kv.list();
  } finally {
    await db.close();
  }
}

/** A step may be found that was never acknowledged: its process was killed between committing it and saying so. */
export function checkAcknowledged(before, after) {
  const { acknowledged } = before;
  const { found } = after;
  if (found >= acknowledged) {
    return { ok: true, text: `no acknowledged step is missing: ${acknowledged} acknowledged, ${found} found` };
  }
  return {
    ok: false,
    text: `acknowledged steps are missing: ${acknowledged} acknowledged, only ${found} found`,
  };
}

export function checkEqual(first, second) {
  if (isDeepStrictEqual(first, second)) {
    return {
      ok: true,
      text: `both runs ended equal: ${first.length.toLocaleString("en")} keys and their values compared`,
    };
  }
  const key = firstDifference(new Map(first), new Map(second));
  return { ok: false, text: `the runs ended with different stores; the first difference is at ${key}` };
}

function firstDifference(first, second) {
  const keys = [...new Set([...first.keys(), ...second.keys()])].sort();
  return keys.find((key) => !isDeepStrictEqual(first.get(key), second.get(key))) ?? "the order of their keys";
}
