/**
 * A plan that fits a device, or what would.
 *
 * Owns the search behind "too large": the largest batch and what keeps a larger one out, the smallest number of parts, whether
 * recomputation helps, each with the memory of its plan. Tracing and fusing do not depend on the batch, so each try only
 * writes and packs. Places in the program and words for people are the caller's.
 */
import type { Manifest } from "../../../runtime/abi.js";
import { partsIn, partsOf } from "../parts.js";
import type { StepProgram } from "../step.js";
import type { Excess } from "./memory.js";
import { TooLarge } from "./memory.js";
import type { PlanLimits, Planned, Precision, Prepared } from "./plan.js";
import { planPrepared, prepareStep, valueTooLarge } from "./plan.js";

/** Settings that fit, and the peak memory of their plan. */
export interface Way {
  readonly batch: number;
  readonly parts: number;
  readonly memory: number;
}

/** Why there is no plan, and what there could be instead. */
export interface Misfit extends Excess {
  readonly limits: PlanLimits;
  /** The largest batch that fits with the program's other settings; undefined where not even one image does. */
  readonly largest: Way | undefined;
  /** The batch after that, and what is too large there: the first excess may be for a limit that does not decide. */
  readonly beyond: { readonly batch: number; readonly excess: Excess };
  /** The batch in the smallest number of parts in which it fits. */
  readonly cut: Way | undefined;
  /** The largest batch with blocks made again in the backward pass, where they are not yet; at most the program's own. */
  readonly recomputed: Way | undefined;
}

/** The plan, or why there is none. */
export function fitPlan(program: StepProgram, manifest: Manifest, limits: PlanLimits, precision?: Precision): Planned | Misfit {
  const prepared = prepareStep(program, manifest.train.recompute === "blocks", precision);
  const found = attempt(prepared, manifest, limits);
  if (!(found instanceof TooLarge)) return found;
  const { masks, train: { batch, accumulate = 1 } } = manifest;
  const share = batch / partsIn(manifest);
  // Where rows are cut within groups, the whole batch may run in more parts than are asked for; a smaller one is asked for that does not.
  const batchOf = (images: number): number => (images === share ? batch : images * accumulate);
  const within = (own: Prepared, most = limits): Tried => {
    const batchFor = (images: number): number => {
      let fewer = images;
      while (fewer < share && fewer > 1 && partsOf(fewer * accumulate, accumulate, masks) !== accumulate) fewer--;
      return batchOf(fewer);
    };
    return {
      plan: (images) => wayOf(own, manifest, most, batchFor(images), accumulate),
      values: (images) => valueTooLarge(own, { ...manifest, train: { ...manifest.train, batch: batchFor(images), accumulate } }, most),
    };
  };
  const { fits, beyond } = largest(share, within(prepared), found);
  const recomputed = manifest.train.recompute === "blocks" ? undefined : upTo(share, within(prepareStep(program, true, precision)));
  return {
    what: found.what, bytes: found.bytes, kind: found.kind, limit: found.limit, limits,
    largest: fits, beyond: { batch: batchOf(beyond.images), excess: fits === undefined || limits.memoryBytes === undefined ? beyond.excess : deciding(beyond, within(prepared, unbound(limits))) },
    cut: fits === undefined ? undefined : inParts(prepared, manifest, limits, fits.batch / accumulate),
    recomputed: recomputed?.batch === fits?.batch ? undefined : recomputed,
  };
}

/** The same memory on a device whose buffers may be of any size. */
function unbound(limits: PlanLimits): PlanLimits {
  return { ...limits, bindingBytes: 2 ** 50, bufferBytes: 2 ** 50 };
}

/** What a device with larger bindings would not mend is the memory's excess, though a value is beyond a binding too. */
function deciding({ images, excess }: Beyond, unboundTried: Tried): Excess {
  const still = excess.kind === "memory" ? excess : unboundTried.plan(images);
  return still instanceof TooLarge ? still : excess;
}

/** The batch in the fewest parts that fit, of at most `images` each. */
function inParts(prepared: Prepared, manifest: Manifest, limits: PlanLimits, images: number): Way | undefined {
  const { batch, accumulate = 1 } = manifest.train;
  for (const parts of divisors(batch)) {
    if (parts <= accumulate || batch / parts > images || partsOf(batch, parts, manifest.masks) !== parts) continue;
    const way = wayOf(prepared, manifest, limits, batch, parts);
    if (!(way instanceof TooLarge)) return way;
  }
  return undefined;
}

function wayOf(prepared: Prepared, manifest: Manifest, limits: PlanLimits, batch: number, parts: number): Way | TooLarge {
  const found = attempt(prepared, { ...manifest, train: { ...manifest.train, batch, accumulate: parts } }, limits);
  return found instanceof TooLarge ? found : { batch, parts, memory: found.plan.memory.total };
}

function attempt(prepared: Prepared, manifest: Manifest, limits: PlanLimits): Planned | TooLarge {
  try {
    return planPrepared(prepared, manifest, limits);
  } catch (error) {
    if (error instanceof TooLarge) return error;
    throw error;
  }
}

/** The largest number of images that fits, of at most `most`. */
function upTo(most: number, tried: Tried): Way | undefined {
  const whole = tried.plan(most);
  return whole instanceof TooLarge ? largest(most, tried, whole).fits : whole;
}

/** A number of images that does not fit, and why. */
interface Beyond {
  readonly images: number;
  readonly excess: Excess;
}

/** How a number of images is tried: by a whole plan, or by the sizes of values alone, which writes no kernel. */
interface Tried {
  plan(images: number): Way | TooLarge;
  values(images: number): TooLarge | undefined;
}

/**
 * The largest number of images below `most` that fits, as smaller ones do too, and what is too large with one more; `failed` is why
 * `most` does not fit. Most often a value decides: the search goes by values, and plans what it ends at.
 */
function largest(most: number, tried: Tried, failed: TooLarge): { readonly fits: Way | undefined; readonly beyond: Beyond } {
  const by = <W>(tries: (images: number) => W | TooLarge): { readonly low: number; readonly fits: W | undefined; readonly beyond: Beyond } => {
    let fits: W | undefined;
    let beyond: Beyond = { images: most, excess: failed };
    let low = 0;
    while (beyond.images - low > 1) {
      const middle = Math.floor((low + beyond.images) / 2);
      const found = tries(middle);
      if (found instanceof TooLarge) beyond = { images: middle, excess: found };
      else [low, fits] = [middle, found];
    }
    return { low, fits, beyond };
  };
  const values = by((images) => tried.values(images) ?? images);
  const last = values.low === 0 ? undefined : tried.plan(values.low);
  if (last !== undefined && !(last instanceof TooLarge)) return { fits: last, beyond: values.beyond };
  // Something else decides: what kernels keep for themselves, or all memory.
  return by((images) => tried.values(images) ?? tried.plan(images));
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}
