/** The table of a sweep: what stands in it for people, and rows that differ in their seed alone summed up. */
import { expect, test } from "vitest";
import type { RowResult } from "../../../compiler/cli/sweep-results.js";
import { toCsv, toMarkdown } from "../../../compiler/cli/sweep-results.js";

const row = (name: string, linear: number | undefined, more: Partial<RowResult> = {}): RowResult => ({ name, doc: name, paper: undefined, state: "done", steps: 4, loss: 0.5, linear, untrained: 20, nearest: linear === undefined ? undefined : linear + 1, attentive: undefined, rank: 7.5, ...more });

test("rows that differ in nothing but their seed have their mean and deviation", () => {
  const text = toMarkdown("seeds", [row("a.seed=0", 30), row("a.seed=1", 34), row("a.seed=5", 32), row("b.seed=0,width=8", 10), row("b.seed=1,width=8", 14), row("b.seed=0,width=16", 50), row("c", 60)], "x.svg");
  expect(text).toContain("| rows | seeds | linear | untrained | nearest | rank |");
  // 30, 34, 32: mean 32, squares 4 + 4 + 0 by 2. 10 and 14: mean 12, root of 8.
  expect(text).toContain("| a | 3 | 32.0 ± 2.0 | 20.0 ± 0.0 | 33.0 ± 2.0 | 7.5 ± 0.0 |");
  expect(text).toContain("| b.width=8 | 2 | 12.0 ± 2.8 | 20.0 ± 0.0 | 13.0 ± 2.8 | 7.5 ± 0.0 |");
  expect(text).not.toMatch(/\| b\.width=16 \|/);
});

test("papers have a column where a row has one, seeds a table where there are several, and files for programs the same columns always", () => {
  const plain = [row("a", 30), row("b.seed=0", undefined, { state: "failed" })];
  expect(toMarkdown("t", plain, "x.svg")).not.toMatch(/paper|seeds/);
  expect(toMarkdown("t", [row("a", 30, { paper: 40 })], "x.svg")).toContain("| a | 40.0 |");
  expect(toCsv(plain).split("\n")[0]).toBe("row,paper,linear,untrained,nearest,rank,loss,steps,state,what");
});
