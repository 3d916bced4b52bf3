/** What workerd, and bundlers for it, give for a module of WebAssembly. */
declare module "*.wasm" {
  const compiled: WebAssembly.Module;
  // biome-ignore lint/style/noDefaultExport: what the platform gives
  export default compiled;
}
