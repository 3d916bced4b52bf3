/**
 * Where the core in the package comes from: its source, copied to another place and compiled there from nothing, gives the same
 * bytes.
 */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileModule, RELEASE } from "../../scripts/build.mjs";
import { ROOT } from "../../scripts/steps.mjs";

/** Compiles the modules that are shipped anew, one after the other. @returns `{ name, error }[]` */
export async function rebuild(project) {
  const place = mkdtempSync(join(tmpdir(), "holdfast-rebuilt-"));
  try {
    cpSync(join(ROOT, "assembly"), join(place, "assembly"), { recursive: true });
    for (const file of ["asconfig.json", "package.json"]) copyFileSync(join(ROOT, file), join(place, file));
    symlinkSync(join(ROOT, "node_modules"), join(place, "node_modules"), "junction");
    const outcomes = [];
    for (const module of RELEASE) {
      const shipped = readFileSync(join(project, "node_modules/holdfast", module.outFile));
      await compileModule(module, `${module.target}.wasm`, place);
      const isSame = readFileSync(join(place, `${module.target}.wasm`)).equals(shipped);
      const error = isSame
        ? ""
        : "The source as it stands does not give these bytes; run npm run build, and pack again.";
      outcomes.push({ name: `${module.outFile} is what its source gives`, error });
    }
    return outcomes;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
