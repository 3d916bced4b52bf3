// The directory that holds the peers' files while the benchmark runs.
//
// Keeps true: it lies under the project, because the system's temporary directory is often memory, where a sync costs
// nothing and says nothing; what file system it is on is found out and reported; it is gone afterwards, also when the
// benchmark fails or is interrupted.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PARENT = fileURLToPath(new URL("./results/tmp/", import.meta.url));

// A shell's convention: 128 and the signal's number.
const EXIT_AFTER_SIGINT = 130;
const EXIT_AFTER_SIGTERM = 143;

// The kernel's magic numbers, linux/magic.h.
const FILE_SYSTEMS = new Map([
  [0xef53, "ext"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x2fc12fc1, "zfs"],
  [0x794c7630, "overlay"],
  [0x6969, "nfs"],
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);
const IN_MEMORY = new Set(["tmpfs", "ramfs"]);

export function openScratch() {
  fs.mkdirSync(PARENT, { recursive: true });
  const root = fs.mkdtempSync(path.join(PARENT, "run-"));
  const remove = () => {
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    // Another benchmark may be at work beside this one: the parent goes with the last.
    if (fs.existsSync(PARENT) && fs.readdirSync(PARENT).length === 0) fs.rmdirSync(PARENT);
  };
  process.once("exit", remove);
  process.once("SIGINT", () => process.exit(EXIT_AFTER_SIGINT));
  process.once("SIGTERM", () => process.exit(EXIT_AFTER_SIGTERM));

  const fileSystem = fileSystemOf(root);
  let folders = 0;
  return {
    fileSystem,
    isMemory: IN_MEMORY.has(fileSystem),
    /** A new, empty folder. */
    folder(name) {
      const folder = path.join(root, `${String(folders++).padStart(2, "0")}-${name}`);
      fs.mkdirSync(folder);
      return folder;
    },
    remove,
  };
}

function fileSystemOf(folder) {
  if (process.platform !== "linux") return process.platform;
  const type = fs.statfsSync(folder).type >>> 0;
  return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}

/** The bytes of all files directly in `folder` and below. */
export function bytesUnder(folder) {
  let bytes = 0;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += fs.statSync(path.join(entry.parentPath ?? entry.path, entry.name)).size;
  }
  return bytes;
}
