/**
 * The worker that a storage in the origin private file system starts: for a page, which has no synchronous access to files,
 * and for a database whose memory several workers share.
 */

import { accompany } from "../host/drainer.js";
import { OwnedStorage } from "./opfs-owned.js";
import { serveStorage } from "./shared-server.js";

serveStorage({ storageOf: (name, segmentBytesTarget) => new OwnedStorage(name, segmentBytesTarget), accompany });
