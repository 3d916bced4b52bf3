/** A browser as a client: its page is bundled as an application would bundle it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, launch, serve } from "../support/browsers.mjs";

const CALL_MS_MAX = 60_000;

/** Has a page take a step. @returns what it has found */
export async function takeStepIn(name, executablePath, step) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-nats-page-"));
  const site = join(folder, "site");
  await bundle(join(import.meta.dirname, "client-page.mjs"), site);
  const served = await serve(site);
  try {
    const browser = await launch(name, { executablePath, profile: join(folder, "profile"), callMsMax: CALL_MS_MAX });
    try {
      const page = await browser.newPage();
      await page.open(served.url, "takeStep");
      return await page.call(step);
    } finally {
      await browser.close();
    }
  } finally {
    served.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
