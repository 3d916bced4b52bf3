// `npm run bench:page`: one HTML page with plots of what lies in bench/results/, the newest of everything.
//
//   --out FILE    write the page to FILE instead of bench/results/<date>.html

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensurePeers } from "../dependencies.mjs";

const RESULTS = fileURLToPath(new URL("../results/", import.meta.url));

ensurePeers((line) => process.stderr.write(`${line}\n`));
const { values } = parseArgs({ options: { out: { type: "string" } } });
const { writePage } = await import("./write.mjs");
const date = new Date().toISOString().replaceAll(":", "-");
const file = path.resolve(values.out ?? path.join(RESULTS, `${date}.html`));
fs.mkdirSync(path.dirname(file), { recursive: true });
await writePage(RESULTS, file);
process.stderr.write(`page written to ${path.relative(process.cwd(), file)}\n`);
