/** What the servers of a cluster hold of a log, each for itself: for when a test fails, since nobody sees it afterwards. */
import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { STREAM } from "../../src/adapters/nats.js";
import { decodeFrame, OPERATIONS } from "../../src/adapters/nats-frames.js";
import { Subject } from "../../src/adapters/nats-subject.js";

/** Any of the servers delivers: after so many times all of them have. */
const DELIVERIES = 8;
const NAMES = Object.keys(OPERATIONS);

function nameOf(sequence: number, message: Uint8Array): string {
  const { operation, epoch, count, writer, at } = decodeFrame(message, sequence);
  return `${sequence} ${NAMES[operation - 1]} at ${at}, ${count} of ${writer.toString(16).slice(0, 4)}, epoch ${epoch}`;
}

/** What the one that leads holds of a run, and in what deliveries differ from it. */
async function viewOf(connection: NatsConnection, run: string): Promise<string> {
  const js = jetstream(connection);
  const place = { connection, js, jsm: await js.jetstreamManager(false), stream: STREAM, patienceMs: 30_000 };
  const subject = new Subject({ ...place, subject: `${STREAM}.log.${run}` });
  const end = await subject.end();
  const agreed: string[] = [];
  await subject.replayByLeader(1, end, (sequence, message) => agreed.push(nameOf(sequence, message)));
  const lines = [`${run}, as the server that leads has it:`, ...agreed];
  for (let delivery = 1; delivery <= DELIVERIES; delivery++) {
    const shown: string[] = [];
    await subject.replay(1, end, (sequence, message) => shown.push(nameOf(sequence, message)));
    const lacks = agreed.filter((each) => !shown.includes(each)).map((each) => `- ${each}`);
    const besides = shown.filter((each) => !agreed.includes(each)).map((each) => `+ ${each}`);
    lines.push(`delivery ${delivery}: ${lacks.length + besides.length} differ`, ...lacks, ...besides);
  }
  return lines.join("\n");
}

/** Throws on what a test has failed with, and tells what the servers hold of these runs. */
export async function failWithViews(
  connection: NatsConnection,
  runs: readonly string[],
  cause: unknown,
): Promise<never> {
  const views = await Promise.all(runs.map((run) => viewOf(connection, run).catch((error) => `${run}: ${error}`)));
  console.error(views.join("\n"));
  throw cause;
}
