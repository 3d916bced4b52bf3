/**
 * A database that was not opened but attached to, for suites that hold for any database: the one that it belongs to is opened
 * beside it, kept open for as long, and never used.
 */
import { Database } from "../../src/index.js";
import type { OpenOptions } from "./context.js";

/** Opens a database in shared memory and attaches to it; both go into `opened`, which is closed from its end. */
export async function openAttached(options: OpenOptions, opened: Database[]): Promise<Database> {
  const { signal, trace, environment, ...rest } = options;
  const owner = await Database.open({ ...rest, environment, shared: true });
  opened.push(owner);
  const attached = await Database.attach(owner.share(), { signal, trace, environment });
  opened.push(attached);
  return attached;
}
