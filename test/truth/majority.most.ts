/**
 * Trains from the other seeds what still parts from its verdict after a long run: one start can fall where others hold, or
 * hold where others fall, and of several the most decide.
 */
import { corpus } from "./corpus.js";
import { outcomesOf } from "./judgement.js";
import { LONG, SEEDS } from "./recipe.js";
import { measurements } from "./store.js";
import { trainAll } from "./train.js";

const [first, ...others] = SEEDS;
// Judged by the first seed alone, so that an answer of three seeds is not asked for again.
const outcomes = outcomesOf(corpus(), measurements().filter(({ measured }) => measured.seed === first));
const parted = outcomes.filter((o) => o.agrees === false && o.run.steps === LONG && o.run.failed === undefined).map((o) => o.one);
for (const seed of others) trainAll(parted, seed, LONG);
