/**
 * The contract suites of the API on the sources: every storage that works without a browser, under memory of its own and
 * under shared memory. `test/runtimes/` mounts the same suites on the built package everywhere else.
 */
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { memory } from "../../src/adapters/memory.js";
import { nodeFs } from "../../src/adapters/node-fs.js";
import type { Storage } from "../../src/adapters/storage.js";
import { Database } from "../../src/index.js";
import { openAttached } from "../contract/attached.js";
import type { Context, OpenOptions } from "../contract/context.js";
import { suites as everySuite, OF_NO_STORAGE } from "../runtimes/suites.js";
import { SimulatedDisk } from "../support/simulated-storage.js";

/** One place, which lasts as long as its case. */
interface Place {
  storage(): Storage;
  readonly path: string | undefined;
  /** Ends whoever has the place open, as a killed process would; where that can be done from within. */
  kill?(): void;
  remove(): void;
}

interface Mount {
  readonly name: string;
  place(): Place;
}

function simulated(options: Parameters<SimulatedDisk["storage"]>[0]): Place {
  const disk = new SimulatedDisk({ seed: 11 });
  return {
    storage: () => disk.storage(options),
    path: undefined,
    kill: () => disk.crash({ kind: "kill" }),
    remove: () => {},
  };
}

const mounts: readonly Mount[] = [
  { name: "memory", place: () => ({ storage: () => memory(), path: undefined, remove: () => {} }) },
  {
    name: "files",
    place() {
      const directory = fs.mkdtempSync(join(tmpdir(), "hf-"));
      const path = join(directory, "a/b");
      return {
        storage: () => nodeFs(path),
        path,
        remove: () => fs.rmSync(directory, { recursive: true, force: true }),
      };
    },
  },
  { name: "simulated", place: () => simulated({}) },
  { name: "simulated, asynchronous sync only", place: () => simulated({ syncFlush: false }) },
  { name: "simulated, asynchronous only", place: () => simulated({ syncAppend: false }) },
  {
    name: "simulated, asynchronous only, appending durably",
    place: () => simulated({ syncAppend: false, durableAppend: true }),
  },
];

/** What opens databases; the storages by themselves have tests of their own. */
const suites = everySuite.flatMap(({ name, opens, shares, cases }) =>
  opens && !shares && cases !== undefined ? [{ name, cases }] : [],
);
const reloadCases = everySuite.flatMap(({ reloadCases: cases }) => cases?.() ?? []);

/** How a database comes to be: opened over a memory of one kind, or attached to where another one was opened. */
type Kind = "single" | "shared" | "attached";

function contextOf(place: Place, kind: Kind, opened: Database[]): Context {
  const storage = place.storage();
  let last: { database: Database; options: OpenOptions } | undefined;
  const open = async (options: OpenOptions): Promise<Database> => {
    const whole = { storage: place.storage(), ...options };
    const database =
      kind === "attached"
        ? await openAttached(whole, opened)
        : await Database.open({ shared: kind === "shared", ...whole });
    opened.push(database);
    last = { database, options };
    return database;
  };
  return {
    runtime: "node",
    storageKind: storage.capabilities.kind,
    capabilities: storage.capabilities,
    storage: () => place.storage(),
    path: place.path,
    open: (options = {}) => open(options),
    reopen: async (options = {}) => {
      await last?.database.close();
      return open({ ...last?.options, ...options });
    },
  };
}

async function closeAll(opened: readonly Database[]): Promise<void> {
  for (const database of [...opened].reverse()) await database.close();
}

/**
 * What is looked at elsewhere already. To the core, files are what the simulated disk is, and what a storage can do it is told in
 * the same way whoever shares the memory: its debug build sees nothing new in these. Where the suites on every runtime follow,
 * they mount these on this very Node.
 */
function isElsewhere(mount: string, kind: Kind): boolean {
  if (process.env.HOLDFAST_CORE === "debug") {
    return mount === "files" || /durably/.test(mount) || (kind === "shared" && /asynchronous/.test(mount));
  }
  return process.env.HOLDFAST_CONFORMANCE === "follows" && /^(memory|files)$/.test(mount) && kind !== "attached";
}

/**
 * What knows no storage sees the same in each that only promises later: the debug core has it over none of them, and where the suites
 * on every runtime follow, which have it over real ones, it is had over one kind of memory.
 */
function isOfNoStorage(suite: string, mount: string, kind: Kind): boolean {
  if (!/asynchronous/.test(mount) || !OF_NO_STORAGE.has(suite)) return false;
  if (process.env.HOLDFAST_CORE === "debug") return true;
  return process.env.HOLDFAST_CONFORMANCE === "follows" && kind === "shared";
}

for (const mount of mounts) {
  for (const kind of ["single", "shared", "attached"] as const) {
    if (kind === "attached" && mount.name !== "memory") continue;
    if (isElsewhere(mount.name, kind)) continue;
    describe(`${mount.name}, ${kind}`, () => {
      const { capabilities } = mount.place().storage();
      for (const suite of suites) {
        // Its cases bring storages of their own, and nothing persistent is attached to.
        if (kind === "attached" && suite.name === "golden") continue;
        if (isOfNoStorage(suite.name, mount.name, kind)) continue;
        describe(suite.name, () => {
          for (const item of suite.cases()) {
            if (item.needs?.(capabilities) === false) continue;
            test(item.name, async () => {
              const place = mount.place();
              const opened: Database[] = [];
              try {
                await item.run(contextOf(place, kind, opened));
                await closeAll(opened);
              } finally {
                await closeAll(opened).catch(() => {});
                place.remove();
              }
            });
          }
        });
      }
    });
  }
}

for (const mount of mounts) {
  const probe = mount.place();
  const { capabilities } = probe.storage();
  probe.remove();
  if (probe.kill === undefined) continue;
  describe(`${mount.name}, killed`, () => {
    for (const item of reloadCases) {
      if (item.needs?.(capabilities) === false) continue;
      test(item.name, async () => {
        const place = mount.place();
        await item.before(contextOf(place, "single", []));
        place.kill?.();
        const opened: Database[] = [];
        try {
          await item.after(contextOf(place, "single", opened));
        } finally {
          await closeAll(opened);
        }
      });
    }
  });
}

test("every case has a name of its own, so that a failure names one", () => {
  for (const { cases } of suites) {
    const names = cases().map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
  }
});
