// Writes the page of what lies in a folder of reports, and in other files.

import fs from "node:fs";
import { gather } from "./gather.mjs";
import { renderPage } from "./html.mjs";

export async function writePage(folder, file, others = []) {
  fs.writeFileSync(file, await renderPage(gather(folder, others)));
}
