/**
 * The source tree as the agent sees it: what a fresh clone holds, and nothing that is made, installed or recorded.
 *
 * It is copied before the first step. Two runs can only be compared if they read the same, and someone may be editing.
 */
import { copyFileSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** In the order of their weight: where there are too many files, those of the last ones stay out. */
const FOLDERS = ["assembly", "src", "test", "scripts", "examples", "bench", "docs"];
const LEFT_OUT = new Set(["node_modules", "dist", "build", "results", "package-lock.json"]);
const TEXT_PATTERN = /\.(ts|mjs|js|json|md|html)$/;
const FILES_MAX = 200;
const FILE_BYTES_MAX = 1 << 20;

const isFolder = (entry) => entry.isDirectory() && !entry.name.startsWith(".") && !LEFT_OUT.has(entry.name);
const isText = (entry) => entry.isFile() && TEXT_PATTERN.test(entry.name) && !LEFT_OUT.has(entry.name);

/** Sorted by code units: the order of a directory, and of a locale, differ from machine to machine. */
export function entriesOf(directory) {
  return readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Copies the tree to `place`. @returns how much it is */
export function copySourceTree(place) {
  const copied = { files: 0, directories: 0, bytes: 0 };
  const copyFiles = (path, entries) => {
    const sources = entries.filter(isText).map((entry) => join(path, entry.name));
    mkdirSync(join(place, path));
    copied.directories += 1;
    for (const source of sources.slice(0, FILES_MAX - copied.files)) copyFile(source, place, copied);
  };
  const copyFolder = (path) => {
    if (copied.files >= FILES_MAX) return;
    const entries = entriesOf(join(ROOT, path));
    copyFiles(path, entries);
    for (const entry of entries.filter(isFolder)) copyFolder(join(path, entry.name));
  };
  const atRoot = entriesOf(ROOT);
  copyFiles(".", atRoot);
  for (const name of FOLDERS.filter((name) => atRoot.some((entry) => entry.name === name && isFolder(entry)))) {
    copyFolder(name);
  }
  return copied;
}

/** A file that goes away under an editor, or cannot be read, is left out of the copy and so of both runs. */
function copyFile(path, place, copied) {
  try {
    const { size } = statSync(join(ROOT, path));
    if (size > FILE_BYTES_MAX) return;
    copyFileSync(join(ROOT, path), join(place, path));
  } catch {
    return;
  }
  copied.files += 1;
  copied.bytes += statSync(join(place, path)).size;
}
