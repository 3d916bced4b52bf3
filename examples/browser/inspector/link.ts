/**
 * Calls over messages: one side answers, the other asks. What it keeps true: a call is settled once; what was asked of a worker
 * that is gone is refused when the asking side is closed, since the worker will never say so.
 */
export interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

type Message =
  | { readonly link: "call"; readonly id: number; readonly name: string; readonly argument: unknown }
  | { readonly link: "done"; readonly id: number; readonly value: unknown }
  | { readonly link: "failed"; readonly id: number; readonly error: LinkedError }
  | { readonly link: "news"; readonly value: unknown };

/** An error as a message carries it: its class is lost, its code is not. */
export interface LinkedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
}

export function linkedError(error: unknown): LinkedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return { name: error.name, message: error.message, ...(code === undefined ? {} : { code }) };
}

/** A call that was refused at the other side, or because that is gone. */
export class CallError extends Error {
  readonly code: string;

  constructor({ message, code, name }: LinkedError) {
    super(message);
    this.code = code ?? name;
  }
}

/** Answers calls. @returns what tells the other side of something that it did not ask for */
export function serve(port: Port, answer: (name: string, argument: never) => unknown): (news: unknown) => void {
  port.addEventListener("message", async ({ data }: MessageEvent<Message>) => {
    if (data?.link !== "call") return;
    const { id, name, argument } = data;
    try {
      const value = await answer(name, argument as never);
      port.postMessage({ link: "done", id, value });
    } catch (error) {
      port.postMessage({ link: "failed", id, error: linkedError(error) });
    }
  });
  return (value) => port.postMessage({ link: "news", value });
}

export class Caller {
  readonly #port: Port;
  readonly #onNews: (news: unknown) => void;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  #isClosed = false;

  constructor(port: Port, onNews: (news: unknown) => void) {
    this.#port = port;
    this.#onNews = onNews;
    port.addEventListener("message", this.#heard);
  }

  /** @param transfer what in the argument is handed over instead of copied */
  call(name: string, argument: unknown = {}, transfer: Transferable[] = []): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(gone());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#port.postMessage({ link: "call", id, name, argument }, transfer);
    });
  }

  /** Says that the other side is gone, or is not wanted any more. */
  close(): void {
    this.#isClosed = true;
    this.#port.removeEventListener("message", this.#heard);
    for (const { reject } of this.#waiting.values()) reject(gone());
    this.#waiting.clear();
  }

  readonly #heard = ({ data }: MessageEvent<Message>): void => {
    if (data?.link === "news") this.#onNews(data.value);
    if (data?.link !== "done" && data?.link !== "failed") return;
    const waiting = this.#waiting.get(data.id);
    this.#waiting.delete(data.id);
    if (data.link === "done") waiting?.resolve(data.value);
    else waiting?.reject(new CallError(data.error));
  };
}

function gone(): CallError {
  return new CallError({ name: "Gone", message: "Whoever had the database is gone.", code: "GONE" });
}
