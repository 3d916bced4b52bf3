/**
 * Ports for servers of other programs, which have to be told theirs before they listen.
 *
 * A port that the system gives out (0) and that is let go again may be given to somebody else before the server has it, or while
 * the server is down. So these lie below those that systems give out, in blocks, and who listens on a block's first port has all
 * of it: whichever process on this machine asks, and until that one ends.
 */
import { createServer } from "node:net";

const HOST = "127.0.0.1";
const FIRST = 20_000;
const END = 32_000;
const BLOCK = 16;
const BLOCKS = (END - FIRST) / BLOCK;

/** So many ports that are nobody's, until `release`. */
export async function claimPorts(count) {
  if (count >= BLOCK) throw new RangeError(`There are ${BLOCK - 1} ports in a block, not ${count}`);
  const begin = Math.floor(Math.random() * BLOCKS);
  for (let tried = 0; tried < BLOCKS; tried++) {
    const first = FIRST + ((begin + tried) % BLOCKS) * BLOCK;
    const claim = await listen(first);
    if (claim === undefined) continue;
    const ports = Array.from({ length: count }, (_, at) => first + 1 + at);
    if (await areFree(ports)) return { ports, release: () => close(claim) };
    await close(claim);
  }
  throw new Error(`All ports from ${FIRST} to ${END} are in use`);
}

/** Whether nobody listens there who does not ask here. */
async function areFree(ports) {
  const servers = await Promise.all(ports.map(listen));
  await Promise.all(servers.map((server) => server && close(server)));
  return !servers.includes(undefined);
}

/** A server there, which keeps no process alive, or `undefined` where there is one already. */
function listen(port) {
  return new Promise((resolve, reject) => {
    const server = createServer().unref();
    server.once("error", (error) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(port, HOST, () => resolve(server));
  });
}

function close(server) {
  return new Promise((resolve) => server.close(resolve));
}
