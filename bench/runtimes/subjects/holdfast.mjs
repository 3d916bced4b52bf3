// Holdfast through its public interface, on any runtime and storage.
//
// Keeps true: options as they come. Where a storage keeps strict promises only asynchronously, a write is a `transactionAsync` that
// is awaited, one after another.

const BATCH = 1000;

/**
 * @param Database which one is measured
 * @param make what `Database.open` takes, apart from the mode; it is called for each opening
 * @param later whether writes are asynchronous
 * @param remove what takes it away once it is closed
 */
export function holdfast({ Database, mode, make, later = false, note, remove }) {
  const open = async () => {
    let db;
    let run;
    const write = later
      ? (use) => run.transactionAsync(async (tx) => use(tx))
      : (use) => run.transaction((tx) => use(tx));
    const store = {
      async open() {
        db = await Database.open({ ...make(), durability: mode });
        if (db.durability.mode !== mode) throw new Error(`opened as ${db.durability.mode} where ${mode} was asked for`);
        run = db.run("bench");
      },
      keeps: mode !== "in-memory",
      async load(keys, values) {
        for (let from = 0; from < keys.length; from += BATCH) {
          await write((tx) => {
            for (let i = from; i < Math.min(from + BATCH, keys.length); i++) tx.kv.put(keys[i], values[i]);
          });
        }
      },
      get: (key) => run.kv.get(key),
      getMany: (keys) => run.kv.getMany(keys),
      list: (prefix) => run.kv.list({ prefix }).map(([, value]) => value),
      snapshotGet(key) {
        const snapshot = run.snapshot();
        const value = snapshot.kv.get(key);
        snapshot.dispose();
        return value;
      },
      put: later ? (key, value) => write((tx) => tx.kv.put(key, value)) : (key, value) => run.kv.put(key, value),
      transaction: (readKeys, keys, values) =>
        write((tx) => {
          const found = readKeys.map((key) => tx.kv.get(key));
          for (let i = 0; i < keys.length; i++) tx.kv.put(keys[i], values[i]);
          return found;
        }),
      append: later
        ? (type, payload) => write((tx) => tx.events.append(type, payload))
        : (type, payload) => run.events.append(type, payload),
      appended: () => run.events.length,
      count: () => run.kv.count(),
      bytes: () => (store.keeps ? db.stats().logBytes : db.stats().liveBytes),
      written: mode === "in-memory" ? undefined : () => db.stats().logBytes,
      settle: () => db.flush(),
      close: () => db.close(),
      async remove() {
        await db.close();
        await remove?.();
      },
    };
    await remove?.();
    await store.open();
    return store;
  };
  return { name: "Holdfast", isHoldfast: true, note, open };
}
