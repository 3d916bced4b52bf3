export interface ServerRuntimeFound {
  /** Its name, and where there are several of a kind the version. */
  readonly name: string;
  /** `undefined` where it is missing on this platform. */
  readonly command: string | undefined;
  /** What goes before the script. */
  readonly args: readonly string[];
}
export declare function installRuntimes(): Promise<void>;
export declare function serverRuntimes(): readonly ServerRuntimeFound[];
export declare function edgeRuntime(): Omit<ServerRuntimeFound, "args">;
export declare function findChromium(): Promise<string | undefined>;
export declare function findFirefox(): Promise<string | undefined>;
export declare function findNatsServer(): Promise<string | undefined>;
