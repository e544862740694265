/**
 * The step program: what every target compiles.
 *
 * One training step as tensor functions (forward, backward, and each encoder alone), with what a target has to know to
 * connect them to the world: which inputs are parameters, images, masks or random draws, and the source texts for comments.
 * Lowering and autodiff fill it; targets only read it. Plain data.
 *
 * Conventions on `forward`, whose inputs keep their order and paths in `backward`:
 * - inputs: role `param`, path = absolute parameter path (`student.blocks.*.attn.qkv.weight`, `*` where stacked);
 *   role `data`, path = name of an image view, of numbers beside it, or of a draw; role `index`, path = name of a mask;
 *   role `scalar`, path = `weight <loss>`: a weight that changes over training.
 * - outputs: role `loss`, the first one the objective, the others its terms by name; role `watch`, pooled features
 *   `[rows, width]`; role `data`, path = absolute path of a `state` parameter: its new value; role `saved`, for `backward`.
 * - `backward` takes the cotangent of the objective (role `cotangent`), whatever it needs of `forward`'s inputs and all
 *   that was saved; its outputs have role `grad` and the parameters' paths.
 */
import type { WeightInfo } from "../lower/program.js";
import type { Module } from "../tensor/ir.js";

/** A program ready for a target. */
export interface StepProgram {
  readonly name: string;
  readonly doc: string | undefined;
  /** Name of the source file, for the header. */
  readonly file: string;
  readonly module: Module;
  /** The forward function: `<main>_forward`, or the main function itself where nothing is saved. */
  readonly forward: string;
  /** The backward function, `<main>_backward`. */
  readonly backward: string;
  /** Functions that run one encoder: parameters by absolute path and one image; one result. */
  readonly encoders: readonly StepEncoder[];
  readonly params: readonly StepParam[];
  /** Names of `data` inputs that are images or clips, those that are numbers beside them, and those that are random draws. */
  readonly images: readonly string[];
  readonly numbers: readonly string[];
  readonly draws: readonly string[];
  /** Weights of losses that change over training, with the `scalar` inputs that they come by. */
  readonly weights: readonly WeightInfo[];
  /** Source texts by file name, for comments that point to a line. */
  readonly sources: ReadonlyMap<string, string>;
}

/** An encoder that can be run alone. */
export interface StepEncoder {
  readonly name: string;
  readonly func: string;
}

/** A parameter, or a stack of them. */
export interface StepParam {
  /** Absolute, with `*` for each index: `student.blocks.*.norm1.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** How many there are along each `*`, outermost first. */
  readonly stack: readonly number[];
  readonly group: string;
  readonly trained: boolean;
}
