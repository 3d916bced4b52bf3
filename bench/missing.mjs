// What cannot be had here, which is no failure: the table names it with its reason, and the benchmark's status is what it was.

export class Missing extends Error {}
