// What each durability mode costs each primitive: one write of it, each its own commit, over a database in memory, one that is
// buffered on files and one that is strict on files.
//
// Keeps true: a mode's database holds all primitives in one run, as a run does, and grows from round to round; what is still to
// be synced after a pass is waited for outside of its time. Beside strict stands one sync of a bare file.

import { openBareFile } from "../subjects/bare-file.mjs";
import { openPrimitives } from "../subjects/holdfast-primitives.mjs";

const MODES = [
  { mode: "in-memory", onFiles: false, operations: 5000, operationsQuick: 1000 },
  { mode: "buffered", onFiles: true, operations: 5000, operationsQuick: 1000 },
  { mode: "strict", onFiles: true, operations: 200, operationsQuick: 40 },
];
const BARE_BYTES = 64;

export async function prepare({ scratch, quick, opened }) {
  const stores = [];
  for (const { mode, onFiles, operations, operationsQuick } of MODES) {
    const options = { durability: mode, ...(onFiles ? { path: scratch.folder(mode) } : {}) };
    const store = await opened(`Holdfast, ${mode}`, () => openPrimitives(options));
    if (store !== undefined) stores.push({ mode, store, operations: quick ? operationsQuick : operations });
  }
  const bare = await opened("bare file", () => openBareFile({ folder: scratch.folder("bare"), bytes: BARE_BYTES }));
  const { operations: syncs } = stores.at(-1) ?? { operations: 0 };

  const primitives = Object.keys(stores[0]?.store.passes ?? {});
  return {
    makeInput: (_round, count) => ({ count, expected: count }),
    subjects: [
      ...primitives.flatMap((primitive) =>
        stores.map(({ mode, store, operations }) => ({
          name: `${primitive}, ${mode}`,
          isHoldfast: true,
          operations,
          pass: store.passes[primitive],
          settle: store.settle,
        })),
      ),
      bare && {
        name: "bare write + fdatasync",
        note: `${BARE_BYTES} bytes, appended`,
        operations: syncs,
        pass({ count }) {
          for (let i = 0; i < count; i++) bare.put();
          return count;
        },
      },
    ].filter(Boolean),
  };
}
