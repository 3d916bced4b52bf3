/** Cores of the planted build, which can be told to leave a rule out. */

/**
 * Switches a rule of the core off in every instance that is made from now on; 0: none.
 * @returns what puts everything back in its place
 */
export function breakRule(rule: number): () => void {
  const original = WebAssembly.Instance;
  WebAssembly.Instance = new Proxy(original, {
    construct(target, given: ConstructorParameters<typeof WebAssembly.Instance>) {
      const instance = new target(...given);
      (instance.exports["breakRule"] as ((rule: number) => void) | undefined)?.(rule);
      return instance;
    },
  });
  return () => {
    WebAssembly.Instance = original;
  };
}
