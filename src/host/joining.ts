/**
 * The storage of another worker, as a worker that attaches comes to it.
 */
import type { JoinTicket, StorageCapabilities, StorageSession } from "../adapters/storage.js";
import { HoldfastError } from "../errors.js";
import { loaded } from "./loading.js";
import { hasFiles } from "./platform.js";

/** A session of another worker over a storage that is open. */
export interface JoinedStorage {
  readonly capabilities: StorageCapabilities;
  readonly session: StorageSession;
}

/** Joins the storage that a ticket is of. @throws HoldfastError `UNSUPPORTED` where that cannot be reached from here. */
export async function joinStorage(ticket: JoinTicket | undefined): Promise<JoinedStorage> {
  if (ticket?.kind === "files" && hasFiles()) {
    const { joinFiles } = await loaded(import("../adapters/node-fs.js"));
    return joinFiles(ticket);
  }
  throw new HoldfastError("UNSUPPORTED", `This worker cannot write to the storage (${ticket?.kind}) of the database.`);
}
