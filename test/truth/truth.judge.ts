/**
 * Every refused program of the corpus fails as the checker says, every sound one holds; writes the table of docs/results.md.
 */
import { afterAll, expect, test } from "vitest";
import { checkedOnly, corpus, judged } from "./corpus.js";
import { twinOf } from "./criteria.js";
import { explained } from "./disagreements.js";
import type { Outcome } from "./judgement.js";
import { judge, overSeeds } from "./judgement.js";
import type { Measured } from "./measure.js";
import { writePage } from "./page.js";
import { SEEDS } from "./recipe.js";
import { recall } from "./store.js";

const [first = 0, ...others] = SEEDS;
const given = corpus();
const runsOf = (seed: number): Map<string, Measured> => new Map(given.flatMap((one) => {
  const run = recall(one, seed);
  return run === undefined ? [] : [[one.id, run] as const];
}));
const runs = runsOf(first);
const again = others.map(runsOf);
const outcomes: Outcome[] = given.flatMap((one) => {
  const run = runs.get(one.id);
  if (run === undefined) return [];
  if (run.refused !== undefined) return [{ one: { ...one, verdict: "error", rules: [], codes: [] }, run, agrees: undefined, figures: [run.refused], failures: [], alarms: [] }];
  const known = judged(one);
  const twin = twinOf(known);
  const all = [run, ...again.flatMap((seed) => seed.get(one.id) ?? [])];
  return overSeeds(all.map((r) => judge(known, r, twin === undefined ? undefined : runs.get(twin)))) ?? [];
});
const missing = given.filter((one) => !runs.has(one.id)).map((one) => one.id);

afterAll(() => writePage({ outcomes, missing, checkedOnly: checkedOnly() }));

test("every program has been trained", () => {
  if (missing.length > 0) console.warn(`NOT TESTED: ${missing.length} programs have no run: ${missing.join(", ")}`);
  expect(missing).toEqual([]);
});

test.each(outcomes.filter((o) => o.agrees !== undefined).map((o) => [o.one.id, o] as const))("%s does what the checker says, or it is known why not", (id, o) => {
  expect({ id, agrees: o.agrees, explained: id in explained, figures: o.figures }).toEqual({ id, agrees: !(id in explained), explained: id in explained, figures: o.figures });
});

test.each(outcomes.filter((o) => o.one.verdict === "error" && o.run.refused === undefined && o.run.failed === undefined).map((o) => [o.one.id, o] as const))("%s carries its refusals as allowed in its manifest", (_, o) => {
  expect(o.one.codes.filter((c) => !o.run.allowed.includes(c))).toEqual([]);
});

test("every explanation is of a program that is there", () => {
  expect(Object.keys(explained).filter((id) => !given.some((one) => one.id === id))).toEqual([]);
});
