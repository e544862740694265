/**
 * The one shape that the mask and leak analyses give their results in.
 *
 * It stands here, below both, so that the call that runs all analyses can put their results together with the collapse
 * analysis's own findings. Owns no rule and no words.
 */
import type { Diagnostic } from "../messages/report.js";

/** A finding of the mask and leak analyses: its diagnostic, its rule, and the losses it is about. */
export interface MaskFinding {
  readonly rule: string;
  readonly diagnostic: Diagnostic;
  readonly losses: readonly string[] | undefined;
}
