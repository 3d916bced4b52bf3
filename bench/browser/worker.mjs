// The measurements' program in a worker.
import { answer } from "../../test/support/browser-stage.mjs";
import { program } from "./program.mjs";

answer(program);
