// One measurement of the catalogue, from opening its stores to what its figures mean.
//
// Keeps true: a store that cannot be opened, or a measurement that fails, becomes a row that says why; every store that was
// opened is closed again, whatever happens.

import { ROUNDS_FULL, ROUNDS_QUICK } from "./flags.mjs";
import { alone, inTurn, measureInRounds } from "./measure.mjs";
import { Missing } from "./missing.mjs";
import { judge } from "./verdict.mjs";

export const WARM_UPS = 2;

/** @param how `rounds` where there are to be more or fewer than the measurement has by itself. */
export async function measureEntry(entry, { quick, rounds, scratch, say, sayStep }) {
  const { name, title, unit } = entry;
  const stores = openStores(say);
  try {
    sayStep(`${name}: opening and filling`);
    const prepare = await entry.load();
    const work = await prepare({ quick, rounds, scratch, opened: stores.opened });
    const progress = (step) => sayStep(`${name}: ${step}`);
    const inRounds = rounds ?? (quick ? ROUNDS_QUICK : ROUNDS_FULL);
    const measured =
      work.measure === undefined
        ? await measureInRounds({ ...work, turns: turnsOf(work), rounds: inRounds, warmUps: WARM_UPS, progress })
        : await measureItself(name, work, progress);
    const taken = work.rounds ?? inRounds;
    return { name, title, unit, per: entry.per, rounds: taken, ...judge(entry, [...stores.failures, ...measured]) };
  } finally {
    await stores.close();
  }
}

/** A measurement that is not taken in rounds of passes; one that fails becomes a row that says why. */
async function measureItself(name, work, progress) {
  try {
    return await work.measure(progress);
  } catch (error) {
    return [{ name, failure: String(error?.message ?? error) }];
  }
}

function turnsOf(work) {
  return [
    ...(work.inTurn === undefined ? [] : [inTurn(work.inTurn)]),
    ...work.subjects.map((subject) => alone(subject, work)),
  ];
}

/** Opens stores for one measurement and remembers them. One that cannot be opened becomes a row that says why. */
function openStores(say) {
  const open = [];
  const failures = [];
  return {
    failures,
    async opened(name, factory) {
      try {
        const store = await factory();
        open.push(store);
        return store;
      } catch (error) {
        const reason = String(error?.message ?? error);
        const row = error instanceof Missing ? { note: `missing: ${reason}` } : { failure: reason };
        failures.push({ name, isHoldfast: name === "Holdfast", ...row });
        return undefined;
      }
    },
    async close() {
      for (const store of open.reverse()) {
        await Promise.resolve()
          .then(() => store.close())
          .catch((error) => say(`a store did not close: ${error?.message ?? error}`));
      }
    },
  };
}
