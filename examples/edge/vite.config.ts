import { defineConfig } from "vite";

export default defineConfig({
  ssr: { noExternal: true, target: "webworker" },
  build: {
    ssr: "worker.ts",
    target: "es2022",
    outDir: "../../build/example-edge",
    emptyOutDir: true,
    minify: true,
    rollupOptions: {
      // workerd compiles nothing from bytes: it is given the core as a module beside this one.
      external: /\.wasm$/,
      output: { entryFileNames: "worker.js", codeSplitting: false },
    },
  },
});
