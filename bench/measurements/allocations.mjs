// Bytes of JavaScript heap for each operation, and how often they are collected, counted in a process of its own.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { spread } from "../statistics.mjs";

const CHILD = fileURLToPath(new URL("../children/allocations.mjs", import.meta.url));
/** A young generation that a pass of operations without allocations never fills. */
const FLAGS = ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"];
const PASSES = 3;
const QUICK_DIVISOR = 10;
const SNAPSHOT = "run.snapshot and dispose";

/** To a tenth of a byte: the counting itself takes a few hundred bytes a pass, and no object is as small as that. */
const rounded = (bytes) => Math.max(0, Math.round(bytes * 10)) / 10;

export async function prepare({ quick, rounds: wanted }) {
  const rounds = wanted ?? (quick ? 1 : PASSES);
  return {
    rounds,
    async measure(progress) {
      const passes = [];
      for (let pass = 0; pass < rounds; pass++) {
        progress(`pass ${pass + 1} of ${rounds}`);
        passes.push(await countInChild(quick ? QUICK_DIVISOR : 1));
      }
      return passes[0].flatMap(({ name, count }, at) => {
        const same = passes.map((pass) => pass[at]);
        return [toRow(name, count, same), ...(name === SNAPSHOT ? [linearRow(name, count, same)] : [])];
      });
    },
  };
}

/** What a snapshot takes of the store's own memory; the heap of JavaScript has its handle. */
function linearRow(name, operations, passes) {
  const perRound = passes.map(({ memoryBytes }) => memoryBytes / operations);
  return { name: `${name}, linear memory`, operations, perRound, figure: spread(perRound) };
}

function toRow(name, operations, passes) {
  const perRound = passes.map(({ bytes }) => rounded(bytes));
  const collections = Math.max(...passes.map((pass) => pass.collections));
  const memoryBytes = Math.max(...passes.map((pass) => pass.memoryBytes));
  return {
    name,
    operations,
    collections,
    memoryBytes,
    note: collections === 0 ? undefined : `${collections} collections in ${operations.toLocaleString("en")}`,
    perRound,
    figure: spread(perRound),
  };
}

function countInChild(divisor) {
  const child = spawn(process.execPath, [...FLAGS, CHILD, String(divisor)], { stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) {
    child[stream].setEncoding("utf8").on("data", (text) => {
      said[stream] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve(JSON.parse(said.stdout));
      else reject(new Error(`the counting process ended with status ${status}: ${said.stderr.trim().slice(-300)}`));
    });
  });
}
