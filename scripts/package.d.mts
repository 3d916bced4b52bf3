export declare function wantedFiles(): string[];
export declare function filesOf(folder: string): Map<string, string>;
export declare function faultsOfPackage(files: ReadonlyMap<string, string>, wanted?: readonly string[]): string[];
