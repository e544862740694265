/**
 * The lists of passes, to be read aloud.
 *
 * Before autodiff: put small functions in place, fold, share. After: take the marks out, then clean up to a fixed point.
 * `expand-sdpa` stands in front for targets without a fused attention kernel. Targets append their own fusions.
 */
import { cse } from "./cse.js";
import { dce } from "./dce.js";
import { expandSdpa } from "./expand-sdpa.js";
import { fold } from "./fold.js";
import { inlineUpTo } from "./inline.js";
import type { Pass } from "./pass.js";
import { untilStable } from "./pass.js";
import { rowsRead } from "./rows-read.js";
import { simplify } from "./simplify.js";
import { stripStopGradient } from "./strip-stop-gradient.js";

/** What local rules can reach: run to a fixed point. */
export const cleanup: Pass = untilStable("cleanup", [fold, simplify, cse, dce]);

/** Before differentiation. */
export const beforeAutodiff: readonly Pass[] = [inlineUpTo(4), cleanup];

/** Before differentiation, for a target without fused attention. */
export const beforeAutodiffExpanded: readonly Pass[] = [inlineUpTo(4), expandSdpa, cleanup];

/** After differentiation. */
export const afterAutodiff: readonly Pass[] = [stripStopGradient, cleanup];

/** Every pass of the core by itself, for flags and documents. */
export const allPasses: readonly Pass[] = [inlineUpTo(4), expandSdpa, rowsRead, fold, simplify, cse, dce, stripStopGradient];
