/**
 * What the system said, read from what each runtime makes of it.
 *
 * A full quota ended the store instead of being told as want of room: Node calls that error UNKNOWN, and Deno leaves it, as
 * it does a file that may not grow, without any code. Both give the system's number, each in its own place.
 */
import { expect, test } from "vitest";
import { codeOf, failure, type Platform, writeAll } from "../../src/adapters/node-fs-platform.js";

const NODE = Object.assign(new Error("UNKNOWN: unknown error, write"), {
  errno: -122,
  code: "UNKNOWN",
  syscall: "write",
});
const OLDER_NODE = Object.assign(new Error("Unknown system error -122"), {
  errno: -122,
  code: "Unknown system error -122",
});
const BUN = Object.assign(new Error("EDQUOT: unknown error, write"), { errno: -122, code: "EDQUOT" });
const DENO = new Error("Disk quota exceeded (os error 122)");
const MAC = Object.assign(new Error("unknown error"), { errno: -69, code: "UNKNOWN" });
const DENO_LIMIT = new Error("File too large (os error 27)");
const DENO_INTERRUPTED = Object.assign(new Error("Interrupted system call (os error 4)"), { name: "Interrupted" });

test("want of room has its code on every runtime", () => {
  for (const error of [NODE, OLDER_NODE, BUN, DENO, MAC]) expect(codeOf(error)).toBe("EDQUOT");
  expect(codeOf(DENO_LIMIT)).toBe("EFBIG");
  for (const error of [NODE, DENO, DENO_LIMIT]) expect(failure("append", error).code).toBe("STORAGE_FULL");
});

test("a call that was interrupted is known as such", () => {
  expect(codeOf(DENO_INTERRUPTED)).toBe("EINTR");
});

test("a call that is interrupted for ever ends with a typed error", () => {
  // A write that was interrupted was made again, and again, for as long as it was.
  let calls = 0;
  const interrupted = (): never => {
    if (++calls > 100_000) throw new Error("is made again for ever");
    throw DENO_INTERRUPTED;
  };
  const fs = { writeSync: interrupted, fstatSync: () => ({ size: 0 }) };
  const node = { fs } as unknown as Platform;
  const write = (): void => writeAll(node, 1, new Uint8Array(8), 0, "append");
  expect(write).toThrowError(expect.objectContaining({ code: "STORE_FAILED", cause: DENO_INTERRUPTED }));
});

test("what has a name keeps it, and what is no error of the system has none", () => {
  expect(codeOf(Object.assign(new Error("ENOSPC: no space left on device"), { errno: -28, code: "ENOSPC" }))).toBe(
    "ENOSPC",
  );
  expect(codeOf(new Error("a file named (os error 27) is missing"))).toBe("");
  expect(codeOf(Object.assign(new Error("no"), { code: "ERR_INVALID_ARG_TYPE" }))).toBe("ERR_INVALID_ARG_TYPE");
  expect(codeOf("no")).toBe("");
  expect(failure("append", new Error("no")).code).toBe("STORE_FAILED");
});
