/**
 * Where the core's bytes come from, on every runtime: what the caller gives, or the file beside this package.
 *
 * Platform globals are looked up here when a database is opened, never when the package is imported.
 */
import { instantiateSync } from "@assemblyscript/loader";
import { coreFile } from "../core-files.js";
import { HoldfastError } from "../errors.js";
import type { CoreExports } from "./core-instance.js";

export type { CoreExports } from "./core-instance.js";

/**
 * What `open` takes as `wasm`: a module, its bytes, or where to find it. Text is an address as `fetch` takes it: in browsers it may
 * be relative to the page or the worker, elsewhere it has to be absolute.
 */
export type WasmSource = WebAssembly.Module | ArrayBuffer | ArrayBufferView | URL | string;

async function bytesAt(url: URL, signal: AbortSignal | undefined): Promise<ArrayBuffer | Uint8Array> {
  if (url.protocol === "file:" && typeof process !== "undefined") {
    const { readFile } = process.getBuiltinModule("node:fs/promises");
    return readFile(url);
  }
  const response = await fetch(url, signal && { signal });
  if (!response.ok) throw new Error(`${url.href} answered ${response.status}`);
  return response.arrayBuffer();
}

async function compileAt(url: URL, signal: AbortSignal | undefined): Promise<WebAssembly.Module> {
  return WebAssembly.compile((await bytesAt(url, signal)) as BufferSource);
}

/**
 * The package's own cores, for memory that is shared and that is not: reading and compiling one is most of what an open costs. Only what
 * is compiled is kept: on what another open waits for, which may never come, none may depend.
 */
const own = new Map<boolean, WebAssembly.Module>();

async function compileOwn(shared: boolean, signal: AbortSignal | undefined): Promise<WebAssembly.Module> {
  const module = own.get(shared) ?? (await compileAt(coreFile(shared), signal));
  own.set(shared, module);
  return module;
}

async function compile(
  source: WasmSource | undefined,
  shared: boolean,
  signal: AbortSignal | undefined,
): Promise<WebAssembly.Module> {
  if (source === undefined) return compileOwn(shared, signal);
  if (source instanceof WebAssembly.Module) return source;
  if (typeof source === "string" || source instanceof URL)
    return compileAt(new URL(source, globalThis.location?.href), signal);
  return WebAssembly.compile(source as BufferSource);
}

/** The core, and what it was instantiated from, which other workers are given. */
export interface LoadedCore {
  readonly exports: CoreExports;
  readonly module: WebAssembly.Module;
}

/**
 * Instantiates the core over a memory.
 * @throws HoldfastError `INVALID_ARGUMENT` if what was passed is no core, `STORE_FAILED` if the package's own cannot be read; what `fetch`
 *   throws once the signal has fired.
 */
export async function loadCore(
  source: WasmSource | undefined,
  memory: WebAssembly.Memory,
  shared: boolean,
  signal?: AbortSignal,
): Promise<LoadedCore> {
  try {
    const module = await compile(source, shared, signal);
    // At once, since it is small: what waits has Node load all of its requests first, to see that a module is no response.
    const { instance } = instantiateSync(module, { env: { memory } });
    return { exports: instance.exports as CoreExports, module };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    const name = shared ? "shared.wasm" : "single.wasm";
    const hint = `Pass it as the option wasm: a WebAssembly.Module, its bytes or a URL of holdfast/${name}.`;
    const why = cause instanceof Error ? cause.message : "";
    if (source !== undefined) {
      throw new HoldfastError(
        "INVALID_ARGUMENT",
        `What was passed as wasm is no core that can be loaded. ${hint} ${why}`,
        {
          cause,
        },
      );
    }
    throw new HoldfastError("STORE_FAILED", `The core could not be loaded; try again. ${hint} ${why}`, { cause });
  }
}
