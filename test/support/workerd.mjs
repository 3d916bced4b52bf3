/**
 * What everything that runs in workerd needs: a module and what it imports as one file, beside it the core as a module of its
 * own, and a server that runs both behind a socket of this machine.
 *
 * What it keeps true: nothing is compiled from bytes, which is refused there: whoever says `import core from "./single.wasm"` gets
 * a `WebAssembly.Module`. The port is one that was free, and said by workerd itself. Durable Objects are kept in a directory of the
 * caller's, which is what is left when the process is killed.
 */
import { spawn } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { boundToThis, ROOT } from "../../scripts/steps.mjs";

const CORE = join(ROOT, "dist/single.wasm");
const START_MS_MAX = 20_000;
/** What the platform was on that day: settings that were added later are off. */
const COMPATIBILITY_DATE = "2026-11-01";
/** The descriptor by which workerd says which port it listens on: the first behind the three of every process. */
const CONTROL_FD = 3;

/** What a worker with a class of Durable Objects has besides: they are backed by SQLite and bound as `OBJECTS`. */
const OBJECTS = (className) => `
  durableObjectNamespaces = [(className = "${className}", uniqueKey = "${className}", enableSql = true)],
  durableObjectStorage = (localDisk = "state"),
  bindings = [(name = "OBJECTS", durableObjectNamespace = "${className}")],`;

const CONFIG = (objectClass) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "state", disk = (writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "${basename(CORE)}", wasm = embed "${basename(CORE)}"),
  ],
  compatibilityDate = "${COMPATIBILITY_DATE}",${objectClass === undefined ? "" : OBJECTS(objectClass)}
);
`;

/**
 * Bundles a module and what it imports, dynamic imports too, into a folder that {@link serveWorkerd} takes; `objectClass` is the
 * class of Durable Objects that it exports, if it does.
 */
export async function bundleForWorkerd(entry, folder, objectClass) {
  const { build } = await import("vite");
  await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    publicDir: false,
    ssr: { noExternal: true, target: "webworker" },
    build: {
      outDir: folder,
      emptyOutDir: true,
      ssr: entry,
      target: "es2022",
      minify: false,
      rollupOptions: {
        external: (id) => id.endsWith(".wasm"),
        output: { entryFileNames: "worker.js", format: "es", codeSplitting: false },
      },
    },
  });
  copyFileSync(CORE, join(folder, basename(CORE)));
  writeFileSync(join(folder, "config.capnp"), CONFIG(objectClass));
}

/**
 * Starts workerd on a folder that has a `config.capnp`; Durable Objects are kept in the directory `state`, which has to be there.
 * @returns its URL, what it wrote, and what ends it at once, by SIGKILL
 */
export async function serveWorkerd(executable, folder, state = folder) {
  const args = ["serve", join(folder, "config.capnp"), `--control-fd=${CONTROL_FD}`, `--directory-path=state=${state}`];
  args.push("--socket-addr=http=127.0.0.1:0");
  const child = boundToThis(spawn(executable, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] }));
  let noise = "";
  const collect = (chunk) => {
    noise += chunk;
  };
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);
  const ended = new Promise((resolve) => child.once("close", resolve));
  const close = () => {
    child.kill("SIGKILL");
    return ended;
  };
  try {
    const port = await portOf(child);
    return { url: `http://127.0.0.1:${port}/`, noise: () => noise, close };
  } catch (error) {
    await close();
    throw new Error(`${error.message}\n${noise}`.trim());
  }
}

/** The port that workerd says it listens on. */
function portOf(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`workerd did not listen within ${START_MS_MAX} ms`)), START_MS_MAX);
    const settle = (then, value) => {
      clearTimeout(timer);
      then(value);
    };
    child.once("error", (error) => settle(reject, error));
    child.once("close", (code) => settle(reject, new Error(`workerd ended with exit code ${code}`)));
    createInterface({ input: child.stdio[CONTROL_FD] }).on("line", (line) => {
      const said = JSON.parse(line);
      if (said.event === "listen") settle(resolve, said.port);
    });
  });
}
