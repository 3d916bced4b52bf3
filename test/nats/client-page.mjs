/** A client as a page: takes a step over a WebSocket when it is told to. */
import { wsconnect } from "@nats-io/nats-core";
import { takeStep } from "./client-step.mjs";

globalThis.takeStep = async ({ server, ...step }) => {
  const connection = await wsconnect({ servers: server });
  try {
    return await takeStep(connection, step);
  } finally {
    await connection.close();
  }
};
