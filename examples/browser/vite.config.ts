import { defineConfig, type Plugin } from "vite";

const ISOLATING = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
/** With `HOLDFAST_ISOLATED=1` the page is isolated: its clock is finer, and memory could be shared. It works the same without. */
const headers = process.env["HOLDFAST_ISOLATED"] === "1" ? ISOLATING : {};

/** Comments and indentation are for who reads the source. */
const lean: Plugin = {
  name: "lean-page",
  transformIndexHtml: (html) => html.replace(/<!--.*?-->/gs, "").replace(/\n\s+/g, "\n"),
};

export default defineConfig({
  plugins: [lean],
  // A relative base lets the built page stand in any folder of any server.
  base: "./",
  // What is only needed now and then, as the code that reads a log, is loaded then.
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
  // Every browser that it works in preloads modules by itself.
  build: { outDir: "../../build/example-browser", emptyOutDir: true, modulePreload: { polyfill: false } },
});
