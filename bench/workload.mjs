// The work that every subject gets: keys, values and the order in which they are used.
//
// Keeps true:
// - A key is a flat string of 13 characters. A string made by concatenation is a tree inside V8 until somebody needs its
//   characters, and the first subject to look would pay for all the others.
// - Values are numbers, half of them small integers and half not, in an array that holds them boxed, so that handing one over
//   allocates nothing.
// - The order of a round follows from its number alone: all subjects of a round walk the same keys in the same order, through
//   an array that is new each time.

export const KEY_LENGTH = "key:000000000".length;

/** A copy of `text` that shares nothing with it: neither its characters nor the hash that V8 keeps in a string. */
export function flatCopy(text) {
  return Buffer.from(text, "latin1").toString("latin1");
}

export function makeKeys(count) {
  return Array.from({ length: count }, (_, index) => flatCopy(`key:${String(index).padStart(9, "0")}`));
}

/** One boxed number per key. Another `generation` gives other numbers, so that no put writes what is already there. */
export function makeValues(count, generation) {
  // Filled with null first: an array of numbers alone would store bare doubles and box one at each read.
  const values = new Array(count).fill(null);
  for (let index = 0; index < count; index++) {
    values[index] = index % 2 === 0 ? index + generation : index + generation + 0.5;
  }
  return values;
}

/** The indices below `count` in an order that depends on `seed` alone. */
export function shuffledIndices(count, seed) {
  const indices = Uint32Array.from({ length: count }, (_, index) => index);
  const random = randomFrom(seed);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const kept = indices[last];
    indices[last] = indices[other];
    indices[other] = kept;
  }
  return indices;
}

/** The elements of `list` at `indices`, in an array of its own. */
export function pick(list, indices) {
  const picked = new Array(indices.length).fill(null);
  for (let i = 0; i < indices.length; i++) picked[i] = list[indices[i]];
  return picked;
}

export function sum(numbers, count) {
  let total = 0;
  for (let i = 0; i < count; i++) total += numbers[i];
  return total;
}

/** Numbers from 0 to 1, exclusive, that follow from `seed`. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
