import { defineConfig } from "vite";

const ISOLATING = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
/** With `HOLDFAST_ISOLATED=1` the page is isolated: its clock is finer, and memory could be shared. It works the same without. */
const headers = process.env["HOLDFAST_ISOLATED"] === "1" ? ISOLATING : {};

export default defineConfig({
  // A relative base lets the built page stand in any folder of any server.
  base: "./",
  // What is only needed now and then, as the code that reads a log, is loaded then.
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
  // Every browser that it works in preloads modules by itself.
  build: { outDir: "../../build/example-browser", emptyOutDir: true, modulePreload: { polyfill: false } },
});
