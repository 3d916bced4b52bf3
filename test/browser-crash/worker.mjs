/** The program in a worker. */
import { answer } from "../support/browser-stage.mjs";
import { program } from "./program.mjs";

answer(program);
