/** Trains the programs whose first run came near a threshold from two more seeds. */
import { expect, test } from "vitest";
import { corpus } from "./corpus.js";
import { nearThreshold } from "./criteria.js";
import { SEEDS } from "./recipe.js";
import { recall } from "./store.js";
import { trainAll } from "./train.js";

const [first = 0, ...others] = SEEDS;
const near = corpus().filter((one) => {
  const run = recall(one, first);
  return run !== undefined && run.refused === undefined && run.failed === undefined && nearThreshold(run);
});
process.stderr.write(`near a threshold: ${near.map((one) => one.id).join(", ") || "none"}\n`);
test("most programs stay clear of the thresholds", () => expect(near.length).toBeLessThan(corpus().length / 4));
for (const seed of others) trainAll(near, seed);
