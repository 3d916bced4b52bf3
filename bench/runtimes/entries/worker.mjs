// Where a worker of the page starts.
import { opfs, removeOpfs } from "../../../dist/adapters/opfs.js";
import { Database } from "../../../dist/index.js";
import { answer } from "../../../test/support/browser-stage.mjs";
import { holdfast } from "../subjects/holdfast.mjs";
import { sqliteOnOpfs } from "../subjects/sqlite-wasm.mjs";
import { measureInBrowser } from "./in-browser.mjs";

const NAME = "bench in a worker";

const groups = () =>
  ["buffered", "strict"].map((mode) => ({
    storage: "OPFS in a worker",
    mode,
    missing:
      "FileSystemSyncAccessHandle" in globalThis ? undefined : "this browser gives no synchronous handles of files",
    subjects: [
      holdfast({ Database, mode, make: () => ({ storage: opfs(NAME) }), remove: () => removeOpfs(NAME) }),
      sqliteOnOpfs({ mode }),
    ],
  }));

answer({ measure: (settings) => measureInBrowser(groups(), settings) });
