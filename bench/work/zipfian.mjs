// The key choosers of YCSB (Cooper et al., Benchmarking Cloud Serving Systems with YCSB, 2010): zipfian by the method of Gray
// et al. (Quickly Generating Billion-Record Synthetic Databases, 1994), scrambled over all records, and skewed to the latest.
//
// Keeps true: what is chosen follows from the seed of `random` alone; the constants are those of YCSB's own generators.

export const THETA = 0.99;

/** So many ranks are scrambled, of which the records are the remainders; and the sum of 1 ÷ rank ^ THETA over them. */
const SCRAMBLED_RANKS = 10_000_000_000;
export const SCRAMBLED_ZETA = 26.46902820178302;

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 1099511628211n;
const OCTETS = 8;

/** 64-bit FNV-1a over the eight octets of a number, least first, without its sign: as YCSB hashes ranks and key numbers. */
export function fnvHash64(number) {
  let rest = number;
  let hash = FNV_OFFSET;
  for (let octet = 0; octet < OCTETS; octet++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(rest % 256)) * FNV_PRIME);
    rest = Math.floor(rest / 256);
  }
  const signed = BigInt.asIntN(64, hash);
  return signed < 0n ? -signed : signed;
}

/** The sum of 1 ÷ rank ^ THETA over ranks above `from` and up to `to`, counted from 1. */
export function zeta(from, to) {
  let total = 0;
  for (let rank = from + 1; rank <= to; rank++) total += 1 / rank ** THETA;
  return total;
}

/** Ranks from 0, the lower the more often: `next()` below `items`, of which there may be more with `grow(items)`. */
export function zipfian(random, items, zetaOfItems = zeta(0, items)) {
  const alpha = 1 / (1 - THETA);
  const zetaOfTwo = zeta(0, 2);
  let count = items;
  let total = zetaOfItems;
  let eta = etaOf();

  function etaOf() {
    return (1 - (2 / count) ** (1 - THETA)) / (1 - zetaOfTwo / total);
  }
  return {
    grow(more) {
      if (more <= count) return;
      total += zeta(count, more);
      count = more;
      eta = etaOf();
    },
    next() {
      const at = random();
      const share = at * total;
      if (share < 1) return 0;
      if (share < 1 + 0.5 ** THETA) return 1;
      return Math.min(count - 1, Math.floor(count * (eta * at - eta + 1) ** alpha));
    },
  };
}

/** Numbers below `items`, a few of them often, and these anywhere. */
export function scrambledZipfian(random, items) {
  const ranks = zipfian(random, SCRAMBLED_RANKS, SCRAMBLED_ZETA);
  const places = BigInt(items);
  return { next: () => Number(fnvHash64(ranks.next()) % places) };
}

/** Numbers from 0 to `newest`, the nearer to it the more often. */
export function skewedLatest(random, items) {
  const ages = zipfian(random, items);
  return {
    next(newest) {
      ages.grow(newest + 1);
      return newest - ages.next();
    },
  };
}
