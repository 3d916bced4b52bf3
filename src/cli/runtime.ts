/**
 * Which runtime this is.
 */
export function runtimeName(): string {
  const { versions } = process as { readonly versions: { readonly [name: string]: string | undefined } };
  if (versions["bun"] !== undefined) return `Bun ${versions["bun"]}`;
  if (versions["deno"] !== undefined) return `Deno ${versions["deno"]}`;
  return `Node ${process.version}`;
}
