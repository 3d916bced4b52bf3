/**
 * Runs the virtual project's tests for real: its modules are evaluated, from the texts that `read` gives. Nothing is kept
 * between two runs, so the same texts give the same outcome.
 */
export type ReadFile = (path: string) => string | undefined;

/** What came of one file of tests. */
export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  /** The first test that failed, and why. */
  readonly failure?: string;
}

/** The path that a module means by `name`. */
export function resolve(from: string, name: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** The paths that a module imports, in order. */
export function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(/require\("([^"]+)"\)/g)].map(([, name = ""]) => resolve(path, name));
}

function equal(actual: unknown, expected: unknown): void {
  if (Object.is(actual, expected)) return;
  throw new Error(`expected ${JSON.stringify(expected)}, got ${Number.isNaN(actual) ? "NaN" : JSON.stringify(actual)}`);
}

export function runTests(read: ReadFile, path: string): TestReport {
  const loaded = new Map<string, object>();
  let passed = 0;
  let failed = 0;
  let failure: string | undefined;

  const attempt = (name: string, body: () => void) => {
    try {
      body();
      passed++;
    } catch (error) {
      failed++;
      failure ??= `${name}: ${error instanceof Error ? error.message : String(error)}`;
    }
  };
  const load = (file: string): object => {
    const known = loaded.get(file);
    if (known !== undefined) return known;
    const text = read(file);
    if (text === undefined) throw new Error(`there is no ${file}`);
    const exports = {};
    loaded.set(file, exports);
    const evaluate = new Function("require", "exports", "test", "equal", `"use strict";${text}`);
    evaluate((name: string) => load(resolve(file, name)), exports, attempt, equal);
    return exports;
  };

  try {
    load(path);
  } catch (error) {
    failed++;
    failure ??= `${path} does not load: ${error instanceof Error ? error.message : String(error)}`;
  }
  return failure === undefined ? { passed, failed } : { passed, failed, failure };
}
