import { defineConfig } from "vite";

export default defineConfig({
  // A relative base lets the built page stand in any folder of any server.
  base: "./",
  build: { outDir: "../../build/example-browser", emptyOutDir: true },
});
