/**
 * Names in a run's state that engines have in common beyond parameters and optimizer slots.
 *
 * A checkpoint belongs to no engine: one of f16 holds how its loss was scaled, which those that compute in f32 have no use
 * for and pass over. Owns too what no engine takes: a state that lacks parameters. Optimizer slots may be missing: there are
 * none before the first step.
 */
import { HostError } from "../base/errors.js";

/** The state of the loss scale among the optimizer's (see `PlanScaler`). */
export const LOSS_SCALE = "optimizer.loss_scale";

/** Throws `HostError` "mismatch" that names the parameters that a state lacks. */
export function checkWhole(parameters: Iterable<string>, state: ReadonlyMap<string, unknown>): void {
  const missing = [...parameters].filter((name) => !state.has(name));
  if (missing.length === 0) return;
  const shown = missing.slice(0, 5).join(", ");
  throw new HostError("mismatch", `the state has no ${shown}${missing.length > 5 ? ` and ${missing.length - 5} more` : ""}, and the program needs every parameter`, "give all that exportState gives; to replace a few, set them in what it gave");
}
