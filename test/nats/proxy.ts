/** A wire to a server that can be made slow, silent in either direction, and cut. */
import { createServer, connect as dial, type Server, type Socket } from "node:net";

export class Wire {
  readonly #server: Server;
  readonly #port: number;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  /** What the server says is thrown away. */
  #losesAnswers = false;
  #isSilent = false;
  #answersLateMs = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#port = port;
  }

  static async to(port: number): Promise<Wire> {
    const server = createServer();
    const wire = new Wire(server, port);
    server.on("connection", (client) => wire.#join(client));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return wire;
  }

  /** Where clients connect to. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  #join(client: Socket): void {
    if (this.#isSilent) {
      client.destroy();
      return;
    }
    const server = dial(this.#port, "127.0.0.1");
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const late: Buffer[] = [];
    const arrive = (): void => {
      const next = late.shift();
      if (next !== undefined) client.write(next);
    };
    client.on("data", (data) => {
      if (!this.#isSilent) server.write(data);
    });
    server.on("data", (data) => {
      if (this.#isSilent || this.#losesAnswers) return;
      late.push(data);
      if (this.#answersLateMs === 0) while (late.length > 0) arrive();
      else setTimeout(arrive, this.#answersLateMs);
    });
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of pair) socket.on("close", end).on("error", end);
  }

  /** From now on what the server says arrives so much later. */
  delayAnswers(ms: number): void {
    this.#answersLateMs = ms;
  }

  /** From now on what clients say arrives, and what they are answered does not. */
  loseAnswers(): void {
    this.#losesAnswers = true;
  }

  /** From now on nothing arrives anywhere, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Cuts what is connected, and lets clients connect again. */
  cut(): void {
    this.#losesAnswers = false;
    this.#isSilent = false;
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy();
  }

  close(): void {
    this.silence();
    this.#server.close();
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy();
  }
}
