// What a worker does between the opening of the gate and its end.
//
// A key's number stands in the low bits of every value that is stored under it, and the bits above are another for each put:
// so each read is checked, and no put writes what is already there. A worker's own versions rise.
//
// Keeps true: a module instance serves one store only, so that nothing it calls is called for another store too; what is
// checked costs the same everywhere. It is imported with a query for that.

import { KEYS, MIXED_OF } from "./catalogue.mjs";

/** Operations between two looks at the gate. */
export const BATCH = 32;
const MARK_BITS = 10;
const MARK = (1 << MARK_BITS) - 1;
/** All values are of one length in any encoding, and small integers to V8. */
const COUNT_MIN = 64;
const COUNT_MAX = 0xfffff;

/** The first value of the key at an index. */
export const firstValue = (index) => (COUNT_MIN << MARK_BITS) | (index + 1);
/** What is the same in all values of the key at an index. */
export const markOf = (index) => index + 1;
export const isValueOf = (value, mark) => (value & MARK) === mark;

export function reads(store, keys, marks, gate) {
  let at = 0;
  let operations = 0;
  let wrong = 0;
  while (gate.goesOn(operations)) {
    store.between();
    for (let i = 0; i < BATCH; i++) {
      if ((store.get(keys[at]) & MARK) !== marks[at]) wrong++;
      if (++at === KEYS) at = 0;
    }
    operations += BATCH;
  }
  gate.tell(operations, 0, wrong);
}

export function puts(store, keys, marks, gate) {
  let at = 0;
  let operations = 0;
  let wrong = 0;
  let count = COUNT_MIN;
  let last = 0;
  while (gate.goesOn(operations)) {
    store.between();
    for (let i = 0; i < BATCH; i++) {
      count = count === COUNT_MAX ? COUNT_MIN : count + 1;
      const version = store.put(keys[at], (count << MARK_BITS) | marks[at]);
      if (version <= last) wrong++;
      last = version;
      if (++at === KEYS) at = 0;
    }
    operations += BATCH;
  }
  gate.tell(operations, operations, wrong);
}

export function mixed(store, keys, marks, gate) {
  let at = 0;
  let operations = 0;
  let putCount = 0;
  let wrong = 0;
  let turn = 0;
  let count = COUNT_MIN;
  let last = 0;
  while (gate.goesOn(operations)) {
    store.between();
    for (let i = 0; i < BATCH; i++) {
      if (++turn === MIXED_OF) {
        turn = 0;
        count = count === COUNT_MAX ? COUNT_MIN : count + 1;
        const version = store.put(keys[at], (count << MARK_BITS) | marks[at]);
        if (version <= last) wrong++;
        last = version;
        putCount++;
      } else if ((store.get(keys[at]) & MARK) !== marks[at]) {
        wrong++;
      }
      if (++at === KEYS) at = 0;
    }
    operations += BATCH;
  }
  gate.tell(operations, putCount, wrong);
}
