/**
 * An agent that reads a source tree and decides by what it has found what to look at next: first what the files that it
 * has read import, then the largest file that it knows of, then the next directory.
 *
 *   todo/dir/<path>      true               directories not listed yet
 *   todo/file/<path>     bytes              files seen and not read yet
 *   todo/import/<path>   importing file     files that a file imports, not read yet
 *   dir/<path>           { directories, files }
 *   file/<path>          { bytes, lines, longest, imports, exports }
 *   imported/<path>      by how many files
 *   totals               { directories, files, bytes, lines, imports, longest }
 *
 * Nothing in it comes from a clock or from chance: the same tree gives the same steps and the same store.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { entriesOf } from "../source-tree.mjs";

const IMPORT_PATTERN = /^(?:import|export)\s(?:[^"'`;]*?\sfrom\s)?\s*["']([^"'\n]+)["']/gm;
const EXPORT_PATTERN = /^export\s/gm;
const NOTHING = { directories: 0, files: 0, bytes: 0, lines: 0, imports: 0, longest: { path: "", line: 0, length: 0 } };

export function open(root) {
  return root;
}

export function next(root, kv) {
  const choice = choose(kv);
  if (choice === undefined) return undefined;
  return choice.action === "list" ? listing(root, choice) : reading(root, choice);
}

/** What to do, from the store alone: a process that has just started decides as one that never stopped. */
function choose(kv) {
  if (kv.get("totals") === undefined) return { action: "list", path: ".", why: "the beginning" };
  const [imported] = kv.list({ prefix: "todo/import/", limit: 1 });
  if (imported !== undefined) {
    return { action: "read", path: withoutPrefix(imported[0]), why: `imported by ${imported[1]}` };
  }
  const unread = kv.list({ prefix: "todo/file/" });
  if (unread.length > 0) {
    const [key, bytes] = unread.reduce((largest, each) => (each[1] > largest[1] ? each : largest));
    return { action: "read", path: withoutPrefix(key), why: `the largest unread, ${bytes} bytes` };
  }
  const [directory] = kv.list({ prefix: "todo/dir/", limit: 1 });
  if (directory === undefined) return undefined;
  return { action: "list", path: withoutPrefix(directory[0]), why: "the next directory" };
}

const withoutPrefix = (key) => key.split("/").slice(2).join("/");

function listing(root, { action, path, why }) {
  const entries = entriesOf(join(root, path));
  const paths = (accept) => entries.filter(accept).map((entry) => posix.join(path, entry.name));
  const directories = paths((entry) => entry.isDirectory());
  const files = paths((entry) => entry.isFile());
  const write = (kv) => {
    kv.delete(`todo/dir/${path}`);
    kv.put(`dir/${path}`, { directories: directories.length, files: files.length });
    for (const directory of directories) kv.put(`todo/dir/${directory}`, true);
    for (const file of files.filter((file) => kv.get(`file/${file}`) === undefined)) {
      kv.put(`todo/file/${file}`, statSync(join(root, file)).size);
    }
    const totals = kv.get("totals") ?? NOTHING;
    kv.put("totals", { ...totals, directories: totals.directories + 1 });
  };
  return { label: `list ${path}`, record: { action, path, why }, write };
}

function reading(root, { action, path, why }) {
  const text = readFileSync(join(root, path), "utf8");
  const measured = measure(text);
  const specifiers = [...text.matchAll(IMPORT_PATTERN)].map((match) => match[1]);
  const targets = new Set(specifiers.map((specifier) => resolve(root, path, specifier)));
  targets.delete(undefined);
  const write = (kv) => {
    kv.delete(`todo/import/${path}`);
    kv.delete(`todo/file/${path}`);
    kv.put(`file/${path}`, { ...measured, imports: specifiers.length });
    for (const target of targets) {
      kv.put(`imported/${target}`, (kv.get(`imported/${target}`) ?? 0) + 1);
      if (kv.get(`file/${target}`) === undefined) kv.put(`todo/import/${target}`, path);
    }
    kv.put("totals", withFile(kv.get("totals"), path, measured, specifiers.length));
  };
  return { label: `read ${path}`, record: { action, path, why, ...measured }, write };
}

function measure(text) {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const longest = { line: 0, length: 0 };
  lines.forEach(({ length }, index) => {
    if (length > longest.length) Object.assign(longest, { line: index + 1, length });
  });
  const exports = [...text.matchAll(EXPORT_PATTERN)].length;
  return { bytes: Buffer.byteLength(text), lines: lines.length, longest, exports };
}

function withFile(totals, path, { bytes, lines, longest }, imports) {
  return {
    directories: totals.directories,
    files: totals.files + 1,
    bytes: totals.bytes + bytes,
    lines: totals.lines + lines,
    imports: totals.imports + imports,
    longest: longest.length > totals.longest.length ? { path, ...longest } : totals.longest,
  };
}

/** The file of the tree that a specifier means, by the rules of both TypeScript and AssemblyScript. */
function resolve(root, importer, specifier) {
  if (!specifier.startsWith(".")) return undefined;
  const path = posix.join(posix.dirname(importer), specifier);
  if (path.startsWith("..")) return undefined;
  const candidates = [path, path.replace(/\.js$/, ".ts"), `${path}.ts`];
  return candidates.find((each) => existsSync(join(root, each)) && statSync(join(root, each)).isFile());
}

export function fault(kv) {
  const totals = kv.get("totals") ?? NOTHING;
  const files = kv.list({ prefix: "file/" }).map(([, file]) => file);
  const sum = (field) => files.reduce((total, file) => total + file[field], 0);
  const wrong = ["bytes", "lines", "imports"].find((field) => sum(field) !== totals[field]);
  if (wrong !== undefined) return `the files that were read have ${sum(wrong)} ${wrong}, the totals ${totals[wrong]}`;
  if (files.length === totals.files && kv.count("dir/") === totals.directories) return undefined;
  return `${files.length} files and ${kv.count("dir/")} directories are noted, ${totals.files} and ${totals.directories} counted`;
}

export function learned(listing) {
  const number = (value) => value.toLocaleString("en");
  const totals = listing.find(([key]) => key === "totals")[1];
  const imported = listing.filter(([key]) => key.startsWith("imported/"));
  const [first] = imported.sort((a, b) => b[1] - a[1]);
  const { path, line, length } = totals.longest;
  return [
    ["read", `${number(totals.files)} files in ${totals.directories} directories, ${number(totals.lines)} lines`],
    ["longest line", `${number(length)} characters, ${path}:${line}`],
    [
      "imports",
      `${number(totals.imports)}${first ? `, most of ${first[0].slice("imported/".length)} (${first[1]} ×)` : ""}`,
    ],
  ];
}
