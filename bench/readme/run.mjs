// `npm run bench:readme`: makes the scorecard, the README's block and its picture anew from docs/figures/figures.json, without
// measuring anything.

import { ensurePeers } from "../dependencies.mjs";
import { publishData, readData } from "../red-flags/publish.mjs";

ensurePeers((line) => process.stderr.write(`${line}\n`));
for (const file of await publishData(readData())) process.stdout.write(`wrote ${file}\n`);
