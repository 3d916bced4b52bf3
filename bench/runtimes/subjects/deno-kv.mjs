// `Deno.openKv`, at a path or in memory: asynchronous, and awaited one after another.
//
// Keeps true: a key is split behind its prefix, since it lists by whole parts of a key. It has no snapshot that is held and no log of
// events, so that it offers neither.

const BATCH = 500;

const partsOf = (key) => ["kv", key.slice(0, -1), key.slice(-1)];
const contentOf = ({ value }) => value;

export function denoKv({ mode, path = ":memory:", remove, note }) {
  const open = async () => {
    let kv;
    const store = {
      keeps: path !== ":memory:",
      async open() {
        kv = await Deno.openKv(path);
      },
      async load(keys, values) {
        for (let from = 0; from < keys.length; from += BATCH) {
          const batch = kv.atomic();
          for (let i = from; i < Math.min(from + BATCH, keys.length); i++) batch.set(partsOf(keys[i]), values[i]);
          await batch.commit();
        }
      },
      get: (key) => kv.get(partsOf(key)).then(contentOf),
      getMany: (keys) => kv.getMany(keys.map(partsOf)).then((found) => found.map(contentOf)),
      async list(prefix) {
        const values = [];
        for await (const { value } of kv.list({ prefix: ["kv", prefix] })) values.push(value);
        return values;
      },
      put: (key, value) => kv.set(partsOf(key), value),
      async transaction(readKeys, keys, values) {
        const found = await kv.getMany(readKeys.map(partsOf));
        const writes = kv.atomic().check(...found);
        for (let i = 0; i < keys.length; i++) writes.set(partsOf(keys[i]), values[i]);
        if (!(await writes.commit()).ok) throw new Error("a transaction had a conflict where there is none");
        return found.map(contentOf);
      },
      async count() {
        let count = 0;
        for await (const _ of kv.list({ prefix: ["kv"] })) count++;
        return count;
      },
      close: () => kv.close(),
      async remove() {
        kv.close();
        await remove?.();
      },
    };
    await store.open();
    return store;
  };
  const always = "asynchronous, awaited one by one";
  return { name: "Deno.openKv", mode, note: note === undefined ? always : `${always}; ${note}`, open };
}
