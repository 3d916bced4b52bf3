/** So many ports that are nobody's, until `release`. */
export function claimPorts(count: number): Promise<{ readonly ports: readonly number[]; release(): Promise<void> }>;
