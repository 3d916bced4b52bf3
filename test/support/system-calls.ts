/** A trace of strace, read back: the calls of all threads in the order in which they returned. */

/** The flags that {@link parseCalls} wants: all threads, the path of each descriptor, times. */
export const TRACE_FLAGS = ["-f", "--seccomp-bpf", "-y", "-T", "-ttt", "-s", "64"] as const;

/** A call that returned. */
export interface Call {
  readonly name: string;
  /** When it was made and when it had returned, in seconds. */
  readonly calledAt: number;
  readonly returnedAt: number;
  /** Its arguments as strace shows them: a descriptor is followed by its path in angle brackets. */
  readonly text: string;
  /** What it returned, with what strace says about that. */
  readonly result: string;
  readonly ok: boolean;
  /** Whether strace made it return that, in the place of the kernel. */
  readonly isInjected: boolean;
}

const STARTED = /^(\d+) +(\d+\.\d+) (\w+)\((.*)$/;
const RESUMED = /^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)$/;
const RESULT = /\) += (.*?)(?: <\d+\.\d+>)?$/;

/** The calls of all threads by the time that they returned. */
export function parseCalls(trace: string): Call[] {
  const calls: Call[] = [];
  const unfinished = new Map<string, { name: string; calledAt: number; text: string }>();
  for (const line of trace.split("\n")) {
    const resumed = RESUMED.exec(line);
    const started = resumed ?? STARTED.exec(line);
    if (started === null) continue;
    const [, thread, at, name, text] = started as unknown as [string, string, string, string, string];
    const begun = resumed === null ? { name, calledAt: Number(at), text } : unfinished.get(thread);
    if (begun === undefined) continue;
    if (text.includes("<unfinished ...>")) {
      unfinished.set(thread, begun);
      continue;
    }
    unfinished.delete(thread);
    const tookMatch = /<(\d+\.\d+)>$/.exec(text);
    const returnedAt = begun.calledAt + Number(tookMatch?.[1] ?? 0);
    const result = RESULT.exec(text)?.[1] ?? "";
    const isInjected = result.includes("(INJECTED)");
    calls.push({ ...begun, returnedAt, result, ok: /^[0-9]/.test(result), isInjected });
  }
  return calls.sort((a, b) => a.returnedAt - b.returnedAt);
}

/** Of a log that has its name, or is about to get it. */
export const isOfLog = (call: Call): boolean => /\.log(\.tmp)?>/.test(call.text);
export const isSync = (call: Call): boolean => call.name === "fdatasync" || call.name === "fsync";
export const isWrite = (call: Call): boolean => /^p?write(v|64)?$/.test(call.name);
