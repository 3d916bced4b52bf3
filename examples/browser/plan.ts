/** What the agent will do and find, fixed in advance, so that every run of it ends in the same state. */
export const PLAN = [
  { task: "Read the bug report", note: "An empty cart shows NaN as its total." },
  { task: "Find the code", note: "cart.ts divides by the number of items." },
  { task: "Write a failing test", note: "total([]) is NaN, and should be 0." },
  { task: "Mend it", note: "With no items, total returns 0 at once." },
  { task: "Run the tests", note: "48 passed, the new one among them." },
  { task: "Look for the same fault nearby", note: "average.ts had it too, and is mended." },
  { task: "Write the changelog", note: "Fixed: the total of an empty cart." },
  { task: "Open a pull request", note: "Ready for somebody to look at." },
] as const;
