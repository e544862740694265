/**
 * The recipe of one run: the manifest's train section, with the options of the command line, on a data set of known size.
 *
 * Owns the translation of epochs into steps and the hyper-parameters of every step. Everything is a pure function of the
 * step, so nothing here needs saving. The order of I-JEPA (facts, section 5) is kept: learning rate and weight decay are
 * read at the 1-based step before the forward pass, the momentum at the 0-based one after the update. Weights of losses that
 * change are read at the 0-based step as well: a term that begins at 0 is not there in the first step.
 */
import type { Duration, Hyper, Manifest, TrainConfig } from "../abi.js";
import { counted } from "../base/counted.js";
import { isNumbers } from "../base/data-kinds.js";
import { HostError } from "../base/errors.js";
import { durationSteps, momentumValue, scheduleValue } from "../optim/schedule.js";

/** What the command line may change about a run. */
export interface RecipeOverrides {
  readonly duration?: Duration;
  readonly batch?: number;
  readonly seed?: number;
}

/** A run, in steps. */
export interface Recipe {
  readonly batch: number;
  readonly seed: number;
  readonly images: number;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Steps between checkpoints; at least 1. */
  readonly checkpointEvery: number;
  /** Steps between readings of the collapse signals. */
  readonly signalsEvery: number;
  readonly onCollapse: TrainConfig["onCollapse"];
  /** The scalars of a step, counted from 1. */
  hyperAt(step: number): Hyper;
}

/**
 * The recipe for `images` pictures. Throws `HostError` "bad-data" when there is not one whole batch and "bad-schedule" when
 * the run would have no step, and a RangeError for a number of pictures, a batch or a duration that is none.
 */
export function resolveRecipe(manifest: Pick<Manifest, "train" | "ema"> & Partial<Pick<Manifest, "losses">>, images: number, overrides: RecipeOverrides = {}): Recipe {
  const { train } = manifest;
  const batch = overrides.batch ?? train.batch;
  if (!Number.isInteger(images) || images < 0) throw new RangeError(`the number of pictures is ${images}, not a whole number`);
  if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`the batch is ${batch}, not a whole number of pictures from 1 on`);
  const stepsPerEpoch = Math.floor(images / batch);
  const one = train.data.kind === "videos" ? "film" : isNumbers(train.data) ? "sample" : "image";
  if (stepsPerEpoch < 1) throw tooFew(images, batch, one);
  const totalSteps = durationSteps(overrides.duration ?? train.duration, stepsPerEpoch);
  if (totalSteps < 1) throw new HostError("bad-schedule", `the run would have no step: ${counted(images, one)} in batches of ${batch}`, "train for at least one step, for example with --steps 100");
  const courses = (manifest.losses ?? []).flatMap(({ name, course }) => (course === undefined ? [] : [{ name, course }]));
  const horizon = { steps: totalSteps, stepsPerEpoch };
  return {
    batch,
    seed: overrides.seed ?? train.seed,
    images,
    stepsPerEpoch,
    totalSteps,
    checkpointEvery: Math.max(1, durationSteps(train.checkpointEvery, stepsPerEpoch)),
    signalsEvery: Math.max(1, Math.min(50, Math.round(totalSteps / 80))),
    onCollapse: train.onCollapse,
    hyperAt: (step) => ({
      step,
      learningRate: scheduleValue(train.learningRate, step, horizon),
      weightDecay: scheduleValue(train.weightDecay, step, horizon),
      momentum: Object.fromEntries(manifest.ema.map((edge) => [edge.target, momentumValue(edge.momentum, step, horizon)])),
      ...(courses.length === 0 ? {} : { weights: Object.fromEntries(courses.map(({ name, course }) => [name, momentumValue(course, step, horizon)])) }),
    }),
  };
}

/** A warning of a run that ends before its learning rate has risen, as one of fewer steps than the program's may; undefined of others. */
export function warmupNote({ train: { learningRate } }: Pick<Manifest, "train">, { totalSteps, stepsPerEpoch, hyperAt }: Recipe): string | undefined {
  const warmup = learningRate.warmup === undefined ? 0 : durationSteps(learningRate.warmup, stepsPerEpoch);
  const peak = Math.max(...learningRate.points);
  return warmup <= totalSteps ? undefined : `warning: the learning rate rises for ${counted(warmup, "step")}, and the run has ${totalSteps}: it ends at ${hyperAt(totalSteps).learningRate.toExponential(1)} of ${peak.toExponential(1)}; train for longer, or with a shorter warm-up`;
}

function tooFew(images: number, batch: number, one: string): HostError {
  return new HostError("bad-data", `${counted(images, one)} cannot fill one batch of ${batch}`, `give more ${one}s, or a smaller batch: --batch ${Math.max(1, images)}`);
}
