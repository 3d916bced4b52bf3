// Opening cold: from the start of a new process until the value of one key of 100,000 is there, on files that were closed before.
//
// Keeps true: a child is started for each figure, all subjects in every round, in an order that rotates; what Node itself takes
// to start is a row of its own; the files are in the page cache; every value is checked.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { spread } from "../statistics.mjs";
import { openSqlite } from "../subjects/better-sqlite3.mjs";
import { openLevel } from "../subjects/classic-level.mjs";
import { openDatabase } from "../subjects/holdfast.mjs";
import { openLmdb } from "../subjects/lmdb.mjs";
import { openNodeSqlite } from "../subjects/node-sqlite.mjs";
import { makeKeys, makeValues } from "../workload.mjs";

const CHILD = fileURLToPath(new URL("../children/cold.mjs", import.meta.url));
const ENTRIES = 100_000;
const ENTRIES_QUICK = 10_000;
const ROUNDS = 11;
const ROUNDS_QUICK = 3;
const WARM_UPS = 1;
const NODE_ALONE = "node";
const NS_PER_MS = 1e6;

async function fillHoldfast(folder, keys, values, compacts) {
  const db = await openDatabase({ path: folder, durability: "buffered" });
  const { kv } = db.run("bench");
  for (let i = 0; i < keys.length; i++) kv.put(keys[i], values[i]);
  if (compacts) await db.checkpoint();
  await db.close();
}

/** Fills a peer's files and closes it; gives its folder. */
async function fill(open, folder, keys, values) {
  const store = await open(folder);
  await store.load(keys, values);
  await store.close();
  return folder;
}

function writeJson(folder, keys, values) {
  fs.writeFileSync(path.join(folder, "kv.json"), JSON.stringify(keys.map((key, at) => [key, values[at]])));
  return folder;
}

/** Milliseconds from before the process was there until it had its value, and of these those that the store took. */
function startChild(kind, folder, key) {
  const start = performance.now();
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, kind, folder, key], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  let whole;
  child.stdout.setEncoding("utf8").on("data", (text) => {
    whole ??= performance.now() - start;
    said.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) resolve({ whole, ...JSON.parse(said.stdout) });
      else reject(new Error(`the process ended with status ${status}: ${said.stderr.trim().slice(-300)}`));
    });
  });
}

export async function prepare({ scratch, quick, rounds: asked, opened }) {
  const rounds = asked ?? (quick ? ROUNDS_QUICK : ROUNDS);
  const keys = makeKeys(quick ? ENTRIES_QUICK : ENTRIES);
  const values = makeValues(keys.length, 0);
  const wanted = keys.length >> 1;

  const peer = (open) => (folder) => fill(open, folder, keys, values);
  const fillers = [
    ["Node alone", NODE_ALONE, () => {}],
    ["Holdfast, a log", "holdfast", (folder) => fillHoldfast(folder, keys, values, false)],
    ["Holdfast, a checkpoint", "holdfast", (folder) => fillHoldfast(folder, keys, values, true)],
    ["JSON into a Map", "json", (folder) => writeJson(folder, keys, values)],
    ["lmdb", "lmdb", peer((folder) => openLmdb({ folder, sync: false }))],
    ["better-sqlite3", "sqlite", peer((folder) => openSqlite({ folder, synchronous: "NORMAL" }))],
    ["node:sqlite", "nodeSqlite", peer((folder) => openNodeSqlite({ folder, synchronous: "NORMAL" }))],
    ["classic-level", "level", peer((folder) => openLevel({ folder }))],
  ];
  const subjects = [];
  for (const [name, kind, make] of fillers) {
    const subject = await opened(name, async () => {
      const folder = scratch.folder(`cold-${kind}`);
      await make(folder);
      const expected = kind === NODE_ALONE ? undefined : values[wanted];
      return { name, kind, folder, expected, isHoldfast: kind === "holdfast", close() {} };
    });
    if (subject !== undefined) subjects.push(subject);
  }

  const measure = async (progress) => {
    const found = new Map(subjects.map((subject) => [subject, []]));
    for (let round = 0; round < WARM_UPS + rounds; round++) {
      progress(`round ${round + 1} of ${WARM_UPS + rounds}, warm-up included`);
      for (let place = 0; place < subjects.length; place++) {
        const subject = subjects[(place + round) % subjects.length];
        const said = await startChild(subject.kind, subject.folder, keys[wanted]);
        if (said.value !== subject.expected) {
          throw new Error(`${subject.name} gave ${said.value} where ${subject.expected} is right`);
        }
        if (round >= WARM_UPS) found.get(subject).push(said);
      }
    }
    const row = ({ name, isHoldfast }, what, perRound) => ({
      name: `${name}${what}`,
      isHoldfast,
      perRound,
      ns: spread(perRound),
    });
    const inNs = (subject, field) => found.get(subject).map((said) => said[field] * NS_PER_MS);
    return [
      ...subjects.map((subject) => row(subject, "", inNs(subject, "whole"))),
      ...subjects
        .filter(({ kind }) => kind !== NODE_ALONE)
        .map((subject) => row(subject, ", import to first get", inNs(subject, "ms"))),
    ];
  };
  return { measure, rounds };
}
