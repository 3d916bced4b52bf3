/** A workerd that runs. */
export interface WorkerdServer {
  /** Ends with a slash. */
  readonly url: string;
  /** What it has written so far. */
  noise(): string;
  /** Kills it by SIGKILL; resolves once it is dead. */
  close(): Promise<void>;
}
export declare function bundleForWorkerd(entry: string, folder: string, objectClass?: string): Promise<void>;
export declare function serveWorkerd(executable: string, folder: string, state?: string): Promise<WorkerdServer>;
