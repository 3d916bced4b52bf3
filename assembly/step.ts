/**
 * In the test build for interleavings each access to a word that workers share asks the host first, which lets one worker go
 * on at a time. In every other build nothing of this is left, and the memory stays the only import.
 */

/** What else is done now and then is done each time there, so that few steps meet it. */
export const SELDOM_IS_OFTEN: bool = isDefined(STEPPED);

/** Returns when the worker may go on with its access to `word`. */
declare function step(word: usize): void;

/** Asks the host, in the build that has one to ask. */
export function stepped(word: usize): void {
  if (isDefined(STEPPED)) step(word);
}
