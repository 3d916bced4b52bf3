/** Whether the oracle of the crash tests sees what it is there to see: each fault, planted in a database of its own. */
import { expect, test } from "vitest";
import { Database } from "../../src/index.js";
import { judge, read, type Verdict } from "./ledger.js";
import { JOINT_RUN, planOf } from "./plan.mjs";

const COMMITS = 400;

interface Planted {
  /** A commit that is left out, and how far the plan is carried out. */
  readonly without?: number;
  readonly upTo?: number;
  /** A commit of which one key is left out. */
  readonly partly?: number;
  readonly durable?: number;
  readonly joint?: { readonly n: number; readonly events: number; readonly after: number };
}

/** The last commit before `COMMITS` that writes a group of keys, which all commits after it leave alone. */
function lastGroup(): number {
  const isLeftAlone = (n: number): boolean => {
    const { run, puts } = planOf(n);
    if (puts.length < 2) return false;
    for (let later = n + 1; later <= COMMITS; later++) {
      const other = planOf(later);
      if (other.run === run && (other.deletesRun || other.puts.some((key) => puts.includes(key)))) return false;
    }
    return true;
  };
  for (let n = COMMITS; n > 0; n--) if (isLeftAlone(n)) return n;
  throw new Error("the plan has no such commit");
}

async function verdictOn(planted: Planted): Promise<Verdict> {
  const { without, upTo = COMMITS, partly, durable = COMMITS, joint = { n: 3, events: 3, after: 10 } } = planted;
  await using db = await Database.open({ durability: "in-memory" });
  for (let n = 1; n <= upTo; n++) {
    if (n === without) continue;
    const { run, puts, deletes, deletesRun } = planOf(n);
    if (deletesRun) db.deleteRun(run);
    for (const key of puts.slice(n === partly ? 1 : 0)) db.run(run).kv.put(key, { n, key, joint: 2 });
    for (const key of deletes) db.run(run).kv.delete(key);
  }
  const run = db.run(JOINT_RUN);
  run.kv.put("sequence", { n: joint.n, after: joint.after });
  run.state.init("sequence", joint.n);
  for (let i = 1; i <= joint.events; i++) run.events.append("step", i);
  for (let i = 1; i <= joint.n; i++) run.traces.record({ type: "custom", name: "step", data: i });
  return judge(read(db), { returned: COMMITS, durable, jointReturned: 3, jointDurable: 3 });
}

test("a state that is whole is found at its last commit", async () => {
  expect(await verdictOn({})).toEqual({ last: COMMITS, joint: 3 });
  expect(await verdictOn({ upTo: COMMITS - 20, durable: COMMITS - 20 })).toMatchObject({ joint: 3 });
});

test("each fault is told from the others", async () => {
  const group = lastGroup();
  const cases: readonly (readonly [string, Planted])[] = [
    ["lost", { upTo: group - 1 }],
    ["lost", { joint: { n: 2, events: 2, after: 10 } }],
    ["partial", { upTo: group, durable: group - 1, partly: group }],
    ["partial", { joint: { n: 3, events: 2, after: 10 } }],
    ["reordered", { without: group, durable: group - 1 }],
    ["reordered", { joint: { n: 3, events: 3, after: COMMITS + 1 } }],
  ];
  for (const [fault, planted] of cases) {
    expect(await verdictOn(planted), JSON.stringify(planted)).toMatchObject({ fault });
  }
});
