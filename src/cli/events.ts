/**
 * `holdfast events`: a run's event log, and with `--follow` what is appended to it while somebody else owns the database.
 *
 * Following looks at the files' lengths, which costs next to nothing, and reads the database anew where they have changed: there
 * is no other way to see what another process writes. It rests at least as long as it has read, so that it never takes more than
 * half of a core, and what is appended meanwhile comes in one piece.
 *
 * What it keeps true: an event is given once and in order, also where files come and go below it. A run that was deleted and
 * begun anew is told from one that goes on by the hash of the event before the next one; it is then given from its first event.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { LogEvent } from "../index.js";
import { type Call, type Command, READING_OPTIONS } from "./command.js";
import { eventLine, eventToJson } from "./event-lines.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { noRun } from "./inspect.js";
import { directoryUse, openToRead } from "./opening.js";

const INTERVAL_MS = 250;
const INTERVAL_MS_LEAST = 10;
/** A timer that is to wait longer does not wait at all. */
const INTERVAL_MS_MOST = 2 ** 31 - 1;

export const eventsCommand: Command = {
  name: "events",
  operands: ["DIR", "RUN"],
  summary: "a run's events, one a line; --follow waits for more",
  details: [
    "Reads beside a live owner. Following looks at the files' lengths every --interval and, where they have changed, reads the",
    "database anew: as long as opening takes, in proportion to what is stored, after which it rests as long. A checkpoint",
    "(holdfast compact) makes that shorter. What an owner holds back in memory cannot be seen. It waits for a run that is not",
    "there yet, and ends by Ctrl-C, by --limit, or with the first event that it writes and nobody reads any more. With --json one",
    "document on each line.",
  ],
  options: {
    follow: { type: "boolean", help: "go on with what is appended" },
    from: { type: "string", value: "SEQUENCE", help: "begin with this one (0 if left out)" },
    last: { type: "string", value: "N", help: "begin so many before the end" },
    type: { type: "string", value: "TYPE", help: "only events of this type" },
    limit: { type: "string", value: "N", help: "end after so many" },
    interval: { type: "string", value: "MS", help: `how often to look while following (${INTERVAL_MS} if left out)` },
    ...READING_OPTIONS,
  },
  run: events,
};

/** Where the output stands. */
interface Cursor {
  /** The next event to give. */
  next: number;
  /** Begin so many before the end, once there is one. */
  last: number | undefined;
  /** The hash of the one before it, once there was one. */
  hash: Uint8Array | undefined;
  /** How many may still be given. */
  left: number;
}

async function events(call: Call): Promise<ExitCode> {
  const { out } = call;
  const [directory, id] = [call.operand(0), call.operand(1)];
  const follow = call.flag("follow");
  const intervalMs = call.number("interval", INTERVAL_MS, { least: INTERVAL_MS_LEAST, most: INTERVAL_MS_MOST });
  const cursor: Cursor = {
    next: call.number("from", 0),
    last: call.text("last") === undefined ? undefined : call.number("last", 0),
    hash: undefined,
    left: call.number("limit", Number.POSITIVE_INFINITY),
  };
  for (let mark = ""; ; ) {
    const { mark: found } = await directoryUse(directory);
    let tookMs = 0;
    if (found !== mark) {
      mark = found;
      const began = performance.now();
      await give(call, directory, id, cursor, follow);
      tookMs = performance.now() - began;
    }
    await out.flush();
    if (!follow || cursor.left <= 0) return EXIT.done;
    await sleep(Math.max(intervalMs, tookMs));
  }
}

/** Gives what has come since the last time. */
async function give(call: Call, directory: string, id: string, cursor: Cursor, follow: boolean): Promise<void> {
  const { out } = call;
  const wanted = call.text("type");
  const db = await openToRead(directory, out, call.flag("salvage"));
  try {
    if (!db.runs.ids().includes(id)) {
      if (!follow) throw noRun(id);
      return;
    }
    const log = db.run(id).events;
    if (cursor.last !== undefined) cursor.next = Math.max(0, log.length - cursor.last);
    cursor.last = undefined;
    if (!goesOn(log.read(Math.max(0, cursor.next - 1)), cursor)) {
      out.notice("begun-anew", "the run was deleted and begun anew; its events are given from the first.");
      Object.assign(cursor, { next: 0, hash: undefined });
    }
    if (cursor.next > 0) cursor.hash ??= log.read(cursor.next - 1)?.hash;
    if (cursor.next >= log.length) return;
    for (const event of log.range(cursor.next)) {
      if (cursor.left <= 0) return;
      cursor.next = event.sequence + 1;
      cursor.hash = event.hash;
      if (wanted !== undefined && event.type !== wanted) continue;
      cursor.left--;
      if (out.json) await out.item(eventToJson(event));
      else await out.line(eventLine(event, out.isTerminal));
    }
  } finally {
    await db.close();
  }
}

/** Whether the event before the next one is still the one that stands there. */
function goesOn(event: LogEvent | undefined, { hash }: Cursor): boolean {
  if (hash === undefined) return true;
  return event !== undefined && Buffer.compare(event.hash, hash) === 0;
}
