/** Small programs and arrays for tests of lowered programs: everything is made from source text and a seed. */
import { readFileSync } from "node:fs";
import { compileStep } from "./step.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { generate } from "../../../compiler/tensor/ndarray.js";
import type { Func } from "../../../compiler/tensor/ir.js";
import { typeOf } from "../../../compiler/tensor/ir.js";
import { evaluate as evaluateDim } from "../../../compiler/types/dim.js";

export { compileStep };

/** Reads files of the repository for `use`. */
export function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** A variant of the reference program small enough for the interpreter: 8x8 pixels, a 4x4 grid, two blocks. */
export const tinyIjepa = `use "./specs/ijepa.jepa"
variant tiny of ijepa {
  param image_size = 8
  param patch = 2
  param width = 8
  param depth = 2
  param heads = 2
  mask targets = 4 of block(scale: 0.15..0.20, min_keep: 0)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus targets
  predictor predict = vit_predictor(width: 4, depth: 1, heads: 1)
}
`;

/** A seeded generator of numbers in [-1, 1). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31) - 1;
  };
}

/** Arrays for every input of a function: parameters near their usual size, images in [-1, 1), indices distinct and ascending. */
export function argumentsFor(func: Func, dims: ReadonlyMap<string, number>, seed: number): NdArray[] {
  const next = numbers(seed);
  return func.inputs.map((input) => {
    const type = typeOf(func, input.value);
    const shape = [...type.stack, ...type.shape.map((d) => evaluateDim(d, dims) ?? NaN)];
    if (input.role === "index") return indexRows(shape, next);
    const scale = input.role === "param" ? 0.5 : 1;
    const offset = input.path.endsWith("norm.weight") || /norm\d?\.weight$/.test(input.path) ? 1 : 0;
    return generate(shape, () => offset + scale * next());
  });
}

function indexRows(shape: readonly number[], next: () => number): NdArray {
  const [rows = 0, k = 0] = shape;
  const data: number[] = [];
  for (let r = 0; r < rows; r++) {
    const all = Array.from({ length: 16 }, (_, i) => i).map((i) => ({ i, key: next() })).sort((a, b) => a.key - b.key);
    data.push(...all.slice(0, k).map((x) => x.i).sort((a, b) => a - b));
  }
  return generate(shape, (i) => data[i] ?? 0);
}
