/**
 * What the system says of files that are no database: exports, standard output, the place for a measurement.
 */
import { HoldfastError } from "../index.js";
import { printable } from "./text.js";

/** A failure of the system as a typed error with the next step; what is something else is given back as it came. */
export function fileFailure(file: string, cause: unknown): unknown {
  const { code = codeInWords(cause) } = cause as { readonly code?: unknown };
  if (HoldfastError.is(cause) || typeof code !== "string") return cause;
  const details = { path: file, system: code };
  const failed = (kind: ConstructorParameters<typeof HoldfastError>[0], text: string): HoldfastError =>
    new HoldfastError(kind, `${printable(file)} ${text}`, { cause, details });
  if (code === "EEXIST") return failed("ALREADY_EXISTS", "is there already. Name another file, or pass --force.");
  if (code === "ENOENT") return failed("NOT_FOUND", "does not exist, or its directory does not. Name another.");
  if (code === "ENOSPC" || code === "EDQUOT")
    return failed("STORAGE_FULL", "has no room. Make some, or name another file.");
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return failed("READ_ONLY", `may not be used (${code}). Name another.`);
  return failed("STORE_FAILED", `cannot be used (${code}). Name another.`);
}

/** The same of a file that is only read: that it may not be is no matter of writing. */
export function readFailure(file: string, cause: unknown): unknown {
  const failure = fileFailure(file, cause);
  if (!HoldfastError.is(failure, "READ_ONLY") || failure === cause) return failure;
  const { details } = failure;
  return new HoldfastError("STORE_FAILED", `${printable(file)} may not be read (${details["system"]}). Name another.`, {
    cause,
    details,
  });
}

/** Deno's streams say it in words alone. */
function codeInWords(cause: unknown): string | undefined {
  return cause instanceof Error && cause.message.includes("(os error 28)") ? "ENOSPC" : undefined;
}
