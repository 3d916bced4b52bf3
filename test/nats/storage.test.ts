/** What every storage keeps true, and every primitive, over one server of NATS. */
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NatsOptions, nats, removeNats } from "../../src/adapters/nats.js";
import { Database } from "../../src/index.js";
import type { Context, OpenOptions } from "../contract/context.js";
import { storageContract } from "../contract/storage-contract.js";
import { suites } from "../runtimes/suites.js";
import { type NatsServers, startNatsServers } from "../support/nats-servers.mjs";
import { describeWithServer } from "./server.js";

const OPTIONS: NatsOptions = { leaseMs: 600, patienceMs: 10_000 };

/** What opens databases over memory of its own. */
const SUITES = suites.flatMap(({ name, opens, shares, cases }) =>
  opens && !shares && cases !== undefined ? [{ name, cases }] : [],
);

describeWithServer("over a server of NATS", () => {
  let cluster: NatsServers;
  let connection: NatsConnection;
  let places = 0;

  beforeAll(async () => {
    cluster = await startNatsServers({ size: 3 });
    connection = await cluster.connect();
  });

  afterAll(async () => {
    await connection?.close();
    await cluster?.close();
  });

  const { capabilities } = nats({ request() {} } as unknown as NatsConnection, "capabilities");

  describe("storage contract", () => {
    for (const item of storageContract()) {
      if (item.needs?.(capabilities) === false) continue;
      test(item.name, async () => {
        const name = `place ${++places}`;
        await item.run({ storage: () => nats(connection, name, OPTIONS) });
      });
    }
  });

  for (const { name: suite, cases } of SUITES) {
    describe(suite, () => {
      for (const item of cases()) {
        if (item.needs?.(capabilities) === false) continue;
        test(item.name, async () => {
          const place = contextOf(connection, `place ${++places}`);
          try {
            await item.run(place.context);
          } finally {
            await place.close();
          }
        });
      }
    });
  }

  test("a name of any characters is a place of its own, and can be removed", async () => {
    for (const name of ["a.b", "a b", "a>*", "ä/ö", "a"]) {
      const db = await Database.open({ storage: nats(connection, name, OPTIONS), durability: "buffered" });
      db.run("r").kv.put("name", name);
      await db.close();
    }
    for (const name of ["a.b", "a b", "a>*", "ä/ö", "a"]) {
      const open = () => Database.open({ storage: nats(connection, name, OPTIONS), durability: "buffered" });
      let db = await open();
      expect(db.run("r").kv.get("name")).toBe(name);
      await db.close();
      await removeNats(connection, name, OPTIONS);
      db = await open();
      expect(db.run("r").kv.get("name")).toBeUndefined();
      await db.close();
      await removeNats(connection, name, OPTIONS);
    }
  });
});

/** A place in the servers, for one case. */
function contextOf(connection: NatsConnection, name: string): { context: Context; close(): Promise<void> } {
  const storage = () => nats(connection, name, OPTIONS);
  const { capabilities } = storage();
  const opened: Database[] = [];
  let last: OpenOptions = {};
  const open = async (options: OpenOptions = {}): Promise<Database> => {
    last = options;
    const db = await Database.open({ storage: storage(), ...options });
    opened.push(db);
    return db;
  };
  const context: Context = {
    runtime: "node",
    storageKind: capabilities.kind,
    capabilities,
    storage,
    path: undefined,
    open,
    async reopen(options = {}) {
      await opened.at(-1)?.close();
      return open({ ...last, ...options });
    },
  };
  return {
    context,
    async close() {
      for (const db of opened) if (db.isOpen) await db.close();
    },
  };
}
