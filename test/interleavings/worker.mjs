/**
 * A worker of an interleaving: an instance of the core over the memory that all share, and the acts of its part of a script,
 * one after another. Before each access to what is shared it asks control.mjs who goes on.
 *
 * It never returns to its event loop: what it is to do, and what came of it, stand in a buffer that it shares with the test.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { encodeKey, encodeValue } from "../../dist/host/codec.js";
import * as scans from "../../dist/host/core-scan.js";
import { attachCore, buryWorker } from "../../dist/host/core-workers.js";
import { Player, perform } from "./acts.mjs";
import {
  endPart,
  giveWay,
  HEAD_WORDS,
  hand,
  LANE_WORDS,
  laneAt,
  STATE,
  takeBaton,
  takeStep,
  Unwound,
} from "./control.mjs";
import { renewal } from "./global-exports.mjs";

const { control, text, index } = workerData;
const words = new Int32Array(control);
const bytes = new Uint8Array(text);

const BURIALS_MAX = 50;

let isStepped = false;

function step(word) {
  if (isStepped) takeStep(words, index, word);
}

function readText(at, length) {
  return new TextDecoder().decode(bytes.slice(at, at + length));
}

/** Clears up behind a dead worker, as often as that has to be tried. */
function bury(core, slot) {
  for (let i = 0; i < BURIALS_MAX; i++) {
    try {
      return buryWorker(core, slot, core.workerIn(slot));
    } catch (error) {
      if (error.code !== "BUSY") throw error;
      giveWay(words, index);
    }
  }
  return "BUSY";
}

/** An instance of the core that is meant, and its memory. */
let made = { ground: 0 };

/** The instance, as good as new. */
function instance() {
  const ground = words[HEAD_WORDS.ground];
  if (made.ground !== ground) {
    // Each was posted before anything was begun on it; of some it had no part.
    let told;
    for (let i = made.ground; i < ground; i++) told = receiveMessageOnPort(parentPort).message;
    const { module, memory } = told;
    const { exports } = new WebAssembly.Instance(module, { env: { memory }, step: { step } });
    made = { ground, memory, exports, renew: renewal(exports) };
  }
  made.renew();
  return made;
}

function runPart() {
  const header = new Int32Array(text, 0, 2);
  const { parts, places, after } = JSON.parse(readText(8, header[0]));
  const outcome = { events: [], fault: undefined };
  takeBaton(words, index);
  try {
    const { exports, memory } = instance();
    const core = attachCore(exports, memory, places[index], true);
    words[laneAt(index) + LANE_WORDS.state] = STATE.ready;
    if (index + 1 < words[HEAD_WORDS.count]) {
      hand(words, index + 1);
      takeBaton(words, index);
    }
    isStepped = true;
    const player = new Player(core, { encodeKey, encodeValue }, scans);
    for (const act of parts[index]) {
      const event = { worker: index, act, began: words[HEAD_WORDS.step], ended: -1 };
      outcome.events.push(event);
      words[HEAD_WORDS.step]++;
      if (act.do === "bury") {
        while (words[laneAt(act.worker) + LANE_WORDS.state] === STATE.ready) giveWay(words, index);
        const isDead = words[laneAt(act.worker) + LANE_WORDS.state] === STATE.killed;
        event.result = isDead ? bury(core, places[act.worker].worker) : "alive";
      } else {
        perform(player, act, event);
      }
      event.ended = words[HEAD_WORDS.step]++;
    }
  } catch (error) {
    const cause = error?.cause ?? error;
    if (!(cause instanceof Unwound)) outcome.fault = `${error?.message}: ${cause?.stack ?? cause}`;
  }
  isStepped = false;
  const told = new TextEncoder().encode(JSON.stringify(outcome));
  const at = after + index * 65536;
  bytes.set(told, at + 4);
  new DataView(text).setUint32(at, told.length, true);
  endPart(words, index);
}

for (let round = 0; ; round++) {
  Atomics.wait(words, laneAt(index) + LANE_WORDS.round, round);
  runPart();
}
