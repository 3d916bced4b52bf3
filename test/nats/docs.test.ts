/** What docs/FLEET.md shows has right types against the built package, and runs, on a cluster; and so does the example. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf, missingFrom } from "../support/code-blocks.mjs";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { describeWithServer } from "./server.js";

const ROOT = join(import.meta.dirname, "../..");
const RUN_MS_MAX = 200_000;

describeWithServer("the guide to fleets", () => {
  const folder = mkdtempSync(join(tmpdir(), "hf-fleet-docs-"));
  let cluster: NatsServers;

  beforeAll(async () => {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(ROOT, join(folder, "node_modules/holdfast"), "junction");
    for (const name of ["@types", "@nats-io"]) {
      symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name), "junction");
    }
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    cluster = await startNatsServers({ size: 3 });
  });

  afterAll(async () => {
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const runNode = (...args: string[]): { ok: boolean; output: string } => {
    const options = { cwd: folder, encoding: "utf8", timeout: RUN_MS_MAX, killSignal: "SIGKILL" } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
    return { ok: status === 0, output: stdout + stderr };
  };

  test("shows code that runs", () => {
    const blocks = blocksOf(readFileSync(join(ROOT, "docs/FLEET.md"), "utf8"));
    expect(blocks.map(({ runnable }) => runnable)).toEqual([true]);
    for (const [at, { code }] of blocks.entries()) {
      const servers = /servers: \[.*?\]/;
      expect(code).toMatch(servers);
      writeFileSync(
        join(folder, `block-${at}.ts`),
        code.replace(servers, `servers: ${JSON.stringify(cluster.servers)}`),
      );
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      const flags = ["--target", "ES2022", "--lib", "ES2024,ESNext.Disposable,DOM", "--module", "NodeNext", "--strict"];
      const compiled = runNode(tsc, ...flags, "--types", "node", "--skipLibCheck", "--outDir", "out", `block-${at}.ts`);
      expect(compiled.ok, compiled.output).toBe(true);
      const ran = runNode(join("out", `block-${at}.js`));
      expect(ran.ok, ran.output).toBe(true);
      const wanted = [...code.matchAll(/^\/\/ expect: (.*)$/gm)].map(([, line = ""]) => line);
      expect(wanted).not.toEqual([]);
      for (const line of wanted) expect(ran.output).toContain(line);
      expect(missingFrom(ran.output, code)).toEqual([]);
    }
  });

  test("has an example in which a process is killed, and no step of an agent is lost or made twice", () => {
    const demo = join(ROOT, "examples/fleet/demo.mjs");
    const { ok, output } = runNode(demo, "--servers", cluster.servers.join(","), "--lease-ms", "1000");
    expect(ok, output).toBe(true);
    expect(output).toContain("100 of 100 agents have all 20 steps");
    expect(output).toContain("The first process ended by SIGKILL");
  });
});
