// The import graph of the packages in a node_modules: a real graph of thousands of modules, for tests and measurements.
//
// What it keeps true: the same files give the same graph in the same order, wherever they stand; nothing is run or parsed, an
// import is what a plain expression finds of import, export from, require and dynamic import with a literal specifier.
// A relative specifier leads to a file, a bare one to its package's entry, or to the package by its name where that has none.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";

const SOURCE = /\.(js|mjs|cjs|ts)$/;
const SUFFIXES = [
  "",
  ".js",
  ".mjs",
  ".cjs",
  ".ts",
  ".d.ts",
  "/index.js",
  "/index.mjs",
  "/index.cjs",
  "/index.ts",
  "/index.d.ts",
];
const FILE_BYTES_MAX = 2_000_000;
const IMPORTS = [
  /\b(?:import|export)\b[^'"`;()]{0,2000}?\bfrom\s*["']([^"'\n]{1,500})["']/g,
  /\bimport\s*["']([^"'\n]{1,500})["']/g,
  /\b(?:import|require)\s*\(\s*["']([^"'\n]{1,500})["']\s*\)/g,
];

/** Files below a directory that are sources, in the order of their names. Links lead out of the tree and are not followed. */
function* sourcesUnder(directory) {
  const entries = readdirSync(directory, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* sourcesUnder(path);
    else if (entry.isFile() && SOURCE.test(entry.name)) yield path;
  }
}

function specifiersOf(text) {
  const found = new Set();
  for (const expression of IMPORTS) for (const match of text.matchAll(expression)) found.add(match[1]);
  return [...found];
}

/** The name of the package that a bare specifier asks for, and what of it. */
function splitBare(specifier) {
  const parts = specifier.split("/");
  const nameParts = specifier.startsWith("@") ? 2 : 1;
  return { name: parts.slice(0, nameParts).join("/"), inside: parts.slice(nameParts).join("/") };
}

/** The first file that an entry of `exports` names, whatever its conditions are. */
function firstFile(entry) {
  if (typeof entry === "string") return entry;
  if (typeof entry !== "object" || entry === null) return undefined;
  for (const value of Object.values(entry)) {
    const file = firstFile(value);
    if (file !== undefined) return file;
  }
  return undefined;
}

class Resolver {
  #root;
  #files;
  #entries = new Map();

  constructor(root, files) {
    this.#root = root;
    this.#files = files;
  }

  #fileAt(path) {
    for (const suffix of SUFFIXES) if (this.#files.has(path + suffix)) return path + suffix;
    // In TypeScript the source of `./a.js` is called `a.ts`, or `a.d.ts` where only its types are there.
    const stem = path.replace(/\.[mc]?js$/, "");
    return [".ts", ".d.ts"].map((suffix) => stem + suffix).find((other) => this.#files.has(other));
  }

  /** Where a package's entry is, `undefined` if it is not there or is no source. */
  #entryOf(directory) {
    const known = this.#entries.get(directory);
    if (known !== undefined || this.#entries.has(directory)) return known;
    let entry;
    try {
      const manifest = JSON.parse(readFileSync(join(this.#root, directory, "package.json"), "utf8"));
      const exported = manifest.exports?.["."] ?? manifest.exports;
      const named = [firstFile(exported), manifest.module, manifest.main, "index.js"];
      const files = named.map((file) => typeof file === "string" && this.#fileAt(posix.join(directory, file)));
      entry = files.find((file) => file);
    } catch {
      entry = undefined;
    }
    this.#entries.set(directory, entry);
    return entry;
  }

  /** The module that a specifier in a file leads to. */
  resolve(from, specifier) {
    if (specifier.startsWith(".")) return this.#fileAt(posix.join(posix.dirname(from), specifier));
    if (specifier.startsWith("node:") || specifier.startsWith("/") || specifier.startsWith("#")) return specifier;
    const { name, inside } = splitBare(specifier);
    for (let at = posix.dirname(from); ; at = posix.dirname(at)) {
      const directory = posix.join(at, "node_modules", name);
      const found = inside === "" ? this.#entryOf(directory) : this.#fileAt(posix.join(directory, inside));
      if (found !== undefined) return found;
      if (at === "." || at === "/") return name;
    }
  }
}

/**
 * The modules under `root`'s node_modules and other folders of it, and who imports whom: each pair once, a module that is not a
 * file by its name.
 * @returns {{ modules: string[], imports: [from: string, to: string][] }}
 */
export function importGraph(root, folders = ["node_modules"]) {
  const paths = folders.flatMap((folder) => [...sourcesUnder(join(root, folder))]);
  const names = paths.map((path) => relative(root, path).split(sep).join("/"));
  const resolver = new Resolver(root, new Set(names));
  const modules = new Set(names);
  const imports = [];
  for (const [index, from] of names.entries()) {
    const path = paths[index];
    if (statSync(path).size > FILE_BYTES_MAX) continue;
    const targets = new Set();
    for (const specifier of specifiersOf(readFileSync(path, "utf8"))) {
      const to = resolver.resolve(from, specifier);
      if (to !== undefined) targets.add(to);
    }
    for (const to of targets) {
      modules.add(to);
      imports.push([from, to]);
    }
  }
  return { modules: [...modules], imports };
}
