/**
 * Takes the pictures of the sandbox that its README shows, in Chromium: `node test/example-browser/figures.mjs`.
 *
 *     docs/figures/sandbox-light.png    the graph, near the end
 *     docs/figures/sandbox-dark.png     back in time, with what a version has changed
 *     docs/figures/sandbox-phone.png    at the width of a phone, after a kill
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/steps.mjs";
import { findChromium } from "../runtimes/install.mjs";
import { pauseAt } from "./cases.mjs";
import { buildSandbox, serveSandbox, startBrowser } from "./drive.mjs";

const BYTES_MAX = 160_000;
/** The refresh that shows a click, and the one that may already be under way. */
const SETTLE_MS = 700;
const settled = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

const PICTURES = [
  {
    name: "sandbox-light",
    options: { width: 1280, height: 860 },
    async show(sandbox) {
      await pauseAt(sandbox, 38);
      await sandbox.tab("graph");
    },
  },
  {
    name: "sandbox-dark",
    options: { width: 1280, height: 760, dark: true },
    async show(sandbox) {
      await pauseAt(sandbox, 50);
      await sandbox.tab("versions");
      await sandbox.choose("hi-time", "29");
    },
  },
  {
    name: "sandbox-phone",
    options: { width: 390, height: 844 },
    async show(sandbox) {
      await pauseAt(sandbox, 28);
      await sandbox.click("kill");
    },
  },
];

async function main() {
  const executablePath = await findChromium();
  if (executablePath === undefined) throw new Error("There is no Chromium; CHROME_PATH names one.");
  await buildSandbox();
  const server = await serveSandbox({ isolated: true });
  try {
    for (const { name, options, show } of PICTURES) {
      const browser = await startBrowser({ name: "chromium", executablePath, ...options });
      try {
        const { sandbox } = await browser.open(server.url);
        await show(sandbox);
        await settled();
        const path = join(ROOT, `docs/figures/${name}.png`);
        await sandbox.page.screenshot({ path });
        const bytes = statSync(path).size;
        console.log(`${path}: ${bytes} bytes`);
        if (bytes > BYTES_MAX) throw new Error(`${name} is larger than ${BYTES_MAX} bytes.`);
      } finally {
        await browser.close();
      }
    }
  } finally {
    server.close();
  }
}

await main();
