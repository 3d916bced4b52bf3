// One mutex for everything: what a store does that keeps its readers and writers apart by a single lock.
//
//   word   0 free   1 held   2 held, and somebody may be asleep
//
// As most systems' own: a few looks, then sleep; whoever lets go wakes one.

const SPINS = 100;

/** A mutex that is the word at `buffer`'s beginning. */
export function openMutex(buffer) {
  const word = new Int32Array(buffer);

  const lock = () => {
    if (Atomics.compareExchange(word, 0, 0, 1) === 0) return;
    for (let i = 0; i < SPINS; i++) {
      if (Atomics.load(word, 0) === 0 && Atomics.compareExchange(word, 0, 0, 1) === 0) return;
    }
    while (Atomics.exchange(word, 0, 2) !== 0) Atomics.wait(word, 0, 2);
  };
  const unlock = () => {
    if (Atomics.exchange(word, 0, 0) === 2) Atomics.notify(word, 0, 1);
  };
  return { lock, unlock };
}

/** A store whose operations take turns behind one mutex. */
export function behindOneLock(store, buffer) {
  const { lock, unlock } = openMutex(buffer);
  return {
    get(key) {
      lock();
      try {
        return store.get(key);
      } finally {
        unlock();
      }
    },
    put(key, value) {
      lock();
      try {
        return store.put(key, value);
      } finally {
        unlock();
      }
    },
    between() {},
  };
}
