/**
 * The edits that the agent knows: small changes of one line, in a fixed order, so that "the seventh edit of this text" is always
 * the same one. That is all that has to be remembered of where a search has come to.
 */
export interface Edit {
  /** From 1. */
  readonly line: number;
  readonly from: string;
  readonly to: string;
  /** The whole text, edited. */
  readonly text: string;
}

const RULES: readonly (readonly [what: RegExp, by: string])[] = [
  [/(?<![=<>])>=/g, ">"],
  [/(?<![=<>])>(?![=>])/g, ">="],
  [/<=/g, "<"],
  [/<(?![=<])/g, "<="],
  [/&&/g, "||"],
  [/\|\|/g, "&&"],
  [/ \+ (?=\w)/g, " - "],
  [/ - (?=\w)/g, " + "],
  [/\b0\b(?!\.)/g, "1"],
  [/ \/ (\w+\.length)\b/g, " / Math.max(1, $1)"],
];

const isCode = (line: string): boolean => !line.startsWith("//") && !line.includes("require(");

export function editsOf(text: string): Edit[] {
  const lines = text.split("\n");
  return lines.flatMap((from, index) => {
    if (!isCode(from)) return [];
    return RULES.flatMap(([what, by]) =>
      [...from.matchAll(what)].map((match) => {
        const found = match[0];
        const put = by.replace("$1", match[1] ?? "");
        const to = from.slice(0, match.index) + put + from.slice(match.index + found.length);
        return { line: index + 1, from, to, text: lines.with(index, to).join("\n") };
      }),
    );
  });
}
