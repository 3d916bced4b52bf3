export function withGlobals(core: Uint8Array): Uint8Array<ArrayBuffer>;
export function renewal(exports: object): () => void;
