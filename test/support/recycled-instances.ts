/**
 * Instances of a core that are used again: making one is a large part of what opening a small database costs, and what was compiled for
 * calls into it is lost with it.
 *
 * An instance that is renewed, over a memory that was wiped, differs in nothing from a new one: all that a core keeps outside of its
 * memory are its globals, which are set back to what they began with, as is what its data and its start function have left in the
 * memory; a release core has neither. To be within reach the globals have to be exported, and that is all in which the modules made
 * here differ from what ships.
 */
import { type Build, bytesOf } from "./builds.js";

/** As it was before anybody put something else in its place (recycled-memories.ts). */
const { Instance } = WebAssembly;

const PREAMBLE_BYTES = 8;
const GLOBAL_SECTION = 6;
const EXPORT_SECTION = 7;
const KIND_GLOBAL = 3;
const I32_CONST = 0x41;
const I64_CONST = 0x42;
const END = 0x0b;
const LEB_MORE = 0x80;
const LEB_BITS = 7;
/** Before the number of a global: nothing that a core exports begins so. */
const PREFIX = "recycled ";

/** Reads a section. */
class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new Error("the module ends too early");
    return byte;
  }

  unsigned(): number {
    let number = 0;
    for (let shift = 0; ; shift += LEB_BITS) {
      const byte = this.byte();
      number |= (byte & ~LEB_MORE) << shift;
      if ((byte & LEB_MORE) === 0) return number >>> 0;
    }
  }

  /** Goes over what a global begins with. */
  skipConstant(): void {
    const code = this.byte();
    if (code !== I32_CONST && code !== I64_CONST) throw new Error("a global begins with more than a whole number");
    while ((this.byte() & LEB_MORE) !== 0);
    if (this.byte() !== END) throw new Error("a global begins with more than a whole number");
  }
}

function unsigned(number: number): number[] {
  const bytes: number[] = [];
  let left = number;
  for (; left >= LEB_MORE; left >>>= LEB_BITS) bytes.push((left & ~LEB_MORE) | LEB_MORE);
  return [...bytes, left];
}

/** The numbers of the globals that can change. */
function mutableGlobals(section: Reader): number[] {
  const numbers: number[] = [];
  const count = section.unsigned();
  for (let number = 0; number < count; number++) {
    section.byte();
    if (section.byte() === 1) numbers.push(number);
    section.skipConstant();
  }
  return numbers;
}

/** The same module with its globals exported. It must have none that it imports. */
function withGlobalsExported(module: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [module.subarray(0, PREAMBLE_BYTES)];
  let globals: readonly number[] = [];
  const reader = new Reader(module, PREAMBLE_BYTES);
  while (reader.at < module.length) {
    const start = reader.at;
    const id = reader.byte();
    const length = reader.unsigned();
    const content = new Reader(module, reader.at);
    reader.at += length;
    if (id === GLOBAL_SECTION) globals = mutableGlobals(content);
    if (id !== EXPORT_SECTION) {
      pieces.push(module.subarray(start, reader.at));
      continue;
    }
    const count = content.unsigned();
    const more = globals.flatMap((number) => {
      const name = Buffer.from(`${PREFIX}${number}`);
      return [...unsigned(name.length), ...name, KIND_GLOBAL, ...unsigned(number)];
    });
    const exports = [...unsigned(count + globals.length), ...module.subarray(content.at, reader.at), ...more];
    pieces.push(Uint8Array.from([EXPORT_SECTION, ...unsigned(exports.length), ...exports]));
  }
  return new Uint8Array(Buffer.concat(pieces));
}

const modules = new Map<string, Promise<WebAssembly.Module>>();
const recyclable = new WeakSet<WebAssembly.Module>();

async function compile(build: Build): Promise<WebAssembly.Module> {
  const module = await WebAssembly.compile(withGlobalsExported(await bytesOf(build)) as Uint8Array<ArrayBuffer>);
  recyclable.add(module);
  return module;
}

/** A build without threads whose instances can be used again, compiled once for each test file. */
export function recyclableModuleOf(build: Build): Promise<WebAssembly.Module> {
  if (build.shared) throw new Error("other threads would use what is set back");
  const known = modules.get(build.file) ?? compile(build);
  modules.set(build.file, known);
  return known;
}

/** Whether it is one of those. */
export function isRecyclable(module: unknown): module is WebAssembly.Module {
  return module instanceof WebAssembly.Module && recyclable.has(module);
}

/** An instance over a memory of its own, which is wiped when it is made. */
export class RecycledInstance {
  readonly module: WebAssembly.Module;
  readonly instance: WebAssembly.Instance;
  readonly #globals: readonly (readonly [global: WebAssembly.Global, value: unknown])[];
  readonly #memory: WebAssembly.Memory;
  /** The memory as it was right after, up to the last byte that is not 0. */
  readonly #content: Uint8Array;

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    this.module = module;
    this.#memory = memory;
    this.instance = new Instance(module, { env: { memory } });
    this.#globals = Object.entries(this.instance.exports)
      .filter(([name]) => name.startsWith(PREFIX))
      .map(([, global]) => [global as WebAssembly.Global, (global as WebAssembly.Global).value]);
    if (this.#globals.length === 0) throw new Error("the globals of the core are out of reach");
    const bytes = new Uint8Array(memory.buffer);
    this.#content = bytes.slice(0, bytes.findLastIndex((byte) => byte !== 0) + 1);
  }

  /** As if it had just been made, over its memory, which has to be wiped before. */
  renew(): void {
    for (const [global, value] of this.#globals) global.value = value;
    if (this.#content.length > 0) new Uint8Array(this.#memory.buffer).set(this.#content);
  }
}
