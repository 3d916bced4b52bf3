/**
 * Lets the asynchronous transactions of one run begin one after another where that costs nothing: while the one before is
 * only a few microtasks from its commit.
 *
 * A callback that waits for nothing outside ends within its turn, but not before others have begun on the same state, and
 * then each of them conflicts with the first. So whoever comes while another is inside waits until that has committed; one
 * that is not back after a few microtasks waits for something else, and then all go on side by side.
 */

/** Microtasks after which whoever is inside is taken to wait for something outside. */
const HOPS_MAX = 16;
/** One microtask's wait: some engines take several times as long to wait for what is no promise. */
const HOP = Promise.resolve();

export class Turnstile {
  /** The one inside; 0: nobody. */
  #inside = 0;
  #count = 0;
  #waiting: ((ticket: number) => void)[] = [];
  #isWatched = false;

  /** A ticket for {@link leave} if nobody is inside, otherwise the promise of one. */
  enter(): number | Promise<number> {
    if (this.#inside === 0) return this.#admit();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isWatched) void this.#watch();
    });
  }

  /** Lets the next one in. Only the ticket of the one inside does anything. */
  leave(ticket: number): void {
    if (ticket !== this.#inside) return;
    this.#inside = 0;
    this.#waiting.shift()?.(this.#admit());
  }

  #admit(): number {
    this.#inside = ++this.#count;
    return this.#inside;
  }

  /** Counts microtasks while somebody waits. */
  async #watch(): Promise<void> {
    this.#isWatched = true;
    let seen = this.#inside;
    for (let hops = 0; this.#waiting.length > 0; hops++) {
      await HOP;
      if (this.#inside !== seen) {
        seen = this.#inside;
        hops = 0;
      } else if (hops >= HOPS_MAX) {
        this.#inside = 0;
        for (const resolve of this.#waiting.splice(0)) resolve(0);
      }
    }
    this.#isWatched = false;
  }
}
