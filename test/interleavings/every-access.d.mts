export declare function everyAccess(stepped: Uint8Array): Uint8Array;
