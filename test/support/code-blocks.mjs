/**
 * The code that a Markdown text shows, and what it says comes out of it.
 *
 * A comment `expect: text` on a line of its own makes the output contain the text. A comment behind a `console.log(…);` is what
 * that prints, as a line of its own: spaces, quotes and the breaks within brackets are each runtime's, and do not count.
 */

/** Pages whose code is run by a suite of its own, as it stands there, and that suite. */
export const TESTED_ELSEWHERE = {
  "docs/BUNDLERS.md": "test/package/bundlers.mjs",
  "docs/FLEET.md": "test/nats/docs.test.ts",
  "docs/EDGE.md": "test/unit/example-edge.test.ts",
  "docs/INTEGRATIONS.md": "test/integrations/docs.test.ts",
};

const TYPES_ONLY = /^\s*<!-- types only: .+ -->$/;

/**
 * Every block of TypeScript or JavaScript in a Markdown text. Fences may be indented, as in a list.
 * @returns `{ language, line, code, checkable, runnable }[]`: `line` is that of the block's first line; what begins with an import
 * stands for itself, so that its types can be checked, and is run, unless a comment `<!-- types only: why -->` stands above it
 */
export function blocksOf(markdown) {
  const blocks = [];
  const lines = markdown.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const fence = /^(\s*)(`{3,})\s*(ts|typescript|js|javascript|mjs)\b/.exec(lines[i]);
    if (fence === null) continue;
    const [, indent, ticks, language] = fence;
    const end = lines.findIndex((line, at) => at > i && line.trim() === ticks);
    if (end < 0) throw new Error(`the block at line ${i + 1} never ends`);
    const code = lines
      .slice(i + 1, end)
      .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      .join("\n");
    const first = code.split("\n").find((line) => line.trim() !== "" && !line.trim().startsWith("//")) ?? "";
    const checkable = /^import\b/.test(first);
    blocks.push({
      language: language.startsWith("t") ? "ts" : "js",
      line: i + 2,
      code,
      checkable,
      runnable: checkable && !TYPES_ONLY.test(lines[i - 1] ?? ""),
    });
    i = end;
  }
  return blocks;
}

/** What is printed as one line each: breaks and spaces within brackets go, and so do quotes and a comma before a closing bracket. */
function printedLines(text) {
  let depth = 0;
  let line = "";
  const lines = [];
  for (const char of text) {
    if ("{[(".includes(char)) depth += 1;
    else if ("}])".includes(char)) {
      depth -= 1;
      line = line.replace(/,$/, "");
    }
    if (char === "\n" && depth === 0) {
      lines.push(line);
      line = "";
    } else if (!/[\s"'`]/.test(char)) line += char;
  }
  return [...lines, line];
}

/** What the code says that it prints, and what it printed has not: none where it is right. */
export function missingFrom(output, code) {
  const contained = [...code.matchAll(/^\s*\/\/ expect: (.*)$/gm)].map(([, text]) => text.trim());
  const whole = [...code.matchAll(/^\s*console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text.trim());
  const lines = printedLines(output);
  return [
    ...contained.filter((text) => !output.includes(text)),
    ...whole.filter((text) => !lines.includes(printedLines(text).join(""))),
  ];
}
