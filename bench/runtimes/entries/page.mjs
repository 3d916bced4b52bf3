// Where a page starts, by `holdfastDo("page" | "worker", "measure", settings)`.

import { indexedDb, removeIndexedDb } from "../../../dist/adapters/indexeddb.js";
import { memory } from "../../../dist/adapters/memory.js";
import { opfs, removeOpfs } from "../../../dist/adapters/opfs.js";
import { Database } from "../../../dist/index.js";
import { stage } from "../../../test/support/browser-stage.mjs";
import { dexie } from "../subjects/dexie.mjs";
import { holdfast } from "../subjects/holdfast.mjs";
import { idbKeyval } from "../subjects/idb-keyval.mjs";
import { sqliteInMemory } from "../subjects/sqlite-wasm.mjs";
import { measureInBrowser } from "./in-browser.mjs";

const NAME = "bench";
const own = (mode, make, remove, note) =>
  holdfast({
    Database,
    mode,
    later: mode === "strict",
    make: () => ({ storage: make(NAME) }),
    remove: () => remove(NAME),
    note: mode === "strict" ? "transactionAsync, awaited one by one" : note,
  });
const QUEUED = "a put returns once it is queued, as buffered promises there";
const inIndexedDb = (mode) => own(mode, indexedDb, removeIndexedDb, QUEUED);
const inOpfs = (mode) => own(mode, opfs, removeOpfs, QUEUED);

/** Why there is no origin private file system, where there is none. */
const missing = () =>
  navigator.storage?.getDirectory === undefined ? "this browser gives no origin private file system here" : undefined;

const groups = () => [
  {
    storage: "memory",
    mode: "in-memory",
    subjects: [holdfast({ Database, mode: "in-memory", make: () => ({ storage: memory() }) }), sqliteInMemory()],
  },
  {
    storage: "IndexedDB",
    mode: "buffered",
    subjects: [inIndexedDb("buffered"), idbKeyval(), dexie({ mode: "buffered" })],
  },
  { storage: "IndexedDB", mode: "strict", subjects: [inIndexedDb("strict"), dexie({ mode: "strict" })] },
  ...["buffered", "strict"].map((mode) => ({
    storage: "OPFS by the adapter's worker",
    mode,
    missing: missing(),
    subjects: [inOpfs(mode)],
  })),
];

stage({ measure: (settings) => measureInBrowser(groups(), settings) }, () => {
  return new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
});
