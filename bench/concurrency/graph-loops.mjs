// What a worker does with a graph between the opening of the gate and its end.
//
// The nodes that are there from the beginning have ids one behind another, and each node holds a mark with its path: the first
// ones are asked for by their marks, so that each read is checked. The ids that a worker is given rise.
//
// Keeps true: as in loops.mjs a module instance serves one store only, and what is checked costs the same everywhere.

import { KEYS, MIXED_OF } from "./catalogue.mjs";
import { BATCH } from "./loops.mjs";

/** What a node is like: the same for the first ones and for those that are added. */
export const LABEL = "module";
export const propertiesOf = (path, mark) => ({ path, mark });

export function reads(store, _keys, marks, gate) {
  let at = 0;
  let operations = 0;
  let wrong = 0;
  while (gate.goesOn(operations)) {
    for (let i = 0; i < BATCH; i++) {
      if (store.get(marks[at])?.properties.mark !== marks[at]) wrong++;
      if (++at === KEYS) at = 0;
    }
    operations += BATCH;
  }
  gate.tell(operations, 0, wrong);
}

export function adds(store, keys, marks, gate) {
  let at = 0;
  let operations = 0;
  let wrong = 0;
  let last = 0;
  while (gate.goesOn(operations)) {
    for (let i = 0; i < BATCH; i++) {
      const id = store.put(LABEL, propertiesOf(keys[at], marks[at]));
      if (id <= last) wrong++;
      last = id;
      if (++at === KEYS) at = 0;
    }
    operations += BATCH;
  }
  gate.tell(operations, operations, wrong);
}

export function mixed(store, keys, marks, gate) {
  let at = 0;
  let operations = 0;
  let addCount = 0;
  let wrong = 0;
  let turn = 0;
  let last = 0;
  while (gate.goesOn(operations)) {
    for (let i = 0; i < BATCH; i++) {
      if (++turn === MIXED_OF) {
        turn = 0;
        const id = store.put(LABEL, propertiesOf(keys[at], marks[at]));
        if (id <= last) wrong++;
        last = id;
        addCount++;
      } else if (store.get(marks[at])?.properties.mark !== marks[at]) {
        wrong++;
      }
      if (++at === KEYS) at = 0;
    }
    operations += BATCH;
  }
  gate.tell(operations, addCount, wrong);
}
