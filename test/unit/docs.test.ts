/**
 * What README.md and the guides in `docs/` show does work: every block of code in them that begins with `import` is
 * type-checked against the built package and run, each in a file of its own, in a folder whose `node_modules/holdfast` is this
 * package. Under a comment `<!-- types only: why -->` it is not run. Links lead to what is there.
 *
 * The examples of the primitives' own documentation run in the same way, with a database and a run around them.
 *
 * A block that is not run has to be one of those that cannot be: it does not begin with `import`, and its number is known
 * here, so that nothing drops out unseen. What a block says that it prints has to come out of it. The packed package has the same
 * done to it on every runtime (`test/package/`).
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Block, blocksOf, missingFrom, TESTED_ELSEWHERE } from "../support/code-blocks.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGES = ["README.md", ...fs.readdirSync(join(ROOT, "docs"), { encoding: "utf8" }).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith(".md"))
  .sort();
/** Pages whose links are checked, though they show no code that can be run. */
const LINKED = [
  ...PAGES,
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "bench/README.md",
  "examples/browser/README.md",
  "examples/edge/README.md",
  "examples/fleet/README.md",
];
/** Whether the packed package runs the same code on every runtime afterwards, this Node included; types are checked all the same. */
const IS_RUN_LATER = process.env["HOLDFAST_CONFORMANCE"] === "follows";
const RUN_MS_MAX = 20_000;

/** A folder as a user would have it, with the package in it by a link. */
function makeFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), "hf-docs-"));
  fs.mkdirSync(join(folder, "node_modules"));
  fs.symlinkSync(ROOT, join(folder, "node_modules/holdfast"), "junction");
  fs.symlinkSync(join(ROOT, "node_modules/@types"), join(folder, "node_modules/@types"), "junction");
  fs.writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return folder;
}

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

function runTool(folder: string, args: readonly string[]): Outcome {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    timeout: RUN_MS_MAX,
    killSignal: "SIGKILL",
  });
  return { ok: status === 0, output: `${stdout}${stderr}${signal === null ? "" : `ended by ${signal}`}` };
}

/** Writes blocks by their names and checks the types of all of them at once, which takes little longer than one. */
function compile(folder: string, blocks: ReadonlyMap<string, Block>): Outcome {
  const files = [...blocks].map(([name, { language, code }]) => {
    fs.writeFileSync(join(folder, `${name}.${language}`), code);
    return `${name}.${language}`;
  });
  const compilerOptions = {
    target: "ES2022",
    lib: ["ES2024", "ESNext.Disposable", "DOM", "DOM.AsyncIterable"],
    module: "NodeNext",
    strict: true,
    skipLibCheck: true,
    allowJs: true,
    checkJs: true,
    types: ["node"],
    outDir: "out",
    rootDir: ".",
  };
  const project = `${[...blocks.keys()].join("+").slice(0, 60)}.json`;
  fs.writeFileSync(join(folder, project), JSON.stringify({ compilerOptions, files }));
  return runTool(folder, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", project]);
}

/** Runs what a block was compiled to. */
function run(folder: string, name: string, block: Block): Outcome {
  const ran = runTool(folder, [`out/${name}.js`]);
  const missing = missingFrom(ran.output, block.code);
  return missing.length === 0 ? ran : { ok: false, output: `${ran.output}\nnot printed: ${missing.join(", ")}` };
}

/** Checks the types of a block and runs what it compiles to. */
function checkAndRun(folder: string, name: string, block: Block): Outcome {
  const compiled = compile(folder, new Map([[name, block]]));
  return compiled.ok ? run(folder, name, block) : compiled;
}

let folder: string;

beforeAll(() => {
  folder = makeFolder();
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

describe("the check itself", () => {
  const block = (code: string, language: "ts" | "js" = "ts"): Block => ({
    code,
    language,
    line: 1,
    checkable: true,
    runnable: true,
  });
  const opening =
    'import { Database } from "holdfast";\nconst db = await Database.open({ durability: "in-memory" });\n';

  test("finds every block with its line, and which of them can be run", () => {
    const fence = "```";
    const text = `# T\n${fence}ts\nimport "a";\n${fence}\n  ${fence}js\n  // a note\n  import "b";\n  ${fence}\n${fence}ts\ndb.run("x")\n${fence}\n${fence}sh\nls\n${fence}`;
    expect(blocksOf(text)).toEqual([
      { language: "ts", line: 3, code: 'import "a";', checkable: true, runnable: true },
      { language: "js", line: 6, code: '// a note\nimport "b";', checkable: true, runnable: true },
      { language: "ts", line: 10, code: 'db.run("x")', checkable: false, runnable: false },
    ]);
    expect(blocksOf(`<!-- types only: a page -->\n${fence}ts\nimport "a";\n${fence}`)).toEqual([
      { language: "ts", line: 3, code: 'import "a";', checkable: true, runnable: false },
    ]);
    expect(() => blocksOf(`${fence}ts\nimport "a";`)).toThrow("never ends");
  });

  test("compares what is printed with what the code says that it prints, as every runtime writes it", () => {
    const code = 'console.log(a, b); // 1 { "k": [1, 2] }\nconsole.log(c); // 10\nconst d = 1; // of no concern';
    expect(missingFrom("1 {\n  k: [ 1, 2, ],\n}\n10\n", code)).toEqual([]);
    expect(missingFrom("1 { k: [ 1, 3 ] }\n110\n", code)).toEqual(['1 { "k": [1, 2] }', "10"]);
  });

  test("lets what works pass, in both languages", () => {
    const code = `${opening}// expect: found 1\ndb.run("a").kv.put("k", 1);\nconsole.log("found", db.run("a").kv.get("k"));\nconsole.log({ k: "a", n: [1, 2] }); // { k: "a", n: [1, 2] }\nawait db.close();`;
    for (const language of ["ts", "js"] as const) {
      expect(checkAndRun(folder, `works-${language}`, block(code, language))).toMatchObject({ ok: true });
    }
  });

  test("sees a wrong type, a throw, an adapter that is not there, and output that does not come", {
    timeout: 5 * RUN_MS_MAX,
  }, () => {
    const wrong: Readonly<Record<string, string>> = {
      "wrong-type": `${opening}db.run(5);`,
      "unknown-name": `${opening}db.runn("a");`,
      throws: `${opening}db.run("");`,
      "no-adapter": 'import { none } from "holdfast/adapters/none";\nnone();',
      silent: `${opening}// expect: found 1`,
    };
    for (const [name, code] of Object.entries(wrong)) {
      expect(checkAndRun(folder, name, block(code)).ok, name).toBe(false);
    }
  });
});

test.each(Object.entries(TESTED_ELSEWHERE))("%s is read by %s", (page, suite) => {
  expect(fs.readFileSync(join(ROOT, suite), "utf8")).toContain(page);
});

describe.each(PAGES.filter((page) => !(page in TESTED_ELSEWHERE)))("%s", (page) => {
  const blocks = blocksOf(fs.readFileSync(join(ROOT, page), "utf8"));

  test("has no block of code that nobody checks", () => {
    const unchecked = blocks
      .filter((block) => !block.checkable)
      .map(({ line, code }) => `line ${line}: ${code.slice(0, 60)}`);
    expect(unchecked, "begin these with import, or write them as plain text").toEqual([]);
  });

  const prefix = page.replaceAll(/\W/g, "-").toLowerCase();
  const named = new Map(blocks.filter((block) => block.checkable).map((block) => [`${prefix}-${block.line}`, block]));
  let compiled: Outcome;
  beforeAll(() => {
    compiled = named.size === 0 ? { ok: true, output: "" } : compile(folder, named);
  });

  for (const [name, block] of named) {
    test(`the code at line ${block.line} has right types${block.runnable ? " and runs" : ""}`, () => {
      const checked = compiled.ok ? compiled : compile(folder, new Map([[name, block]]));
      const { ok, output } = checked.ok && block.runnable && !IS_RUN_LATER ? run(folder, name, block) : checked;
      expect(ok, output).toBe(true);
    });
  }
});

test("README.md shows something that can be run", () => {
  const blocks = blocksOf(fs.readFileSync(join(ROOT, "README.md"), "utf8"));
  expect(blocks.filter((block) => block.runnable).length).toBeGreaterThan(0);
});

describe("links", () => {
  /** The name that a heading has in a link, as pages are shown. */
  const anchorOf = (heading: string): string =>
    heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
  const withoutCode = (markdown: string): string => markdown.replaceAll(/^(`{3,})[\s\S]*?^\1$/gm, "");
  const headingsOf = (markdown: string): string[] =>
    [...withoutCode(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
  const linksOf = (markdown: string): string[] =>
    [...withoutCode(markdown).matchAll(/(?:\]\(|(?:src|srcset|href)=")([^)"\s]+)/g)].map(([, link = ""]) => link);

  test.each(LINKED)("of %s lead to what is there", (page) => {
    const markdown = fs.readFileSync(join(ROOT, page), "utf8");
    const dead = linksOf(markdown).filter((link) => {
      if (/^[a-z]+:/.test(link)) return !URL.canParse(link);
      const [path = "", anchor] = link.split("#");
      const file = path === "" ? join(ROOT, page) : join(ROOT, page, "..", path);
      if (!fs.existsSync(file)) return true;
      return anchor !== undefined && !headingsOf(fs.readFileSync(file, "utf8")).includes(anchor);
    });
    expect(dead).toEqual([]);
  });

  test("are looked at", () => {
    expect(linksOf('[a](b.md#c) <img src="d.svg">\n```\n[no](x)\n```')).toEqual(["b.md#c", "d.svg"]);
    expect(headingsOf("# How it's `built`, then\n")).toEqual(["how-its-built-then"]);
  });
});

describe("the documentation of the primitives", () => {
  const directory = join(ROOT, "src/host/primitives");
  const opening = [
    'import { Database } from "holdfast";',
    'const db = await Database.open({ durability: "in-memory" });',
    'const run = db.run("documented");',
  ].join("\n");

  const files = fs.readdirSync(directory);
  // A file without a store is a part of one that has one, such as `graph-walk.ts`.
  const examples = new Map(
    files.flatMap((file) => {
      const text = fs.readFileSync(join(directory, file), "utf8").replaceAll(/^ *\* ?/gm, "");
      const blocks = /^export class \w+ extends/m.test(text) ? blocksOf(text) : [];
      return blocks.map((block, i) => {
        const code = `${opening}\n${block.code}\nvoid [db, run];\nawait db.close();`;
        const name = `tsdoc-${file.replace(".ts", "")}`;
        return [i === blocks.length - 1 ? name : `${name}-${i}`, { ...block, code }] as const;
      });
    }),
  );
  let compiled: Outcome;
  beforeAll(() => {
    compiled = compile(folder, examples);
  });

  test("are there for all of them", () => {
    expect(examples.size).toBeGreaterThanOrEqual(6);
  });

  test.each([...examples])("%s has an example of at most five lines, which runs", (name, block) => {
    expect(block.code.split("\n").length - opening.split("\n").length - 2, "lines").toBeLessThanOrEqual(5);
    const { ok, output } = compiled.ok ? run(folder, name, block) : checkAndRun(folder, name, block);
    expect(ok, output).toBe(true);
  });
});
