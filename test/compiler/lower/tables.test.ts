/** A position table that the model itself adds is the table that a module would have added, and never trains. */
import { expect, it } from "vitest";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { funcOf } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import { argumentsFor, compileStep } from "./programs.js";

const dims = new Map([["B", 2], ["K_hidden", 7]]);

const program = (inside: string, outside: string): string => `use std.vit
module embed(patch, width) (image) -> Tokens[width] {
  part proj = patch_embedding(patch, width)
  proj(image)${inside}
}
module rest(depth, heads) (x: Tokens[width]) -> Tokens[width] {
  part blocks = depth of block(heads)
  repeat block in blocks { x = block(x) }
  x
}
model m {
  allow collapse("only the table counts here")
  allow leak("only the table counts here")
  input image: Image[8, 8, 3]
  mask hidden = random(0.5)
  encoder f = embed(2, 8)
  predictor h = rest(1, 2)
  loss mse(h(f(image)${outside}) at hidden, stopgrad(normalize(f(image)${outside})) at hidden)
}
train m {
  data shapes(count: 64)
  epochs 1
  batch 2
}
`;

/** The loss, and the names of what trains; arguments by path, so that both programs are given the same. */
function lossOf(text: string, known: Map<string, NdArray>): { readonly loss: number; readonly trained: readonly string[]; readonly paths: readonly string[] } {
  const step = compileStep(text);
  const forward = funcOf(step.module, step.forward);
  const args = argumentsFor(forward, dims, 3).map((value, i) => {
    const path = (forward.inputs[i]?.path ?? "").replace(/^\w+\.(pos_embed)$/, "$1");
    known.set(path, known.get(path) ?? value);
    return known.get(path) ?? value;
  });
  const results = evaluate(step.module, step.forward, args, dims);
  return { loss: results[forward.outputs.findIndex((o) => o.role === "loss")]?.data[0] ?? NaN, trained: step.params.filter((p) => p.trained).map((p) => p.name), paths: forward.inputs.map((i) => i.path) };
}

it("in the model as in a module", () => {
  const known = new Map<string, NdArray>();
  const inside = lossOf(program(" + sincos2d(width)", ""), known);
  const outside = lossOf(program("", " + sincos2d(8)"), known);
  expect(outside.loss).toBeCloseTo(inside.loss, 12);
  expect(outside.paths).toContain("positions.pos_embed");
  expect(outside.trained).toEqual(inside.trained);
  expect(outside.trained.filter((name) => name.includes("pos_embed"))).toEqual([]);
});

it("a name that the program has given away is left to it", () => {
  expect(lossOf(program("", " + sincos2d(8)").replaceAll("predictor h", "predictor positions").replace("h(f", "positions(f"), new Map()).paths).toContain("positions_2.pos_embed");
});
