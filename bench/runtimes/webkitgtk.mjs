// WebKitGTK, driven by the WebDriver protocol: no library that drives the other browsers can.
//
// Keeps true: its window is on a display of its own, which ends with it. Nothing about Safari follows from what is measured here.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { boundToThis } from "../../scripts/steps.mjs";
import { onPath } from "../../test/runtimes/install.mjs";
import { withSite } from "./drivers.mjs";

const LIBRARIES = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/libexec"];
const CALL_MS_MAX = 900_000;
const START_MS_MAX = 20_000;
const RETRY_MS = 100;
const DISPLAY_FD = 3;

/** The driver, its browser and a display, or `undefined` where one of them is missing. */
export function findWebKit() {
  const driver = onPath("WebKitWebDriver");
  const display = onPath("Xvfb");
  const browser = LIBRARIES.filter((folder) => fs.existsSync(folder))
    .flatMap((folder) =>
      fs
        .readdirSync(folder)
        .filter((name) => name.startsWith("webkit"))
        .map((name) => path.join(folder, name)),
    )
    .map((folder) => path.join(folder, "MiniBrowser"))
    .find((file) => fs.existsSync(file));
  return [driver, display, browser].includes(undefined) ? undefined : { driver, display, browser };
}

/** A display of its own, and its number. */
async function startDisplay(command) {
  const args = ["-displayfd", String(DISPLAY_FD), "-screen", "0", "1024x768x24"];
  const child = boundToThis(spawn(command, args, { stdio: ["ignore", "ignore", "ignore", "pipe"] }));
  const number = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => reject(new Error("the display ended at once")));
    child.stdio[DISPLAY_FD].setEncoding("utf8").once("data", (text) => resolve(text.trim()));
  });
  return { child, name: `:${number}` };
}

/** A free port: the driver takes no zero. */
async function freePort() {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Calls of the protocol. Throws what the driver says. */
function caller(base) {
  return async (method, where, body) => {
    const response = await fetch(`${base}${where}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(value?.message ?? `the driver answered ${response.status}`);
    return value;
  };
}

async function newSession(call, browser) {
  const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": { binary: browser, args: ["--automation"] } } };
  const deadline = Date.now() + START_MS_MAX;
  for (;;) {
    try {
      return await call("POST", "/session", { capabilities });
    } catch (error) {
      const isStarting = error.cause?.code === "ECONNREFUSED";
      if (!isStarting || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

export async function inWebKit({ driver, display, browser }, { size, onLine, folder }) {
  const screen = await startDisplay(display);
  const port = await freePort();
  const env = { DISPLAY: screen.name, JSC_useSharedArrayBuffer: "1", XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder };
  const args = [`--port=${port}`];
  const child = boundToThis(spawn(driver, args, { stdio: "ignore", env: { ...process.env, ...env } }));
  try {
    const call = caller(`http://127.0.0.1:${port}`);
    const { sessionId, capabilities } = await newSession(call, browser);
    const at = `/session/${sessionId}`;
    try {
      await call("POST", `${at}/timeouts`, { script: CALL_MS_MAX, pageLoad: CALL_MS_MAX });
      await withSite(onLine, async (url) => {
        for (const where of ["page", "worker"]) await measureIn(call, at, url, { where, size });
      });
      return `webkitgtk ${capabilities.browserVersion}`;
    } finally {
      await call("DELETE", at).catch(() => {});
    }
  } finally {
    child.kill("SIGKILL");
    screen.child.kill("SIGKILL");
  }
}

/** The page loads its module after the address is there. */
const SCRIPT = `
const [where, settings, tell] = arguments;
const begin = () => globalThis.holdfastDo === undefined
  ? setTimeout(begin, 50)
  : globalThis.holdfastDo(where, "measure", settings).then(() => tell(null), (error) => tell(String(error?.message ?? error)));
begin();
`;

async function measureIn(call, at, url, { where, size }) {
  await call("POST", `${at}/url`, { url });
  const error = await call("POST", `${at}/execute/async`, { script: SCRIPT, args: [where, { size }] });
  if (error !== null) throw new Error(error);
}
