/**
 * What the analyses concluded, in the form that a manifest carries.
 *
 * A neutral record between the analyses (which know graphs) and the manifest (which knows files): the verdict of each
 * loss, the monitors that the proofs ask for, and refusals that the author allowed.
 */
import type { Manifest, MonitorSpec } from "../runtime/abi.js";

/** Conclusions about one program. */
export interface Verdicts {
  readonly byLoss: ReadonlyMap<string, string>;
  readonly monitors: readonly MonitorSpec[];
  readonly allowed: Manifest["allowed"];
}

/** Conclusions before any analysis has spoken: watch every encoder's spread. */
export function plainVerdicts(watches: readonly { readonly name: string }[]): Verdicts {
  const monitors = watches.map((w): MonitorSpec => ({
    kind: "embedding-std", watch: w.name, loss: undefined, threshold: 0.2, steps: 200,
    because: `the outputs of \`${w.name}\` must differ from image to image`,
  }));
  return { byLoss: new Map(), monitors, allowed: [] };
}
