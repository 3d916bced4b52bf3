/**
 * Makes of the stepped core one that asks before every access to memory, plain ones included: `build/every-access.wasm`; and of any
 * core one that does not linger, for those who look on.
 *
 * A pass of binaryen calls a function around each load and store; these are put in here, so that all that is left to the host
 * is `step`. What one bulk copy or fill does stays one step; and who lingers between two looks at a word does nothing here,
 * which is told apart from nothing else where one goes on at a time: it looks as often as before.
 */
import binaryen from "assemblyscript/binaryen";

const VALUES = [
  ["i32", binaryen.i32],
  ["i64", binaryen.i64],
  ["f32", binaryen.f32],
  ["f64", binaryen.f64],
];

/** What reads one word over and over to let time pass; in front of it stands where the sources lie. */
const LINGER = "assembly/atomics/linger";

function functionsOf(module) {
  const count = module.getNumFunctions();
  return Array.from({ length: count }, (_, i) => binaryen.getFunctionInfo(module.getFunctionByIndex(i)));
}

/** A core whose workers do nothing between two looks at a word. */
function restless(core) {
  // A compiler in the same process may have asked for the names of everything.
  binaryen.setDebugInfo(false);
  const module = binaryen.readBinary(core);
  module.setFeatures(binaryen.Features.All);
  const { name } = functionsOf(module).find((one) => one.name.endsWith(LINGER));
  module.removeFunction(name);
  module.addFunction(name, binaryen.createType([binaryen.i32]), binaryen.none, [], module.nop());
  return module;
}

function bytesOf(module) {
  if (!module.validate()) throw new Error("the core that was made is no valid module");
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

/**
 * The bytes of a core that does what another one does, asserts included, and does not linger. Small functions stand where they are
 * called, which takes less time than to call them.
 */
export function withoutLingering(core) {
  const module = restless(core);
  module.runPasses(["inlining"]);
  return bytesOf(module);
}

/** The bytes of a core that asks before every access. */
export function everyAccess(stepped) {
  const module = restless(stepped);
  const { i32 } = binaryen;
  module.runPasses(["instrument-memory"]);
  const imports = functionsOf(module).filter(({ base }) => base !== "");
  const step = imports.find(({ base }) => base === "step").name;
  const replace = (name, params, result, body) => {
    module.removeFunction(name);
    module.addFunction(name, binaryen.createType(params), result, [], body);
  };
  // id, bytes, offset, address.
  const ask = () =>
    module.block(
      null,
      [
        module.call(step, [module.i32.add(module.local.get(2, i32), module.local.get(3, i32))], binaryen.none),
        module.local.get(3, i32),
      ],
      i32,
    );
  replace("load_ptr", [i32, i32, i32, i32], i32, ask());
  replace("store_ptr", [i32, i32, i32, i32], i32, ask());
  replace("memory_grow_pre", [i32, i32], i32, module.local.get(1, i32));
  replace("memory_grow_post", [i32, i32], i32, module.local.get(1, i32));
  for (const [name, type] of VALUES) {
    for (const kind of ["load_val", "store_val"]) {
      replace(`${kind}_${name}`, [i32, type], type, module.local.get(1, type));
    }
  }
  for (const { name } of imports) if (/^(struct|array)_/.test(name)) module.removeFunction(name);
  return bytesOf(module);
}
