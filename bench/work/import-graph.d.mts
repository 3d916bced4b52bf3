export declare function importGraph(
  root: string,
  folders?: readonly string[],
): { readonly modules: readonly string[]; readonly imports: readonly (readonly [from: string, to: string])[] };
