/**
 * Starts the agent, listens to it, and ends it: by closing its stdin, upon which it pauses or has finished, or by SIGKILL
 * when it has acknowledged the step that it is to die after. It is gone when the promise settles, whatever happened.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const AGENT = fileURLToPath(new URL("agent.mjs", import.meta.url));
const SILENCE_MS_MAX = 30_000;
/** How long an agent that is told to stop has for pausing its run. */
const PAUSE_MS_MAX = 2_000;

/** The agent failed, or did not keep what was promised: the demo's finding, not a fault of its script. */
export class AgentError extends Error {}

/** A signal came to the demo itself. */
export class Stopped extends Error {
  constructor(signal) {
    super(`stopped by ${signal}`);
    this.signal = signal;
  }
}

/** What an agent has said so far, and whether it was killed for it. */
class Log {
  found = 0;
  status = undefined;
  recovered = undefined;
  acknowledged = 0;
  /** Of the last acknowledged step's event. */
  hash = undefined;
  latencies = [];
  contents = undefined;
  finished = false;
  paused = undefined;
  killed = false;
  failure = undefined;

  /** @returns the message, or undefined for a line that the kill has cut off or that is not the agent's */
  take(line) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      return undefined;
    }
    if (message.type === "opened") {
      this.found = this.acknowledged = message.found;
      this.status = message.status;
      this.recovered = message.recovered ?? undefined;
    } else if (message.type === "step") {
      this.acknowledged = message.steps;
      this.hash = message.hash;
      this.latencies.push(message.micros);
    } else if (message.type === "finished") {
      this.finished = true;
      this.contents = message.contents ?? undefined;
    } else if (message.type === "paused") this.paused = message.why;
    else if (message.type === "failed") this.failure = message.message;
    return message;
  }
}

function start(runtime, request) {
  return spawn(runtime.command, [...runtime.args, AGENT, JSON.stringify(request)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
  });
}

/** What went wrong with an agent that is gone, as an error; undefined if it ended as it should. */
function faultOf({ log, silent, stopped, code, endedBy, noise }) {
  if (stopped !== undefined) return new Stopped(stopped);
  // Ctrl-C reaches the whole group, and the agent may be gone before the demo's own handler runs.
  if (log.paused !== undefined) return new Stopped(log.paused);
  if (endedBy === "SIGINT" || endedBy === "SIGHUP") return new Stopped(endedBy);
  if (log.failure !== undefined) return new AgentError(`the agent failed: ${log.failure}`);
  if (silent) return new AgentError(`the agent said nothing for ${SILENCE_MS_MAX / 1000} s and was ended`);
  const killedAsPlanned = log.killed && (endedBy === "SIGKILL" || process.platform === "win32");
  if (killedAsPlanned || (!log.killed && log.finished && code === 0)) return undefined;
  const [firstLine] = noise.trim().split("\n");
  return new AgentError(`the agent ended with ${endedBy ?? `exit code ${code}`}${firstLine ? `: ${firstLine}` : ""}`);
}

/**
 * Runs the agent to its end, or until `killAfter` steps are acknowledged.
 * @returns what it has said; more steps may be acknowledged than `killAfter`, because it works on until the kill arrives
 */
export function runAgent({ runtime, request, killAfter, signal, onStep }) {
  const log = new Log();
  const end = { log, silent: false, stopped: undefined, noise: "" };
  return new Promise((resolve, reject) => {
    const child = start(runtime, request);
    let pauseTimer;
    const kill = () => child.kill("SIGKILL");
    const stop = () => {
      end.stopped = signal.reason;
      child.stdin.end();
      pauseTimer = setTimeout(kill, PAUSE_MS_MAX);
    };
    const giveUp = () => {
      end.silent = true;
      kill();
    };
    const watchdog = setTimeout(giveUp, SILENCE_MS_MAX);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });

    createInterface({ input: child.stdout }).on("line", (line) => {
      watchdog.refresh();
      const message = log.take(line);
      if (message?.type === "step") {
        onStep(message.label);
        if (child.stdin.writable) child.stdin.write(".");
      }
      if (killAfter === undefined && message?.type === "finished") child.stdin.end();
      if (killAfter !== undefined && !log.killed && log.acknowledged >= killAfter) {
        log.killed = true;
        kill();
      }
    });
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      end.noise += chunk;
    });
    // The agent may die before it has read its stdin; how it died is what counts.
    child.stdin.on("error", () => {});
    child.once("error", (error) => {
      end.noise += error.message;
    });
    child.once("close", (code, endedBy) => {
      clearTimeout(watchdog);
      clearTimeout(pauseTimer);
      signal.removeEventListener("abort", stop);
      const fault = faultOf({ ...end, code, endedBy });
      if (fault === undefined) resolve(log);
      else reject(fault);
    });
  });
}
