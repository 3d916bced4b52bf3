/**
 * Memories that databases leave behind, wiped and given to those that are opened next: where a test opens hundreds of thousands of
 * databases one after another, making and collecting their memories would be most of what it does.
 *
 * A database in one of them is as any other; it only need not grow where one before it has. The instance of the core that was over a
 * memory stays with it, and is renewed, where it can be: see `recycled-instances.ts`.
 */
import { isRecyclable, RecycledInstance } from "./recycled-instances.js";

/** Larger ones are let go: wiping them would cost more than making new ones. */
const BYTES_MAX = 1024 * 1024;

const { Memory, Instance } = WebAssembly;
/** By the most pages that they may have. */
const free = new Map<number, WebAssembly.Memory[]>();
/** Those that are in use; undefined where nobody recycles. */
let used: { readonly memory: WebAssembly.Memory; readonly maximum: number }[] | undefined;

/** Takes one that is free, or makes one. What is shared, or has no bound, is made anew. */
const RecyclingMemory = new Proxy(Memory, {
  construct(target, [descriptor]: [WebAssembly.MemoryDescriptor]) {
    const { maximum, shared } = descriptor;
    if (used === undefined || maximum === undefined || shared) return new target(descriptor);
    const memory = free.get(maximum)?.pop() ?? new target(descriptor);
    used.push({ memory, maximum });
    return memory;
  },
});

/** The instances over memories that were taken. */
const instances = new WeakMap<WebAssembly.Memory, RecycledInstance>();

/** Renews the instance over a memory, or makes one that can be renewed. */
function recycledInstance(module: WebAssembly.Module, memory: WebAssembly.Memory): WebAssembly.Instance {
  const known = instances.get(memory);
  if (known?.module === module) {
    known.renew();
    return known.instance;
  }
  const made = new RecycledInstance(module, memory);
  instances.set(memory, made);
  return made.instance;
}

const RecyclingInstance = new Proxy(Instance, {
  construct(target, [module, imports]: [WebAssembly.Module, WebAssembly.Imports | undefined]) {
    const memory = imports?.["env"]?.["memory"];
    if (isRecyclable(module) && used?.some((one) => one.memory === memory)) {
      return recycledInstance(module, memory as WebAssembly.Memory);
    }
    return new target(module, imports);
  },
});

/**
 * Runs work whose databases are all over once it ends, and nobody calls them then: their memories are free for later ones. Not to be
 * nested, and for one work at a time.
 */
export async function recyclingMemories<T>(work: () => Promise<T>): Promise<T> {
  if (used !== undefined) throw new Error("memories are recycled by somebody else");
  used = [];
  WebAssembly.Memory = RecyclingMemory;
  WebAssembly.Instance = RecyclingInstance;
  try {
    const result = await work();
    for (const { memory, maximum } of used) putBack(memory, maximum);
    return result;
  } finally {
    // Where it has failed something may go on in them still.
    WebAssembly.Memory = Memory;
    WebAssembly.Instance = Instance;
    used = undefined;
  }
}

function putBack(memory: WebAssembly.Memory, maximum: number): void {
  if (memory.buffer.byteLength > BYTES_MAX) return;
  new Uint8Array(memory.buffer).fill(0);
  const others = free.get(maximum);
  if (others === undefined) free.set(maximum, [memory]);
  else others.push(memory);
}
