/**
 * Each fault that is planted makes a test fail which passes without it: `HOLDFAST_PLANT` says which one the sources are given.
 * `HOLDFAST_PLANTED=skip` leaves them out.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PLANTS } from "./plants.js";
import { describeWithServer } from "./server.js";

const ROOT = join(import.meta.dirname, "../..");
const RUN_MS_MAX = 200_000;

describeWithServer("a test fails where the adapter", () => {
  test.skipIf(process.env["HOLDFAST_PLANTED"] === "skip").each(PLANTS.map((plant, at) => ({ ...plant, at })))(
    "$name",
    ({ at, caughtBy: [file, title] }) => {
      const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
      const args = [
        "run",
        "--config",
        "test/nats/vitest.config.ts",
        "--testTimeout=20000",
        `test/nats/${file}`,
        "-t",
        title,
      ];
      const env = { ...process.env, HOLDFAST_PLANT: String(at), NO_COLOR: "1" };
      const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, ...args], {
        cwd: ROOT,
        encoding: "utf8",
        env,
        timeout: RUN_MS_MAX,
        killSignal: "SIGKILL",
      });
      expect(status, stdout + stderr).toBe(1);
      expect(stdout + stderr).toMatch(/Tests +1 failed/);
    },
  );
});
