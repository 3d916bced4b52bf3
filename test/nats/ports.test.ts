/** Ports for servers of tests: nobody is given what somebody has. */
import { createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { claimPorts } from "../support/ports.mjs";

const opened: { release(): Promise<void> }[] = [];

async function claim(count: number) {
  const claimed = await claimPorts(count);
  opened.push(claimed);
  return claimed;
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ release }) => release()));
});

test("claims that are held at the same time have no port in common, and each has as many as it asked for", async () => {
  const claims = await Promise.all(Array.from({ length: 40 }, () => claim(7)));
  for (const { ports } of claims) expect(ports).toHaveLength(7);
  const all = claims.flatMap(({ ports }) => ports);
  expect(new Set(all).size).toBe(all.length);
});

test("a port that was claimed can be listened on", async () => {
  const { ports } = await claim(15);
  const servers = await Promise.all(ports.map(listen));
  expect(servers).toHaveLength(15);
  for (const server of servers) server.close();
});

test("what one block cannot have is refused", async () => {
  await expect(claimPorts(16)).rejects.toThrow("15 ports");
});
