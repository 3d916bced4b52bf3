export declare function everyAccess(stepped: Uint8Array): Uint8Array;
export declare function withoutLingering(core: Uint8Array): Uint8Array;
