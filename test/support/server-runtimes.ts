/**
 * Node, Deno and Bun for tests that start processes of their own: this very Node, and the others as `test/runtimes/` has
 * them. What is not to be had is named, aloud and in `skipped`; on CI it fails.
 */
import { installRuntimes, serverRuntimes } from "../runtimes/install.mjs";

export interface ServerRuntime {
  readonly name: "node" | "deno" | "bun";
  readonly command: string;
  /** What goes before the script. */
  readonly args: readonly string[];
}

const NAMES = ["node", "deno", "bun"] as const;

/** How a child is started: without colours, and without looking for newer versions of its runtime. */
export const CHILD_ENVIRONMENT: NodeJS.ProcessEnv = {
  ...process.env,
  NO_COLOR: "1",
  FORCE_COLOR: undefined,
  DENO_NO_UPDATE_CHECK: "1",
  UV_USE_IO_URING: "0",
};

/** Those that are here, and one line about those that are not. */
export async function runtimesHere(): Promise<{ runtimes: readonly ServerRuntime[]; skipped: string | undefined }> {
  let complaint = "";
  try {
    await installRuntimes();
  } catch (error) {
    complaint = ` (${error instanceof Error ? error.message.split("\n")[0] : String(error)})`;
  }
  const all = serverRuntimes();
  const found = NAMES.map((name) => ({ ...all.find((runtime) => runtime.name.split(" ")[0] === name), name }));
  const runtimes = found.flatMap(({ name, command, args }) =>
    command === undefined ? [] : [{ name, command, args: args ?? [] }],
  );
  const missing = NAMES.filter((name) => runtimes.every((runtime) => runtime.name !== name));
  if (missing.length === 0) return { runtimes, skipped: undefined };
  const skipped = `no ${missing.join(", no ")} here${complaint}`;
  console.warn(`SKIPPED: ${skipped}.`);
  if (process.env["CI"] === "true") throw new Error(`${skipped}, which CI does not allow`);
  return { runtimes, skipped };
}
