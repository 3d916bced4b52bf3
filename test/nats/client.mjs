/**
 * A client as a process of any runtime: takes a step over TCP or a WebSocket, and prints what it has found as JSON.
 *
 *     node test/nats/client.mjs '{"over":"tcp","server":"127.0.0.1:4222","run":"a","by":"node"}'
 */
import { wsconnect } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { takeStep } from "./client-step.mjs";

const { over, server, ...step } = JSON.parse(process.argv[2]);
const connection = await { tcp: connect, websocket: wsconnect }[over]({ servers: server });
console.log(JSON.stringify(await takeStep(connection, step)));
await connection.close();
