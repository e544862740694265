/** Leaks between moments of a clip: what a prediction of later ones has seen of them, and what it may see of earlier ones. */
import { expect, it } from "vitest";
import { check } from "../../../compiler/compile.js";

const program = (lines: string): string => `use std.vit
module over_time() (z) { mean(z, over: time) }
model m {
  input clip: Video[4, 8, 8, 3]
  view a, b = augment(clip) { flip(p: 0.5) }
  input action: Action[4, 6]
  encoder e = vit(patch: 4, width: 8, depth: 1, heads: 2)
  encoder t = ema(e, momentum: 0.99)
  predictor p = mlp(8)
  z = pool(e(clip))
  y = attend(z, z, z, 2, causal: true)
  aim = stopgrad(pool(t(clip)))
  ${lines}
}
train m {
  data   shapes(count: 64)
  batch  2
}
`;
const leaks = (lines: string): boolean => {
  const { diagnostics, graph } = check({ file: "m.jepa", text: program(lines) });
  expect(graph).toBeDefined();
  expect(diagnostics.filter((d) => d.severity === "error" && d.code !== "JEP5015").map((d) => d.message)).toEqual([]);
  return diagnostics.some((d) => d.code === "JEP5015");
};

it.each([
  ["the moments after those that were seen", "loss mse(p(earlier(z)), later(aim))"],
  ["with attention that looks back", "loss mse(p(earlier(y)), later(aim))"],
  ["two later", "loss mse(p(earlier(y, by: 2)), later(aim, by: 2))"],
  ["between tokens of frames", "x = e(clip)\n  loss mse(p(earlier(attend(x, x, x, 2, causal: true))), stopgrad(later(t(clip))))"],
  ["backward in time", "loss mse(p(later(z)), earlier(aim))"],
  ["of what was looked back from, by one moment", "loss mse(p(earlier(z)), stopgrad(later(attend(aim, aim, aim, 2, causal: true))))"],
  ["the last from the first", "loss mse(p(mean(earlier(z, by: 3), over: time)), stopgrad(over_time()(later(aim, by: 3))))"],
  ["the last from all before", "loss mse(p(mean(earlier(z), over: time)), stopgrad(mean(later(aim, by: 3), over: time)))"],
  ["of another view", "loss mse(p(later(pool(e(a)))), stopgrad(later(pool(t(b)))))"],
])("no leak: %s", (_, lines) => {
  expect(leaks(lines)).toBe(false);
});

it.each([
  ["the very moments", "loss mse(p(later(z)), later(aim))"],
  ["the very moments, looking back", "loss mse(p(later(y)), later(aim))"],
  ["earlier moments by what has looked back at them", "loss mse(p(later(y)), earlier(aim))"],
  ["two slices that meet", "loss mse(p(earlier(later(y))), earlier(later(aim)))"],
  ["beside others", "loss mse(p(earlier(z) + later(z)), later(aim))"],
  ["in shares over time", "loss mse(p(earlier(softmax(z, over: time))), later(aim))"],
  ["the last from all", "loss mse(p(over_time()(z)), stopgrad(mean(later(aim, by: 3), over: time)))"],
])("a leak: %s", (_, lines) => {
  expect(leaks(lines)).toBe(true);
});
