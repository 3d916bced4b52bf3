/**
 * What only a storage in IndexedDB has to keep: what it finds of checkpoints that were never finished, and the epoch that is its
 * fence where there are no Web Locks.
 */
import type { StorageCapabilities, StorageSession } from "../../src/adapters/storage.js";
import { deepEqual, equal, ok, rejectsCode } from "./assert.js";
import type { Case, Context } from "./context.js";

/** A case over one database, whose name the context has as its path. */
function inDatabase(name: string, run: (name: string, context: Context) => Promise<void>): Case {
  return {
    name,
    needs: ({ kind }: StorageCapabilities) => kind === "indexeddb",
    run: (context) => run(context.path ?? "", context),
  };
}

const bytes = (byteLength: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: byteLength }, (_, i) => (i * 7 + seed * 31) & 255);

async function checkpointed(session: StorageSession, number: number): Promise<void> {
  const writer = await session.beginCheckpoint(number);
  await writer.write(bytes(100, number));
  await writer.commit();
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Does it to the one object store of the database of that name, from outside. */
async function inStore<T>(name: string, use: (store: IDBObjectStore) => Promise<T>): Promise<T> {
  const database = await resultOf(indexedDB.open(name));
  try {
    const store = database.objectStoreNames.item(0) ?? "";
    return await use(database.transaction(store, "readwrite").objectStore(store));
  } finally {
    database.close();
  }
}

/** Does it where there are no Web Locks. */
async function withoutLocks(work: () => Promise<void>): Promise<void> {
  Object.defineProperty(navigator, "locks", { configurable: true, value: undefined });
  try {
    await work();
  } finally {
    Reflect.deleteProperty(navigator, "locks");
  }
}

/** The next writing transaction tells of its end only once `release` is called; `ended` tells when it would have done so. */
function holdNextWrite(): { ended: Promise<void>; release: () => void } {
  const { prototype } = IDBDatabase;
  const { transaction } = prototype;
  let release = (): void => {};
  const ended = new Promise<void>((resolve) => {
    prototype.transaction = function (...given) {
      const held = transaction.apply(this, given);
      if (given[1] !== "readwrite") return held;
      prototype.transaction = transaction;
      const hold = (event: Event): void => {
        event.stopImmediatePropagation();
        held.removeEventListener("complete", hold);
        release = () => held.dispatchEvent(new Event("complete"));
        resolve();
      };
      held.addEventListener("complete", hold);
      return held;
    };
  });
  return { ended, release: () => release() };
}

export function indexedDbContract(): Case[] {
  return [
    inDatabase("removes what is left of unfinished checkpoints between those that are whole", async (name, context) => {
      const owner = await context.storage().open({ readOnly: false });
      for (const number of [2, 3, 6]) await checkpointed(owner, number);
      await owner.close();
      await inStore(name, async (store) => {
        for (const number of [0, 1, 4, 5, 7, 900]) {
          for (const offset of [0, 100]) store.put(bytes(100, number), ["part", number, offset]);
        }
      });
      const next = await context.storage().open({ readOnly: false });
      for (const number of [2, 3, 6]) {
        const into = new Uint8Array(200);
        equal(await next.readCheckpoint(number, 0, into), 100, `bytes of checkpoint ${number}`);
        deepEqual(into.subarray(0, 100), bytes(100, number), `content of checkpoint ${number}`);
      }
      await next.close();
      const keys = await inStore(name, (store) =>
        resultOf(store.getAllKeys(IDBKeyRange.bound(["part"], ["part", []]))),
      );
      deepEqual(
        keys,
        [2, 3, 6].map((number) => ["part", number, 0]),
        "parts",
      );
    }),
    inDatabase("an opener that was held up takes nothing away from the owner that came after it", (_, context) =>
      withoutLocks(async () => {
        const { ended, release } = holdNextWrite();
        const opening = context.storage().open({ readOnly: false });
        await ended;
        const owner = await context.storage().open({ readOnly: false });
        const writer = await owner.beginCheckpoint(1);
        await writer.write(bytes(100, 1));
        release();
        const late = await opening;
        ok(late.epoch < owner.epoch, "an epoch below the owner's");
        await rejectsCode("STORE_FAILED", () => late.createSegment(1, bytes(10, 1)));
        await late.close();
        await writer.write(bytes(100, 2));
        await writer.commit();
        const into = new Uint8Array(300);
        equal(await owner.readCheckpoint(1, 0, into), 200, "bytes of the checkpoint");
        deepEqual(into.subarray(0, 100), bytes(100, 1), "what was written first");
        deepEqual(into.subarray(100, 200), bytes(100, 2), "what was written then");
        await owner.close();
      }),
    ),
  ];
}
