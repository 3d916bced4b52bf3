/**
 * Where the core's bytes stand: in two files beside this one, once the package is built.
 *
 * `new URL("./…", import.meta.url)` is the form that bundlers recognise and rewrite. It names no folder, so that with a bundler
 * that does not recognise it a copy of the files beside the bundle is found.
 */

/** The address of the build for memory that is shared, or for memory that is not. */
export function coreFile(shared: boolean): URL {
  return shared ? new URL("./shared.wasm", import.meta.url) : new URL("./single.wasm", import.meta.url);
}
