/**
 * What is held for a generator that nobody has begun.
 */

/** A generator that, ended before it was begun, lets go all the same; by itself it runs nothing then. */
export function endedAtOnce<T>(
  pieces: AsyncGenerator<T, void, undefined>,
  letGo: () => void,
): AsyncGenerator<T, void, undefined> {
  const begin = pieces.next.bind(pieces);
  const end = pieces.return.bind(pieces);
  const fail = pieces.throw.bind(pieces);
  let hasBegun = false;
  const orAtOnce =
    <A>(call: (given: A) => Promise<IteratorResult<T, void>>) =>
    (given: A): Promise<IteratorResult<T, void>> => {
      if (!hasBegun) letGo();
      return call(given);
    };
  return Object.assign(pieces, {
    next: () => {
      hasBegun = true;
      return begin();
    },
    return: orAtOnce(end),
    throw: orAtOnce(fail),
  });
}
