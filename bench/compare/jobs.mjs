// One child at a time, with all that it starts.
//
// Keeps true: a child leads a process group of its own, which is gone when this process is, however that ends; a child that
// fails is an error with the last that it said.

import { spawn } from "node:child_process";

const SAID_LINES = 12;
const OWN_GROUP = process.platform !== "win32";
const EXIT_AFTER_SIGHUP = 129;

export class JobError extends Error {}

export function openJobs() {
  let running;
  process.once("exit", () => {
    if (running !== undefined) kill(running);
  });
  process.once("SIGHUP", () => process.exit(EXIT_AFTER_SIGHUP));
  return {
    /** Runs to its end; gives the status where that is in `fine`, and throws a `JobError` otherwise. */
    async run(command, args, { cwd, fine = [0] }) {
      const child = spawn(command, args, { cwd, detached: OWN_GROUP, stdio: ["ignore", "pipe", "pipe"] });
      running = child;
      let said = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text) => {
          said = lastLines(said + text);
        });
      }
      const status = await new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => resolve(code ?? signal));
      });
      running = undefined;
      if (fine.includes(status)) return status;
      throw new JobError(`${command} ${args.join(" ")} ended with ${status}:\n${said.trim()}`);
    },
  };
}

function kill(child) {
  try {
    process.kill(OWN_GROUP ? -child.pid : child.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function lastLines(text) {
  return text.split("\n").slice(-SAID_LINES).join("\n");
}
