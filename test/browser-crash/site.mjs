/**
 * The page of these tests, and the ledger that stands outside of the browser: a server that hands out the one and keeps the
 * other. What was told to it outlives whatever happens to the browser.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../../scripts/steps.mjs";

const SITE = join(ROOT, "build/browser-crash");
const ENTRY = fileURLToPath(new URL("./page.mjs", import.meta.url));
const HEADERS = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const PAGE = `<!doctype html><meta charset="utf-8"><title>Holdfast</title><link rel="icon" href="data:,">
<script type="module" src="/page.js"></script>`;

/** Bundles the program as an application would bundle the package. */
export async function bundle() {
  const { build } = await import("vite");
  await build({
    root: ROOT,
    base: "./",
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: {
      outDir: SITE,
      emptyOutDir: true,
      target: "es2022",
      minify: false,
      assetsInlineLimit: 0,
      modulePreload: false,
      rollupOptions: { input: { page: ENTRY }, output: { entryFileNames: "[name].js" } },
    },
    worker: { format: "es" },
  });
}

/** What one case has told, in the order in which it came. */
export class Ledger {
  /** The highest commit below which every one was acknowledged, and the highest at all. */
  acknowledged = 0;
  count = 0;
  events = [];
  #waiting = [];

  note(path, about) {
    if (path === "/ack") {
      this.acknowledged = Math.max(this.acknowledged, about.i);
      this.count += 1;
    } else this.events.push(about);
    this.#waiting = this.#waiting.filter((it) => !it());
  }

  /** Returns when `condition` holds; throws after `msMax`. */
  until(condition, what, msMax = 20_000) {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited ${msMax} ms for ${what}; told: ${JSON.stringify(this.events)}`)),
        msMax,
      );
      this.#waiting.push(() => {
        if (!condition()) return false;
        clearTimeout(timer);
        resolve();
        return true;
      });
    });
  }
}

/** Serves the page. @returns its URL, the ledgers by case, and what ends it */
export async function serve() {
  const ledgers = new Map();
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (request.method === "POST") {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const about = JSON.parse(body);
        ledgers.get(about.id)?.note(path, about);
        response.writeHead(204, HEADERS).end();
      });
      return;
    }
    const file = path === "/" ? "index.html" : path.slice(1);
    try {
      const content = file === "index.html" ? PAGE : readFileSync(join(SITE, file));
      response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
      response.end(content);
    } catch {
      response.writeHead(404, HEADERS).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    ledgers,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
