/** Tests that need a server of NATS, which Debian has: skipped where there is none, and failing for it under CI. */
import { describe, test } from "vitest";
import { findNatsServer, SERVER } from "../support/nats-servers.mjs";

export function describeWithServer(title: string, body: () => void): void {
  describe(title, () => {
    if (findNatsServer() !== undefined) return body();
    const missing = `There is no ${SERVER} on the PATH: apt-get install ${SERVER}`;
    test(missing, (context) => {
      if (process.env["CI"] === "true") throw new Error(missing);
      context.skip(missing);
    });
  });
}
