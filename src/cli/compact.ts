/**
 * `holdfast compact`: a checkpoint by the owner, which this becomes for as long as it takes.
 */
import type { Call, Command } from "./command.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { directoryUse, openToOwn } from "./opening.js";
import { bytes, count, printable } from "./text.js";

export const compactCommand: Command = {
  name: "compact",
  operands: ["DIR"],
  summary: "write what is there as a checkpoint and remove the log before it",
  details: [
    "Needs the database to itself: LOCKED with the owner's process while it has one, which can call db.checkpoint() instead.",
    "Where the last owner was killed, this recovers first, as every owner does. Killed anywhere, the old or the new state is whole.",
  ],
  options: {},
  run: compact,
};

async function compact(call: Call): Promise<ExitCode> {
  const { out } = call;
  const directory = call.operand(0);
  const sizeOf = async (): Promise<number> => {
    const { segments, checkpoints } = await directoryUse(directory);
    return segments.bytes + checkpoints.bytes;
  };
  const before = await sizeOf();
  const db = await openToOwn(directory, out);
  try {
    out.progress("compact: writing a checkpoint");
    await db.checkpoint();
  } finally {
    await db.close();
  }
  const after = await sizeOf();
  const { recovered } = db.storageInfo;
  if (out.json) {
    const torn = recovered === undefined ? null : { ...recovered };
    await out.document({ directory, bytesBefore: before, bytesAfter: after, recovered: torn });
  } else {
    await out.line(`${printable(directory)}: ${bytes(before)} before, ${bytes(after)} after`);
    if (recovered !== undefined) {
      const { commits, droppedBytes, reason } = recovered;
      await out.line(`recovered ${count(commits, "commit")}, cut off ${bytes(droppedBytes)}: ${printable(reason)}`);
    }
  }
  return EXIT.done;
}
