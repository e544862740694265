/**
 * The one shape that the mask and leak analyses give their results in, for the call that runs all analyses to put together.
 */
import type { Diagnostic } from "../messages/report.js";

/** A finding of the mask and leak analyses: its diagnostic, its rule, and the losses it is about. */
export interface MaskFinding {
  readonly rule: string;
  readonly diagnostic: Diagnostic;
  readonly losses: readonly string[] | undefined;
}
