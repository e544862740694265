/**
 * What the programs of the truth test are trained on: the generated pictures and clips, with actions and labels of the sizes that
 * programs of the corpus ask for.
 *
 * The generator's actions are two numbers, the step to the right and down in parts of the side, and its labels have 8 or 6 classes.
 * Programs that were written before it had either ask for four numbers and for ten classes: actions are then the steps to the right,
 * left, down and up, of which two are 0, and a label is the class of the shape, of ten of which two never come. Steps are given in
 * units of a typical one, so that a loss on actions is of the size of other losses.
 */
import type { Manifest } from "../../runtime/abi.js";
import type { ImageSource } from "../../runtime/data/source.js";
import { syntheticSource } from "../../runtime/data/synthetic.js";

/** A clip's path is 0.3 to 0.6 of the side, so that a step of seven has about this length. */
const STEP = 0.06;

/** Pictures, or clips where the program takes such, with the numbers that it takes. */
export function sourceFor(manifest: Pick<Manifest, "inputs" | "numbers">, options: { readonly count: number; readonly side: number; readonly seed: number }): ImageSource {
  const frames = manifest.inputs.find((input) => input.frames !== undefined)?.frames;
  const source = syntheticSource(frames === undefined ? options : { ...options, frames });
  const { factors, actions } = source;
  const classes = Math.max(0, ...(manifest.numbers ?? []).flatMap((spec) => (spec.kind === "label" ? spec.shape : [])));
  const [first, ...others] = factors;
  const padded = first === undefined ? [] : [{ ...first, classes: Array.from({ length: Math.max(classes, first.classes.length) }, (_, at) => first.classes[at] ?? `none ${at}`) }, ...others];
  if (actions === undefined) return { ...source, factors: padded };
  return { ...source, factors: padded, actions: { size: 4, rows: (index) => fourWays(actions.rows(index)) } };
}

/** Steps `[frames, 2]` as `[frames, 4]`: right, left, down, up, none of them below 0. */
function fourWays(steps: Float32Array): Float32Array {
  const out = new Float32Array(2 * steps.length);
  steps.forEach((step, at) => {
    out[2 * at] = Math.max(0, step) / STEP;
    out[2 * at + 1] = Math.max(0, -step) / STEP;
  });
  return out;
}
