/**
 * Trains on where the first runs do not decide: programs that part from their verdict, and, so that not only those are
 * looked at twice, every twelfth of the others.
 */
import { corpus } from "./corpus.js";
import { outcomesOf } from "./judgement.js";
import { LONG, SAMPLE, SEEDS } from "./recipe.js";
import { measurements } from "./store.js";
import { trainAll } from "./train.js";

const outcomes = outcomesOf(corpus(), measurements().filter(({ measured }) => measured.steps !== LONG));
const parted = outcomes.filter((o) => o.agrees === false);
const sample = outcomes.filter((o) => o.agrees === true).filter((_, at) => at % SAMPLE === SAMPLE - 1);
trainAll([...parted, ...sample].map((o) => o.one), SEEDS[0], LONG);
