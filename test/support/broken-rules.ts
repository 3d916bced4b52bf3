/** Cores that a rule of assembly/rules.ts is switched off in, where their build lets it be. */

type Constructor = (this: unknown, ...given: never[]) => unknown;

/** What makes instances without a rule, in the place of `WebAssembly.Instance`; with 0, with all of them. */
export function withoutRule(original: Constructor, rule: number): Constructor {
  const construct = (target: Constructor, given: never[]): object => {
    const instance = Reflect.construct(target, given) as WebAssembly.Instance;
    (instance.exports["breakRule"] as ((rule: number) => void) | undefined)?.(rule);
    return instance;
  };
  return new Proxy(original, { construct });
}
