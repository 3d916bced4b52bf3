// What is the same for every SQLite there is: its tables, its statements, and how it is used.
//
// Keeps true: the fastest documented way: prepared statements, a table `WITHOUT ROWID`, an index where the work asks for one.
// Values are JSON, since SQLite knows no records.
//
// A connection is `{ exec(text), prepare(text), close() }`, and a statement `{ run(...given), get(...given), all(...given) }`, which
// give the first column alone.

const BATCH = 1000;
const GROUP = 10;
const SCHEMA = `
create table if not exists kv (k text primary key, v text not null) without rowid;
create table if not exists events (seq integer primary key, type text not null, payload text not null);
create index if not exists events_by_type on events (type);
`;
const STATEMENTS = {
  begin: "begin",
  commit: "commit",
  get: "select v from kv where k = ?",
  some: `select v from kv where k in (${Array(GROUP).fill("?").join(", ")})`,
  list: "select v from kv where k >= ? and k < ? order by k",
  put: "insert into kv values (?, ?) on conflict (k) do update set v = excluded.v",
  append: "insert into events (type, payload) values (?, ?)",
  events: "select count(*) from events",
  count: "select count(*) from kv",
};

/** Above every character that a key has. */
const ABOVE_ALL = "\u{10ffff}";

/** Pragmas by mode; `JOURNAL` is to be `wal`. */
const SYNCHRONOUS = { "in-memory": undefined, buffered: "normal", strict: "full" };

/** @param connect opens a connection, anew after each `close` @param remove what takes it away */
export function sqlite({ name, mode, connect, note, remove, pragmas = "" }) {
  const open = async () => {
    let sql;
    let of;
    const decoded = (texts) => texts.map((text) => JSON.parse(text));
    const store = {
      keeps: mode !== "in-memory",
      async open() {
        sql = await connect();
        if (pragmas !== "") sql.exec(pragmas);
        if (SYNCHRONOUS[mode] !== undefined) {
          const journal = sql.prepare("pragma journal_mode = wal").get();
          if (journal !== "wal") throw new Error(`its journal is ${journal} where wal was asked for`);
          sql.exec(`pragma synchronous = ${SYNCHRONOUS[mode]}`);
        }
        sql.exec(SCHEMA);
        of = Object.fromEntries(Object.entries(STATEMENTS).map(([key, text]) => [key, sql.prepare(text)]));
      },
      load(keys, values) {
        for (let from = 0; from < keys.length; from += BATCH) {
          of.begin.run();
          for (let i = from; i < Math.min(from + BATCH, keys.length); i++)
            of.put.run(keys[i], JSON.stringify(values[i]));
          of.commit.run();
        }
      },
      get: (key) => JSON.parse(of.get.get(key)),
      getMany: (keys) => decoded(of.some.all(...keys)),
      list: (prefix) => decoded(of.list.all(prefix, `${prefix}${ABOVE_ALL}`)),
      snapshotGet(key) {
        of.begin.run();
        const text = of.get.get(key);
        of.commit.run();
        return JSON.parse(text);
      },
      put: (key, value) => of.put.run(key, JSON.stringify(value)),
      transaction(readKeys, keys, values) {
        of.begin.run();
        const found = readKeys.map((key) => JSON.parse(of.get.get(key)));
        for (let i = 0; i < keys.length; i++) of.put.run(keys[i], JSON.stringify(values[i]));
        of.commit.run();
        return found;
      },
      append: (type, payload) => of.append.run(type, JSON.stringify(payload)),
      appended: () => of.events.get(),
      count: () => of.count.get(),
      bytes: () => sql.prepare("pragma page_count").get() * sql.prepare("pragma page_size").get(),
      close: () => sql.close(),
      async remove() {
        sql.close();
        await remove?.();
      },
    };
    await store.open();
    return store;
  };
  const always = "values are JSON text; an event has no chain of hashes";
  return { name, note: note === undefined ? always : `${always}; ${note}`, open };
}
