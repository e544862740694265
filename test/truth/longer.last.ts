/**
 * Trains longer where the first runs do not decide: programs that part from their verdict, sound ones in whose short runs a
 * monitor is heard, and, so that not only those are looked at twice, every twelfth of the others.
 */
import { corpus } from "./corpus.js";
import type { Outcome } from "./judgement.js";
import { outcomesOf } from "./judgement.js";
import { LONG, SAMPLE, SEEDS } from "./recipe.js";
import { measurements } from "./store.js";
import { trainAll } from "./train.js";

const outcomes = outcomesOf(corpus(), measurements().filter(({ measured }) => measured.steps !== LONG));
const doubtful = (o: Outcome): boolean => o.agrees === false || (o.one.verdict === "sound" && o.alarms.length > 0);
const parted = outcomes.filter(doubtful);
const sample = outcomes.filter((o) => o.agrees === true && !doubtful(o)).filter((_, at) => at % SAMPLE === SAMPLE - 1);
trainAll([...parted, ...sample].map((o) => o.one), SEEDS[0], LONG);
