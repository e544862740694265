/**
 * Every program has been measured: takes the measurements into the table and writes them into docs/results.md. What they
 * say of the checker's verdicts is asserted by `measured.test.ts`, which needs no training.
 */
import { expect, test } from "vitest";
import { corpus } from "./corpus.js";
import { keyOf } from "./meaning.js";
import { SEEDS, STEPS } from "./recipe.js";
import { pageNow, writePage } from "./page.js";
import { measurements, merge, recall } from "./store.js";

const programs = corpus().flatMap((one) => {
  const key = keyOf(one);
  return key === undefined ? [] : [{ id: one.id, key }];
});

test("every program that can be trained has been", () => {
  const left = programs.filter(({ key }) => recall(key, SEEDS[0], STEPS) === undefined).map(({ id }) => id);
  // A run that was stopped leaves what it did in the table, unless it was to measure everything anew: then it goes on.
  if (left.length === 0 || process.env["TRUTH"] !== "all") {
    merge(programs.map(({ key }) => key), left);
    writePage(pageNow(measurements()));
  }
  expect(left).toEqual([]);
});
