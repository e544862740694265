/**
 * What the analyses concluded, in the form that a manifest carries.
 *
 * A neutral record between the analyses (which know graphs) and the manifest (which knows files): the verdict of each
 * loss and its trivial values, the monitors that the proofs ask for, and refusals that the author allowed.
 */
import type { Manifest, MonitorSpec, TrivialValue } from "../runtime/abi.js";
import type { Analyses } from "./analyses.js";

/** Conclusions about one program. */
export interface Verdicts {
  readonly byLoss: ReadonlyMap<string, string>;
  readonly trivial: ReadonlyMap<string, readonly TrivialValue[]>;
  readonly monitors: readonly MonitorSpec[];
  readonly allowed: Manifest["allowed"];
}

/** Conclusions of the analyses for the manifest; monitors of values that the step does not hand back are left out. */
export function verdictsOf(analyses: Analyses | undefined, watches: readonly { readonly name: string }[]): Verdicts {
  const names = new Set(watches.map((w) => w.name));
  return {
    byLoss: new Map((analyses?.losses ?? []).map((l) => [l.loss, l.verdict])),
    trivial: analyses?.trivial ?? new Map(),
    monitors: (analyses?.monitors ?? []).filter((m) => m.watch === undefined || ["teacher-distance", "gradient-norm", "mask-overlap"].includes(m.kind) || names.has(m.watch)),
    allowed: analyses?.allowed ?? [],
  };
}
