export const TASK = "Mend the cart";

/** What the agent will do and find, fixed in advance, so that every run of it ends in the same state. */
export const PLAN = [
  { task: "Read the bug report", tool: "read", on: "issue-17", note: "An empty cart shows NaN as its total." },
  { task: "Find the code", tool: "grep", on: "total", note: "cart.ts divides by the number of items." },
  { task: "Write a failing test", tool: "edit", on: "cart.test.ts", note: "total([]) is NaN, and should be 0." },
  { task: "Mend it", tool: "edit", on: "cart.ts", note: "With no items, total returns 0 at once." },
  { task: "Run the tests", tool: "test", on: "all", note: "48 passed, the new one among them." },
  {
    task: "Look for the same fault nearby",
    tool: "grep",
    on: "/ items",
    note: "average.ts had it too, and is mended.",
  },
  { task: "Write the changelog", tool: "edit", on: "CHANGELOG.md", note: "Fixed: the total of an empty cart." },
  { task: "Open a pull request", tool: "push", on: "mend-cart", note: "Ready for somebody to look at." },
] as const;
