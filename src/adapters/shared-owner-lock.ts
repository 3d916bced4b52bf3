/**
 * Who owns a database in a browser: an exclusive Web Lock of the origin.
 *
 * What it keeps true:
 *  - an owner that lives is never waited for: whoever comes second is told at once. The lock of a tab or worker that died is
 *    given back by the browser;
 *  - a lock that was taken away is told to its holder once; one that was released is not;
 *  - where there are no Web Locks there is no lock, and the storage's own fence must do.
 */

import { HoldfastError } from "../errors.js";

export class OwnerLock {
  #letGo: () => void = () => {};
  #held: Promise<unknown> = Promise.resolve();
  #onLost: ((reason: string) => void) | undefined;
  #released = false;

  private constructor() {}

  /**
   * Takes the lock called `resource` for the database `name`; returns nothing where there are no Web Locks.
   * @throws HoldfastError `LOCKED` with the holder's client id while another one has it
   */
  static async acquire(resource: string, name: string): Promise<OwnerLock | undefined> {
    const locks = globalThis.navigator?.locks;
    if (locks === undefined) return undefined;
    const lock = new OwnerLock();
    const granted = await new Promise<boolean>((resolve, reject) => {
      lock.#held = locks.request(resource, { mode: "exclusive", ifAvailable: true }, (held) => {
        resolve(held !== null);
        if (held === null) return undefined;
        return new Promise<void>((letGo) => {
          lock.#letGo = letGo;
        });
      });
      lock.#held.catch((error) => {
        reject(error);
        if (!lock.#released) lock.#onLost?.(`the lock was taken away: ${String(error)}`);
      });
    });
    if (granted) return lock;
    const owner = (await locks.query()).held?.find((held) => held.name === resource);
    throw lockedByOther(name, owner?.clientId);
  }

  onLost(listener: (reason: string) => void): void {
    this.#onLost = listener;
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#letGo();
    await this.#held.catch(() => {});
  }
}

/** What a second owner is told. */
export function lockedByOther(name: string, clientId: string | undefined, cause?: unknown): HoldfastError {
  return new HoldfastError("LOCKED", `Another tab or worker has the database ${name} open. Close it there first.`, {
    cause,
    details: { name, clientId },
  });
}

/**
 * Calls `listener` when the page is put into the back-forward cache: it is frozen there and must not keep others out; when it
 * comes back it has to open again. Returns what ends that.
 */
export function onPutAside(listener: () => void): () => void {
  if (typeof globalThis.addEventListener !== "function") return () => {};
  const onPageHide = (event: Event): void => {
    if ((event as PageTransitionEvent).persisted) listener();
  };
  globalThis.addEventListener("pagehide", onPageHide);
  return () => globalThis.removeEventListener("pagehide", onPageHide);
}

/** Whether the browser promises not to evict what this origin stores; `undefined` where it cannot say. */
export async function persistedHint(): Promise<boolean | undefined> {
  try {
    return await globalThis.navigator?.storage?.persisted?.();
  } catch {
    return undefined;
  }
}
