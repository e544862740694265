/** Trains every program of the truth test once, but for those whose measurement is there. */
import { corpus } from "./corpus.js";
import { SEEDS, STEPS } from "./recipe.js";
import { trainAll } from "./train.js";

trainAll(corpus(), SEEDS[0], STEPS);
