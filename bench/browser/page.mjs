// What a measurement can have done in a page, or in a worker of it.
import { stage } from "../../test/support/browser-stage.mjs";
import { program } from "./program.mjs";

stage(program, () => new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" }));
