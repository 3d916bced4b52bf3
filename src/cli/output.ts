/**
 * Where a command writes to. Standard output is data and nothing else; what is for people alone (notes, progress) goes to
 * standard error. Writing waits for a slow reader, and a reader that has gone away ends the command without an error.
 */
import { fstatSync } from "node:fs";
import { type Json, jsonText } from "./json-values.js";
import { fileFailure } from "./system-errors.js";
import { printable } from "./text.js";
import { writeWholly } from "./whole-write.js";

/** Text is handed over in pieces of at least this size, and at the end. */
const PIECE_CHARS = 64 * 1024;
/** How often a line of progress is drawn again, and how long something takes before there is one. */
const PROGRESS_MS = 100;
const PROGRESS_AFTER_MS = 500;

const STDOUT = 1;

type Stream = NodeJS.WriteStream;

/** Thrown where nobody reads any more. */
export class ReaderGone extends Error {}

/** Whether a stream leads to somebody's eyes, and may be coloured. */
function isColoured(stream: Stream): boolean {
  const { NO_COLOR: none, TERM: terminal } = process.env;
  return stream.isTTY === true && (none === undefined || none === "") && terminal !== "dumb";
}

function painter(open: number, close: number, on: boolean): (text: string) => string {
  return on ? (text) => `\u001b[${open}m${text}\u001b[${close}m` : (text) => text;
}

/** Whether standard output is a file: a stream over one may take a part of a piece for all of it. */
function leadsToFile(): boolean {
  try {
    return fstatSync(STDOUT).isFile();
  } catch {
    return false;
  }
}

/** The two streams of a command. */
export class Output {
  /** Whether answers are JSON: one document, or one line for each item of a stream. */
  readonly json: boolean;
  /** Whether standard output is a terminal. */
  readonly isTerminal = process.stdout.isTTY === true;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly #isFile = leadsToFile();
  readonly #began = performance.now();
  #pending = "";
  #progressAt = 0;
  #progressShown = false;

  constructor(json: boolean) {
    this.json = json;
    const coloured = isColoured(process.stdout);
    this.bold = painter(1, 22, coloured);
    this.dim = painter(2, 22, coloured);
    // Failures reach whoever waits for a write; without a listener they would end the process besides.
    process.stdout.on("error", () => {});
    process.stderr.on("error", () => {});
  }

  /** One line. */
  async line(text = ""): Promise<void> {
    this.#pending += `${text}\n`;
    if (this.#pending.length >= PIECE_CHARS) await this.flush();
  }

  async lines(texts: Iterable<string>): Promise<void> {
    for (const text of texts) await this.line(text);
  }

  /** One document for programs, on lines of its own. */
  async document(value: Json): Promise<void> {
    await this.line(jsonText(value, 2));
  }

  /** One item of a stream for programs, on one line. */
  async item(value: Json): Promise<void> {
    await this.line(jsonText(value));
  }

  /** Bytes as they are. */
  async bytes(bytes: Uint8Array | string): Promise<void> {
    await this.flush();
    await this.#write(bytes);
  }

  /** Hands over what is written so far. */
  async flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = "";
    if (text !== "") await this.#write(text);
  }

  async #write(piece: Uint8Array | string): Promise<void> {
    this.clearProgress();
    try {
      if (this.#isFile) {
        writeWholly(STDOUT, Buffer.from(piece));
        return;
      }
      await new Promise<void>((resolve, reject) => {
        process.stdout.write(piece, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      throw isGone(error as Error) ? new ReaderGone() : fileFailure("Standard output", error);
    }
  }

  /** Something for people, which a pipe does not carry on. */
  note(text: string): void {
    this.clearProgress();
    process.stderr.write(`${text}\n`);
  }

  /** What somebody should know of an answer, beside it: for programs a line of JSON. */
  notice(kind: string, message: string): void {
    this.note(this.json ? jsonText({ notice: { kind, message } }) : `holdfast: ${printable(message)}`);
  }

  /** How far something has come, where somebody looks on. */
  progress(text: string): void {
    if (process.stderr.isTTY !== true) return;
    const now = performance.now();
    if (now - this.#began < PROGRESS_AFTER_MS || now - this.#progressAt < PROGRESS_MS) return;
    this.#progressAt = now;
    this.#progressShown = true;
    process.stderr.write(`\r${text}\u001b[K`);
  }

  clearProgress(): void {
    if (this.#progressShown) process.stderr.write("\r\u001b[K");
    this.#progressShown = false;
  }
}

/** What a writer is told once nobody reads: a pipe is broken, and one between sockets is reset where something was left unread. */
const GONE: readonly unknown[] = ["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED"];

function isGone(error: Error): boolean {
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  return GONE.includes(code) || name === "BrokenPipe" || name === "ConnectionReset";
}
