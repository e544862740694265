/** Trains programs whose first run came near a threshold from the other seeds. */
import { expect, test } from "vitest";
import { corpus } from "./corpus.js";
import { nearThreshold } from "./criteria.js";
import { keyOf } from "./meaning.js";
import { SEEDS, STEPS } from "./recipe.js";
import { recall } from "./store.js";
import { trainAll } from "./train.js";

const [first, ...others] = SEEDS;
const near = corpus().filter((one) => {
  const key = keyOf(one);
  const run = key === undefined ? undefined : recall(key, first, STEPS);
  return run !== undefined && run.failed === undefined && nearThreshold(run);
});
process.stderr.write(`near a threshold: ${near.map((one) => one.id).join(", ") || "none"}\n`);
test("most programs stay clear of the thresholds", () => expect(near.length).toBeLessThan(corpus().length / 4));
for (const seed of others) trainAll(near, seed, STEPS);
