/**
 * Parts of the package that are loaded where they are asked for, and what is thrown where that fails: in a page it is a request.
 */
import { HoldfastError } from "../errors.js";

/** What a part that is being imported comes to. @throws HoldfastError `STORE_FAILED` where it cannot be loaded. */
export async function loaded<T>(part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (cause) {
    const why = cause instanceof Error ? ` (${cause.message})` : "";
    throw new HoldfastError(
      "STORE_FAILED",
      `A part of Holdfast could not be loaded; nothing has changed. Try again.${why}`,
      { cause },
    );
  }
}
