/** Mask specs for the tests: the published I-JEPA pair on any grid, and a builder for the rest. */
import type { MaskSpec } from "../../../runtime/abi.js";

/** A spec with the published defaults. */
export function mask(name: string, kind: MaskSpec["kind"], side: number, rest: Partial<MaskSpec> = {}): MaskSpec {
  return {
    name,
    grid: { rows: side, cols: side },
    kind,
    count: 1,
    scale: [0.15, 0.2],
    aspect: [0.75, 1.5],
    ratio: [0.6, 0.6],
    minKeep: 10,
    minus: [],
    sampler: "published",
    allowOverlap: false,
    trim: "tail",
    ...rest,
  };
}

/** Four targets and a context less the targets, as all published configurations have them. */
export function ijepa(side: number, rest: Partial<MaskSpec> = {}): readonly [MaskSpec, MaskSpec] {
  return [
    mask("targets", "block", side, { count: 4, ...rest }),
    mask("context", "block", side, { scale: [0.85, 1], aspect: [1, 1], minus: ["targets"], ...rest }),
  ];
}
