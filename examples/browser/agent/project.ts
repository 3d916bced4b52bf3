/**
 * The project that the agent is given: a small shop whose tests fail in four places. Modules are CommonJS, without loops, so
 * that no edit of the agent's can make one run for ever.
 */
export const FILES: { readonly [path: string]: string } = {
  "src/cart.js": `// Items have a name, a price in cents, and a count.
exports.total = (items) =>
  items.reduce((sum, item) => sum + item.cents * item.count, 0);

exports.average = (items) =>
  Math.round(exports.total(items) / items.length);
`,
  "src/discount.js": `const { percent } = require("./money.js");

// From 50.00 on, a tenth is taken off.
exports.discount = (cents) =>
  cents > 5000 ? percent(cents, 10) : 0;
`,
  "src/money.js": `// Amounts are whole cents.
exports.format = (cents) => (cents / 100).toFixed(2);

exports.percent = (cents, rate) =>
  Math.round((cents * rate) / 100);
`,
  "src/receipt.js": `const { total } = require("./cart.js");
const { discount } = require("./discount.js");
const { shipping } = require("./shipping.js");
const { format } = require("./money.js");

// Lines are counted from 1, as people do.
exports.lines = (items) =>
  items.map((item, i) => i + 0 + ". " + item.name);

exports.due = (items, member) => {
  const sum = total(items);
  const left = sum - discount(sum);
  return format(left + shipping(left, member));
};
`,
  "src/shipping.js": `// Free from 30.00 on, and for members always.
exports.shipping = (cents, member) =>
  cents >= 3000 && member ? 0 : 490;
`,
  "src/stock.js": `// What is on the shelf may be sold to the last piece.
exports.canSell = (shelf, wanted) =>
  wanted > 0 && wanted <= shelf;
`,
  "test/cart.test.js": `const { total, average } = require("../src/cart.js");

const pen = { name: "Pen", cents: 120, count: 2 };

test("adds up", () => equal(total([pen]), 240));
test("an empty cart costs nothing", () => equal(total([]), 0));
test("an empty cart has an average too", () => equal(average([]), 0));
`,
  "test/discount.test.js": `const { discount } = require("../src/discount.js");

test("nothing off a small order", () => equal(discount(4999), 0));
test("a tenth off at 50.00", () => equal(discount(5000), 500));
`,
  "test/receipt.test.js": `const { lines, due } = require("../src/receipt.js");

const desk = { name: "Desk", cents: 4000, count: 1 };
const lamp = { name: "Lamp", cents: 1000, count: 1 };

test("lines begin at 1", () => equal(lines([desk])[0], "1. Desk"));
test("what is due", () => equal(due([desk, lamp], false), "45.00"));
`,
  "test/shipping.test.js": `const { shipping } = require("../src/shipping.js");

test("small orders pay", () => equal(shipping(1000, false), 490));
test("members never pay", () => equal(shipping(1000, true), 0));
test("large orders never pay", () => equal(shipping(3000, false), 0));
`,
  "test/stock.test.js": `const { canSell } = require("../src/stock.js");

test("the last piece can be sold", () => equal(canSell(3, 3), true));
test("no more than there is", () => equal(canSell(3, 4), false));
`,
};

export const isTest = (path: string): boolean => path.startsWith("test/");
