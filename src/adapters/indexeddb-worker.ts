/** The worker that a storage in IndexedDB starts for a database whose memory several workers share. */

import { accompany } from "../host/drainer.js";
import { IndexedDbStorage } from "./indexeddb-session.js";
import { serveStorage } from "./shared-server.js";

serveStorage({ storageOf: (name, segmentBytesTarget) => new IndexedDbStorage(name, segmentBytesTarget), accompany });
