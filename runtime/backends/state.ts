/**
 * Names in a run's state that engines have in common beyond parameters and optimizer slots.
 *
 * A checkpoint belongs to no engine: one of f16 holds how its loss was scaled, which those that compute in f32 have no use
 * for and pass over.
 */

/** The state of the loss scale among the optimizer's (see `PlanScaler`). */
export const LOSS_SCALE = "optimizer.loss_scale";
