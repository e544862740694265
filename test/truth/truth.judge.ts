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

const keys = corpus().flatMap((one) => keyOf(one) ?? []);

test("every program that can be trained has been", () => {
  expect(keys.filter((key) => recall(key, SEEDS[0], STEPS) === undefined)).toEqual([]);
  merge(keys);
  writePage(pageNow(measurements()));
});
