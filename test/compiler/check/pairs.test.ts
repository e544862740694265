/** Products over the batch: what they are made of, what they may be given to, and what a batch must be for them. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { printDim } from "../../../compiler/types/dim.js";

const program = (lines: string, train = "batch 8"): string => `use std.vit
use std.nn
model m {
  allow collapse("only types count here")
  input image: Image[8, 8, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  mask some = random(0.5)
  encoder f = vit(4, width: 8, depth: 1, heads: 2)
  encoder other = frozen(vit(4, width: 8, depth: 2, heads: 2))
  head g = linear(5)
  y = pool(f(a))
  z1 = g(y)
  z2 = g(pool(f(b)))
  s = similarities(z1, z2)
  c = second_moments(y, z1)
  loss variance(z1) + mse(z1, z2)
  ${lines}
}
train m { ${train} }
`;

/** Codes and words of what is reported as an error. */
function told(text: string): string[] {
  return check({ file: "m.jepa", text }).diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message} ${d.help ?? ""}`);
}

test.each([
  ["tokens", "x = similarities(f(a))", "JEP3003 `a` of `similarities` should be one vector of features for each image, and is [B, 4, 8] (batch, token, feature). `pool(x)`"],
  ["other widths", "x = similarities(y, z1)", "JEP3001 `similarities` does not fit [B, 8] with [B, 5]"],
  ["other spaces", "x = similarities(y, pool(other(a)))", "JEP3013"],
  ["other batches", "x = second_moments(union(z1, z2), z1)", "JEP3001 `second_moments` does not fit [2*B, 5] with [B, 5]"],
  ["no diagonal", "x = diagonal(c)", "JEP3003 `x` of `diagonal` should be a square matrix of pairs, and is [8, 5]"],
  ["vectors in the place of pairs", "x = off_diagonal(z1)", "JEP3003 `x` of `off_diagonal`"],
  ["pairs in the place of features", "x = g(s)", "JEP3003"],
  ["a statistic of pairs", "loss more = variance(s)", "JEP3003 An operand of `variance` should be a value with features, and is [B, B]"],
  ["batch norm of pairs", "x = batch_normalize(s)", "JEP3003 An operand of `batch_normalize`"],
  ["pairs beside one another", "x = union(s, s)", "JEP3003 An operand of `union`"],
  ["a number for each image beside pairs", "x = s - mean(s, over: columns)", "JEP3001 `-` does not fit [B, B] with [B]. A number for each image could stand for a row"],
  ["columns of what has none", "x = mean(z1, over: columns)", "JEP3004 `mean` over `columns`: the axes here are batch, feature"],
  ["features of pairs of images", "x = softmax(s)", "JEP3004 `softmax` over `features`: the axes here are batch, batch"],
] as const)("%s", (_, lines, wanted) => {
  const found = told(program(lines));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(wanted);
});

test("a batch of one has no pairs, and a batch in parts has not all of them", () => {
  const rest = program("loss more = mean(s)").replace("loss variance(z1) + mse(z1, z2)", "loss mse(z1, stopgrad(z2))");
  expect(told(rest)).toEqual([]);
  expect(told(rest.replace("batch 8", "batch 1"))[0]).toContain("JEP6011");
  expect(told(rest.replace("batch 8", "batch 8\n accumulate 2"))[0]).toContain("JEP6013");
  expect(told(rest.replace("mean(s)", "mean(square(c))").replace("batch 8", "batch 8\n accumulate 2"))[0]).toContain("JEP6013");
});

test("shapes of pairs, of their parts, and of what they are multiplied with", () => {
  const { graph } = check({ file: "m.jepa", text: program(`d = diagonal(s)
  rows = sum(s, over: columns)
  all = mean(s, over: images)
  two = similarities(union(z1, z2), z2)
  mixed = softmax(two, over: columns) @ y
  turned = transpose(two)
  spread = y @ c
  features = diagonal(second_moments(y))
  loss more = mean(d) + mean(rows) + all + mean(mixed) + mean(turned) + mean(spread) + mean(features)`) });
  const shape = (name: string): string => graph?.body.nodes.filter((n) => n.name === name).map(({ type }) => `${type.shape.map(printDim).join(" ")} ${type.axes.join(" ")}`).join(";") ?? "";
  expect(["s", "c", "d", "rows", "all", "two", "mixed", "turned", "spread", "features"].map((name) => `${name}: ${shape(name)}`)).toEqual([
    "s: B B batch batch", "c: 8 5 feature feature", "d: B batch", "rows: B batch", "all:  ", "two: 2*B B batch batch", "mixed: 2*B 8 batch feature", "turned: B 2*B batch batch",
    "spread: B 5 batch feature", "features: 8 feature",
  ]);
});
