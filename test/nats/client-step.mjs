/** What each client does, whatever it runs in and however it is connected. */
import { Fleet } from "../../dist/fleet/fleet.js";

/** Takes a run, writes one more step to it strictly, and gives it back. @returns how many steps it found, and what they say */
export async function takeStep(connection, { run: id, by }) {
  const fleet = await Fleet.open(connection, { leaseMs: 2_000 });
  try {
    const run = await fleet.acquire(id, { waitMs: 30_000 });
    const found = [...run.events.range()].map(({ payload }) => payload.by);
    await run.transactionAsync(
      (tx) => {
        tx.kv.put("steps", found.length + 1);
        tx.state.set("last", by);
        tx.events.append("step", { by });
      },
      { durability: "strict" },
    );
    const { value: last } = run.state.read("last");
    if (run.kv.get("steps") !== found.length + 1 || last !== by)
      throw new Error("it does not read what it has written");
    await run.release();
    return found;
  } finally {
    await fleet.close();
  }
}
