export declare const RUNS: readonly string[];
export declare function planOf(sequence: number): { run: string; puts: string[]; deletes: string[] };
export declare function lastOf(db: {
  run(id: string): { kv: { list(): readonly (readonly [string, unknown])[] } };
}): number;
