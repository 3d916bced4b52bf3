// Two commits beside one another, each built, in folders of their own.
//
// Keeps true:
// - The repository is left as it was: a commit is a detached work tree of git, which is removed at exit; `.` is a copy of the
//   files that git tracks or would track, so that edits meanwhile change nothing.
// - The benchmark is the same in both unless each is to use its own. `bench/core/*.ts` is compiled with the core's sources and
//   knows their insides: where the other commit's does not compile with them, it is the commit's own.
// - Packages are shared where the lock files say the same, and installed where they do not.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const WORK_TREE = ".";
const LOCK = "package-lock.json";
const MODULES = "node_modules";
const CORE = "bench/core";
const COMPILER = "node_modules/assemblyscript/bin/asc.js";
const NOT_COPIED = new Set([MODULES, "results"]);

export class TreeError extends Error {}

/** What a commit is named, and its full name; `.` has none. */
export function resolveCommit(project, ref) {
  if (ref === WORK_TREE) return { ref, commit: undefined };
  const commit = git(project, ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`]).stdout.trim();
  if (commit === "") throw new TreeError(`${ref} is no commit that git knows here`);
  return { ref, commit };
}

/** Which of the two is newer: HEAD, unless BASE comes after it. */
export function newerOf(project, base, head) {
  if (base.commit === undefined) return head.commit === undefined ? "head" : "base";
  if (head.commit === undefined || head.commit === base.commit) return "head";
  const isOlder = git(project, ["merge-base", "--is-ancestor", head.commit, base.commit]).status === 0;
  return isOlder ? "base" : "head";
}

/** Fills `folder`. Returns what removes it, for where it has to be gone before `folder`'s parent is. */
export function checkOut(project, { ref, commit }, folder) {
  if (commit === undefined) {
    copyWorkTree(project, folder);
    return () => {};
  }
  const added = git(project, ["worktree", "add", "--detach", "--force", folder, commit]);
  if (added.status !== 0) throw new TreeError(`git could not check out ${ref}: ${added.stderr.trim()}`);
  return () => git(project, ["worktree", "remove", "--force", "--force", folder]);
}

function copyWorkTree(project, folder) {
  const listed = git(project, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  if (listed.status !== 0) throw new TreeError(`git could not list the work tree: ${listed.stderr.trim()}`);
  for (const name of listed.stdout.split("\0").filter(Boolean)) {
    const from = path.join(project, name);
    if (!fs.existsSync(from)) continue;
    fs.cpSync(from, path.join(folder, name), { verbatimSymlinks: true });
  }
}

/** Gives `tree` the benchmark of `other`. Returns what was compiled with its own core, for `fitToCore`. */
export function takeBench(tree, other) {
  const core = path.join(tree, CORE);
  const sources = fs.existsSync(core) ? fs.readdirSync(core).filter((name) => name.endsWith(".ts")) : [];
  const own = sources.map((name) => ({
    name: `${CORE}/${name}`,
    text: fs.readFileSync(path.join(core, name), "utf8"),
  }));
  fs.rmSync(path.join(tree, "bench"), { recursive: true, force: true });
  fs.cpSync(path.join(other, "bench"), path.join(tree, "bench"), {
    recursive: true,
    filter: (name) => !NOT_COPIED.has(path.basename(name)),
  });
  return own;
}

/** Puts back what of `own` the taken benchmark has another of that does not compile with the core of `tree`. */
export async function fitToCore(tree, own, job) {
  for (const { name, text } of own) {
    const file = path.join(tree, name);
    if (!fs.existsSync(file) || fs.readFileSync(file, "utf8") === text) continue;
    const status = await job.run(process.execPath, [COMPILER, name, "--noEmit"], { cwd: tree, fine: [0, 1] });
    if (status !== 0) fs.writeFileSync(file, text);
  }
}

/** Packages for `tree`: linked from the first of `others` that has the very same, or installed. */
export async function provideModules(tree, others, job, say) {
  for (const part of [".", "bench"]) {
    const place = path.join(tree, part);
    const lender = others.map((other) => path.join(other, part)).find((other) => hasTheSame(other, place));
    if (lender !== undefined) {
      fs.symlinkSync(fs.realpathSync(path.join(lender, MODULES)), path.join(place, MODULES), "junction");
    } else {
      say(`installing packages into ${path.basename(tree)}/${part}`);
      await job.run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: place });
    }
  }
}

/** Whether `lender` has installed what the lock file of `place` says. */
function hasTheSame(lender, place) {
  const wanted = readJson(path.join(place, LOCK))?.packages;
  const installed = readJson(path.join(lender, MODULES, `.${LOCK}`))?.packages;
  if (wanted === undefined || installed === undefined) return false;
  const names = new Set([...Object.keys(wanted), ...Object.keys(installed)]);
  names.delete("");
  return [...names].every((name) => {
    if (installed[name] === undefined) return wanted[name].optional === true;
    return installed[name].version === wanted[name]?.version && installed[name].integrity === wanted[name].integrity;
  });
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function git(cwd, args) {
  const done = spawnSync("git", args, { cwd, encoding: "utf8", maxBuffer: 2 ** 28 });
  if (done.error !== undefined)
    throw new TreeError("git could not be started: it has to be installed", { cause: done.error });
  return done;
}
