/**
 * How far an agent has come: one line that is written over on a terminal, now and then a plain line elsewhere.
 */
import { canRewrite, clip, columns, paint } from "./terminal.mjs";

const REDRAW_MS = 40;
const PLAIN_LINE_MS = 1_000;
const BAR_WIDTH = 20;
const NAME_WIDTH = 14;

export class Progress {
  #name;
  #total;
  #done;
  #drawnAt = canRewrite ? 0 : performance.now();

  constructor(name, total, done) {
    this.#name = name;
    this.#total = total;
    this.#done = done;
  }

  step(label) {
    this.#done += 1;
    const now = performance.now();
    if (now - this.#drawnAt < (canRewrite ? REDRAW_MS : PLAIN_LINE_MS)) return;
    this.#drawnAt = now;
    const count = `${this.#done}/${this.#total}`;
    if (!canRewrite) {
      console.log(`  ${this.#name.padEnd(NAME_WIDTH)}${count}`);
      return;
    }
    const filled = Math.min(BAR_WIDTH, Math.round((this.#done / this.#total) * BAR_WIDTH));
    const bar = paint("cyan", "━".repeat(filled)) + paint("dim", "━".repeat(BAR_WIDTH - filled));
    const head = `  ${this.#name.padEnd(NAME_WIDTH)}`;
    const tail = clip(`  ${count}  ${label}`, columns - head.length - BAR_WIDTH - 1);
    process.stdout.write(`\r\x1b[2K${head}${bar}${tail}`);
  }

  /** Leaves nothing behind on a terminal. */
  end() {
    if (canRewrite) process.stdout.write("\r\x1b[2K");
  }
}
