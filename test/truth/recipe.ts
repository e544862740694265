/**
 * The one recipe of the truth test: how every program is trained, whatever its own train block says.
 *
 * A collapse is a matter of the graph, so the runs differ in their graphs alone. Small enough for two cores: 100 steps,
 * pictures of at most 32x32. What is chosen and why stands in docs/truth.md; a change here trains everything anew.
 */

/** Steps of a run; by then what collapses has done so, and what holds has spread. */
export const STEPS = 100;
/** AdamW, constant. Three times as much drives sound programs into a few dimensions, a third shows little in 100 steps. */
export const LEARNING_RATE = 1e-3;
export const WEIGHT_DECAY = 0.05;
/** A moving average between 0.9 and 1 is made to follow with 0.9: its lag must be a small part of the run. */
export const MOST_MOMENTUM = 0.9;
/** Larger pictures are made this size. */
export const SIDE = 32;
/** Larger batches are cut to this. */
export const BATCH = 64;
/** Distinct batches, used again and again: drawing pictures would cost more than training on them. */
export const BATCHES = 32;
/** Pictures that nothing was trained on, for the measurements. */
export const HELD_OUT = 256;
/** Seeds: the first for all, the others for programs near a threshold. */
export const SEEDS: readonly number[] = [0, 1, 2];

/** All of the above as one text: part of the key under which results are kept. */
export const settings: string = JSON.stringify({ STEPS, LEARNING_RATE, WEIGHT_DECAY, MOST_MOMENTUM, SIDE, BATCH, BATCHES, HELD_OUT, measured: 2 });
