/**
 * What the page of plots shows is the newest of what was measured: never a quick or a partial figure where there is a whole one.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { gather } from "../../bench/page/gather.mjs";

let folder: string;
let files = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hf-page-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const on = (day: number) => ({ machine: { date: `2026-01-0${day}T00:00:00.000Z` } });
const keep = (report: object) => writeFileSync(join(folder, `${files++}.json`), JSON.stringify(report));
const dateOf = (name: string) =>
  gather(folder)
    .measurements.find((each) => each.name === name)
    ?.machine.date.slice(9, 10);
const cellsOf = (name: string) => gather(folder).workloads.find((each) => each.name === name)?.cells.length;

test("each measurement is of the newest report that has it, in the order of the catalogue", () => {
  keep({ ...on(1), measurements: [{ name: "put" }, { name: "get" }] });
  keep({ ...on(2), measurements: [{ name: "get" }, { name: "of none of ours" }] });
  expect([dateOf("get"), dateOf("put")]).toEqual(["2", "1"]);
  expect(gather(folder).measurements.map(({ name }) => name)).toEqual(["get", "put"]);
});

test("a quick one is only taken where there is no other", () => {
  keep({ ...on(1), measurements: [{ name: "get" }] });
  keep({ ...on(2), quick: true, measurements: [{ name: "get" }, { name: "put" }] });
  expect([dateOf("get"), dateOf("put")]).toEqual(["1", "2"]);
});

test("a curve over all counts of workers comes before what only a goal looks at", () => {
  const cells = (...counts: number[]) => counts.map((workers) => ({ workload: "reads", design: "holdfast", workers }));
  keep({ ...on(1), cells: cells(1, 2, 4) });
  keep({ ...on(2), goalsOnly: true, cells: cells(1, 2) });
  expect(cellsOf("reads")).toBe(3);
});

test("what a scorecard was made of counts too, and what is no report is left alone", () => {
  keep({ ...on(3), rows: [], reports: { get: { ...on(2), measurements: [{ name: "get" }] }, sizes: [] } });
  keep({ anything: "else" });
  expect(dateOf("get")).toBe("2");
  expect(gather(folder).scorecard?.machine.date).toContain("2026-01-03");
  expect(gather(join(folder, "not there")).measurements).toEqual([]);
});
