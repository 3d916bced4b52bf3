/**
 * What is remembered of a database beside it, in another of the browser's storages, so that one that was there and is gone
 * is not taken for one that never was: its highest epoch.
 *
 *     of a database in files        a record in the IndexedDB database `holdfast-known`, from workers and pages
 *     of one in IndexedDB           an item `holdfast:known:<name>` in localStorage, from pages; workers have none
 *
 * What it cannot tell: browsers evict all that an origin has at once, and "clear site data" takes this with the rest. It
 * notices what takes one storage and leaves the other. It is a hint, kept on a best effort: what fails here is not told.
 */

import { del, get, set, type UseStore } from "idb-keyval";

export type Place = "opfs" | "indexeddb";

const DATABASE = "holdfast-known";
const STORE = "epochs";
const ITEM_PREFIX = "holdfast:known:";

function items(): Storage | undefined {
  return (globalThis as { localStorage?: Storage }).localStorage;
}

/** A connection of its own for each call: one that stayed open would be in the way of whoever clears it. */
const records: UseStore = async (mode, callback) => {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(DATABASE);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  try {
    return await callback(database.transaction(STORE, mode).objectStore(STORE));
  } finally {
    database.close();
  }
};

/** The highest epoch that the database is known to have had; 0 where nothing is known of it. */
export async function recall(place: Place, name: string): Promise<number> {
  try {
    const known =
      place === "indexeddb" ? Number(items()?.getItem(ITEM_PREFIX + name)) : await get<unknown>(name, records);
    return typeof known === "number" && Number.isInteger(known) && known > 0 ? known : 0;
  } catch {
    return 0;
  }
}

/** Keeps that the database holds something, and has this epoch. */
export async function remember(place: Place, name: string, epoch: number): Promise<void> {
  try {
    if (place === "indexeddb") items()?.setItem(ITEM_PREFIX + name, String(epoch));
    else await set(name, epoch, records);
  } catch {
    // Without it the loss of the database would go unnoticed, and nothing else.
  }
}

/** Of a database that was deleted on purpose. */
export async function forget(place: Place, name: string): Promise<void> {
  try {
    if (place === "indexeddb") items()?.removeItem(ITEM_PREFIX + name);
    else await del(name, records);
  } catch {
    // As above.
  }
}
