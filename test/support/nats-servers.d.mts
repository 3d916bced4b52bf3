import type { NatsConnection } from "@nats-io/transport-node";

export const SERVER: string;

export interface ServerNode {
  readonly port: number;
  /** Where it takes clients over WebSockets. */
  readonly webSocketPort: number;
  kill(): Promise<void>;
  start(): void;
  freeze(): void;
  thaw(): void;
}

export interface NatsServers {
  readonly nodes: readonly ServerNode[];
  /** Their addresses, as a client takes them. */
  readonly servers: readonly string[];
  /** Opens a connection to whichever server answers. */
  connect(): Promise<NatsConnection>;
  /** Resolves once JetStream answers, on all servers. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

export function findNatsServer(): string | undefined;
export function startNatsServers(options: {
  readonly size: number;
  readonly starting?: number;
  readonly bytesMax?: number;
  readonly command?: string;
  /** Lines that their configuration has besides. */
  readonly besides?: readonly string[];
}): Promise<NatsServers>;
