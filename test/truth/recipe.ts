/**
 * The one recipe of the truth test: how every program is trained, whatever its own train block says.
 *
 * A collapse is a matter of the graph, so the runs differ in their graphs alone. Small enough for two cores: 100 steps,
 * pictures of at most 32x32. What is chosen and why stands in docs/truth.md; a change here trains everything anew.
 */
import type { Manifest, Schedule } from "../../runtime/abi.js";

/** Steps of a run; by then most of what collapses has done so, and most of what holds has spread. */
export const STEPS = 100;
/** Steps of a second run, where the first does not decide (`again.train.ts`). */
export const LONG = 300;
/** AdamW, constant. Three times as much drives sound programs into a few dimensions, a third shows little in 100 steps. */
export const LEARNING_RATE = 1e-3;
export const WEIGHT_DECAY = 0.05;
/** A moving average that is slower than this, and not fixed, is made to follow so: its lag must be a small part of the run. */
export const MOST_MOMENTUM = 0.9;
/** The same in long runs. 0.9 is so quick that teacher and student of masked prediction agree on what positions say. */
export const MOST_MOMENTUM_LONG = 0.99;
/** Larger pictures are made this size. */
export const SIDE = 32;
/** Larger batches are cut to this, where the verdict stays. */
export const BATCH = 64;
/** Distinct batches, used again and again: drawing pictures would cost more than training on them. */
export const BATCHES = 32;
/** Pictures that nothing was trained on, for the measurements. */
export const HELD_OUT = 256;
/** Seeds: the first for all, the others for programs near a threshold. */
export const SEEDS: readonly [number, ...number[]] = [0, 1, 2];
/** Every so many programs one is trained long although its first run decided: a sample that was not chosen by its outcome. */
export const SAMPLE = 12;

/** All that decides numbers, but for the lengths of runs and their seeds, which are kept with each run. */
export const settings: string = JSON.stringify({ LEARNING_RATE, WEIGHT_DECAY, MOST_MOMENTUM, MOST_MOMENTUM_LONG, SIDE, BATCH, BATCHES, HELD_OUT, measured: 2 });

const constant = (value: number): Schedule => ({ kind: "constant", points: [value], warmup: undefined, stretch: 1 });

/** The momentum of a moving average in a run of so many steps; one that stands still does so here too. */
export function followed(momentum: Schedule, steps: number): Schedule {
  const least = Math.min(...momentum.points);
  return constant(least === 1 ? 1 : Math.min(least, steps < LONG ? MOST_MOMENTUM : MOST_MOMENTUM_LONG));
}

/** The manifest with the recipe of the truth test in place of its own. */
export function byRecipe(manifest: Manifest, steps: number): Manifest {
  return {
    ...manifest,
    ema: manifest.ema.map((e) => ({ ...e, momentum: followed(e.momentum, steps) })),
    train: {
      ...manifest.train,
      duration: { unit: "steps", value: steps }, checkpointEvery: { unit: "steps", value: steps },
      optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8 }, learningRate: constant(LEARNING_RATE), weightDecay: constant(WEIGHT_DECAY), gradientClip: undefined, onCollapse: "warn",
    },
  };
}
