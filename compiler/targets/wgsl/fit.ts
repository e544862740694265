/**
 * A plan that fits a device, or what would.
 *
 * Owns the search behind "too large": the largest batch, the smallest number of parts, whether recomputation helps. Tracing
 * and fusing do not depend on the batch, so each try only writes and packs. Places in the program and words for people are
 * the caller's.
 */
import type { Manifest } from "../../../runtime/abi.js";
import type { StepProgram } from "../step.js";
import { TooLarge } from "./memory.js";
import type { PlanLimits, Planned, Precision, Prepared } from "./plan.js";
import { planPrepared, prepareStep } from "./plan.js";

/** Why there is no plan, and what there could be instead. */
export interface Misfit {
  readonly what: string;
  readonly bytes: number;
  readonly limit: number;
  /** The largest batch that fits with the program's other settings; undefined where not even one image does. */
  readonly batch: number | undefined;
  /** The smallest number of parts in which the batch fits. */
  readonly parts: number | undefined;
  /** The largest batch with blocks made again in the backward pass, where they are not yet; at most the program's own. */
  readonly recomputed: number | undefined;
}

/** The plan, or why there is none. */
export function fitPlan(program: StepProgram, manifest: Manifest, limits: PlanLimits, precision?: Precision): Planned | Misfit {
  const prepared = prepareStep(program, manifest.train.recompute === "blocks", precision);
  const found = attempt(prepared, manifest, limits);
  if (!(found instanceof TooLarge)) return found;
  const { batch, accumulate = 1 } = manifest.train;
  const fits = (own: Prepared, size: number): boolean => !(attempt(own, withBatch(manifest, size, 1), limits) instanceof TooLarge);
  const size = largest(batch / accumulate, (n) => fits(prepared, n));
  const again = manifest.train.recompute === "blocks" ? undefined : prepareStep(program, true, precision);
  const most = again === undefined ? undefined : largest(batch / accumulate, (n) => fits(again, n));
  const parts = size === undefined ? undefined : divisors(batch).find((n) => n > accumulate && batch / n <= size && !(attempt(prepared, withBatch(manifest, batch, n), limits) instanceof TooLarge));
  return {
    what: found.what, bytes: found.bytes, limit: found.limit, parts,
    batch: size === undefined ? undefined : size * accumulate,
    recomputed: most === undefined || most === size ? undefined : most * accumulate,
  };
}

function attempt(prepared: Prepared, manifest: Manifest, limits: PlanLimits): Planned | TooLarge {
  try {
    return planPrepared(prepared, manifest, limits);
  } catch (error) {
    if (error instanceof TooLarge) return error;
    throw error;
  }
}

function withBatch(manifest: Manifest, batch: number, accumulate: number): Manifest {
  return { ...manifest, train: { ...manifest.train, batch, accumulate } };
}

/** The largest number from 1 to `most` that passes, which smaller ones do too. */
function largest(most: number, passes: (n: number) => boolean): number | undefined {
  if (passes(most)) return most;
  let [low, high] = [0, most];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (passes(middle)) low = middle;
    else high = middle;
  }
  return low === 0 ? undefined : low;
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}
