// One counter for everything: what is left to share where nothing else is.

/** A store that adds one to the word at `buffer`'s beginning after each put, and gives what it has come to as its version. */
export function countingPuts(store, buffer) {
  const word = new Int32Array(buffer);
  return {
    get: (key) => store.get(key),
    put: (key, value) => (store.put(key, value) > 0 ? Atomics.add(word, 0, 1) + 1 : -1),
    between() {},
  };
}
