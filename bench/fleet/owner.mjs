// Has a run until it is killed.

import { connect } from "@nats-io/transport-node";
import { Fleet } from "../../dist/fleet/fleet.js";

const { servers, id, leaseMs } = JSON.parse(process.argv[2]);
const connection = await connect({ servers });
const fleet = await Fleet.open(connection, { leaseMs, commitsMax: Number.POSITIVE_INFINITY });
const run = await fleet.acquire(id, { waitMs: 60_000 });
process.send({ took: run.id });
