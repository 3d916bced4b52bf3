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
 * A step is traced as the decision for one of what could be done next, below it the call of the tool, and below that an
 * error where a file imports what is not in the tree.
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
  const [choice, ...others] = choices(kv);
  if (choice === undefined) return undefined;
  const { result, errors, write } = choice.action === "list" ? listing(root, choice) : reading(root, choice);
  const { action, path, why } = choice;
  const chosen = labelOf(choice);
  const options = [...new Set([chosen, ...others.map(labelOf)])];
  const call = { type: "tool-call", name: action, args: { path }, result };
  const traces = {
    entry: { type: "decision", question: "What next?", options, chosen, reasoning: why },
    children: [{ entry: call, tags: [action], children: errors.map((entry) => ({ entry })) }],
  };
  return { label: chosen, traces, decision: { chosen, why }, write };
}

const labelOf = ({ action, path }) => `${action} ${path}`;

/**
 * What can be done, the best first, from the store alone: a process that has just started decides as one that never
 * stopped.
 */
function choices(kv) {
  if (kv.get("totals") === undefined) return [{ action: "list", path: ".", why: "the beginning" }];
  const imported = kv
    .list({ prefix: "todo/import/", limit: 1 })
    .map(([key, importer]) => ({ action: "read", path: withoutPrefix(key), why: `imported by ${importer}` }));
  const largest = kv
    .list({ prefix: "todo/file/" })
    .sort(([, a], [, b]) => b - a)
    .slice(0, 1)
    .map(([key, bytes]) => ({ action: "read", path: withoutPrefix(key), why: `the largest unread, ${bytes} bytes` }));
  const directory = kv
    .keys({ prefix: "todo/dir/", limit: 1 })
    .map((key) => ({ action: "list", path: withoutPrefix(key), why: "the next directory" }));
  return [...imported, ...largest, ...directory];
}

const withoutPrefix = (key) => key.split("/").slice(2).join("/");

function listing(root, { path }) {
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
  return { result: { directories: directories.length, files: files.length }, errors: [], write };
}

function reading(root, { path }) {
  const text = readFileSync(join(root, path), "utf8");
  const measured = measure(text);
  const specifiers = [...text.matchAll(IMPORT_PATTERN)].map((match) => match[1]);
  const own = specifiers.filter((specifier) => specifier.startsWith("."));
  const resolved = own.map((specifier) => resolve(root, path, specifier));
  const targets = new Set(resolved.filter((target) => target !== undefined));
  const missing = own.filter((_, index) => resolved[index] === undefined);
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
  const message = `${path} imports what is not in the tree: ${missing.join(", ")}`;
  const errors =
    missing.length === 0 ? [] : [{ type: "error", errorType: "missing-import", message, recoverable: true }];
  return { result: measured, errors, write };
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

/** The file of the tree that a relative specifier means, by the rules of both TypeScript and AssemblyScript. */
function resolve(root, importer, specifier) {
  const path = posix.join(posix.dirname(importer), specifier);
  if (path.startsWith("..")) return undefined;
  const candidates = [path, path.replace(/\.js$/, ".ts"), `${path}.ts`];
  return candidates.find((each) => existsSync(join(root, each)) && statSync(join(root, each)).isFile());
}

export function fault(kv, steps) {
  const totals = kv.get("totals") ?? NOTHING;
  const files = kv.list({ prefix: "file/" }).map(([, file]) => file);
  const sum = (field) => files.reduce((total, file) => total + file[field], 0);
  const wrong = ["bytes", "lines", "imports"].find((field) => sum(field) !== totals[field]);
  if (wrong !== undefined) return `the files that were read have ${sum(wrong)} ${wrong}, the totals ${totals[wrong]}`;
  const noted = [files.length, kv.count("dir/")];
  if (noted[0] !== totals.files || noted[1] !== totals.directories) {
    return `${noted.join(" files and ")} directories are noted, ${totals.files} and ${totals.directories} counted`;
  }
  const counted = totals.files + totals.directories;
  return counted === steps ? undefined : `${counted} files and directories were looked at in ${steps} steps`;
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
