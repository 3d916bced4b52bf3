export declare const THETA: number;
export declare const SCRAMBLED_ZETA: number;
export declare function fnvHash64(number: number): bigint;
export declare function zeta(from: number, to: number): number;
export declare function zipfian(
  random: () => number,
  items: number,
  zetaOfItems?: number,
): { grow(items: number): void; next(): number };
export declare function scrambledZipfian(random: () => number, items: number): { next(): number };
export declare function skewedLatest(random: () => number, items: number): { next(newest: number): number };
