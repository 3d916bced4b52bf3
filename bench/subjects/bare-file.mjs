// What the disk itself charges: bytes appended to a file by `write`, and `fdatasync`. No store can be strict for less.

import fs from "node:fs";
import path from "node:path";

/** @param options `bytes` is what one put appends; it should be what the store under comparison appends. */
export function openBareFile({ folder, bytes }) {
  const file = fs.openSync(path.join(folder, "bare.log"), "a");
  const record = Buffer.alloc(bytes, 0x2e);
  return {
    put() {
      let written = 0;
      while (written < bytes) written += fs.writeSync(file, record, written);
      fs.fdatasyncSync(file);
    },
    close: () => fs.closeSync(file),
  };
}
