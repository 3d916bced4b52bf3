/**
 * Chance from a seed, and choices that can also be gone through one by one.
 *
 * What it keeps true: the same seed and the same questions give the same answers, on every machine.
 */

/** Whatever answers "which of so many?". */
export interface Chooser {
  /** A whole number from 0 to `below` − 1. */
  pick(below: number): number;
  /** True about once in `times`; a chooser that goes through everything says no. */
  rarely(times: number): boolean;
}

/** A small generator with a state of 32 bits (mulberry32). */
export class Random implements Chooser {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  pick(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  rarely(times: number): boolean {
    return this.pick(times) === 0;
  }

  /** One of some things. */
  of<T>(things: readonly T[]): T {
    return things[this.pick(things.length)] as T;
  }

  /** Goes on as another one would. */
  become(other: Random): void {
    this.#state = other.#state;
  }

  /** A seed for somebody else. */
  seed(): number {
    return this.pick(2 ** 31);
  }
}

/** A seed made of several, so that neighbours have nothing in common. */
export function mixed(...seeds: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const seed of seeds) {
    state = Math.imul(state ^ seed, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return state >>> 0;
}

/** Goes through every combination of answers, one for each run of the questions. */
export class Odometer implements Chooser {
  readonly #digits: number[] = [];
  readonly #radixes: number[] = [];
  #at = 0;

  pick(below: number): number {
    const at = this.#at++;
    if (at === this.#digits.length) {
      this.#digits.push(0);
      this.#radixes.push(below);
    }
    return this.#digits[at] as number;
  }

  rarely(): boolean {
    return false;
  }

  /** Goes on to the next combination; false if that was the last. */
  next(): boolean {
    this.#at = 0;
    while (this.#digits.length > 0) {
      const last = this.#digits.length - 1;
      const digit = (this.#digits[last] as number) + 1;
      if (digit < (this.#radixes[last] as number)) {
        this.#digits[last] = digit;
        return true;
      }
      this.#digits.pop();
      this.#radixes.pop();
    }
    return false;
  }
}
