/**
 * What a training run means: the key under which its measurement is kept.
 *
 * Made of what the trainer does (functions over tensors before any pass, parameters, views, masks, averages, the recipe) and
 * of nothing that it is called: names of values, comments, monitors and verdicts do not count, nor do passes and targets,
 * which must not change results. So two spellings of one program share a measurement.
 */
import { createHash } from "node:crypto";
import type { Case } from "./corpus.js";
import { prepare } from "./corpus.js";
import { byRecipe, settings } from "./recipe.js";

/** The key of a case; undefined for one that cannot be trained. */
export function keyOf(one: Case): string | undefined {
  const { manifest, functions } = prepare(one);
  if (manifest === undefined || functions === undefined) return undefined;
  const { parameters, inputs, views, masks, draws, encoders, ema, losses, train } = byRecipe(manifest, 0);
  const terms = losses.map((l) => [l.name, l.kind, l.weight]);
  const meaning = JSON.stringify([settings, nameless(functions), parameters, inputs, views, masks, draws, encoders, ema, terms, train.batch, train.mean, train.std]);
  return createHash("sha256").update(meaning).digest("hex").slice(0, 16);
}

/** The text of functions without comments and without names of values. */
function nameless(functions: string): string {
  return functions.split("\n").filter((line) => !line.startsWith("///")).map((line) => line.replace(/(%\d+) "(?:[^"\\]|\\.)*"(?=[,\s])/g, "$1")).join("\n");
}
