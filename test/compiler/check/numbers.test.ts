/** Numbers of losses and operands of attention: what no loss is defined for, and what attention cannot run on, is refused with its place. */
import { expect, test } from "vitest";
import { check, compile } from "../../../compiler/compile.js";

const program = (loss: string, module = ""): string => `use std.vit
${module}model m {
  input image: Image[16, 16, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99 -> 1.0)
  predictor q = mlp(64)
  x = f(a)
  y = f(b)
  za = pool(x)
  zb = pool(t(b))
  ${loss}
}
train m {
  data shapes(count: 16)
  epochs 1
  batch 4
  optimizer adamw()
  learning_rate 1e-3
}
`;

/** Codes and the marked text of what is reported. */
function told(loss: string, module?: string): string[] {
  const text = program(loss, module);
  return check({ file: "m.jepa", text }).diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${text.slice(d.span.start, d.span.end)}`);
}

const attract = "mse(q(za), stopgrad(zb))";

test("a number that a loss is not defined for is refused where it stands", () => {
  const wrong: readonly (readonly [string, (value: string) => string, readonly string[], readonly string[]])[] = [
    ["beta", (v) => `smooth_l1(q(za), stopgrad(zb), beta: ${v})`, ["0", "-1"], ["0.5"]],
    ["temperature", (v) => `info_nce(za, zb, temperature: ${v})`, ["0", "-0.1"], ["0.07"]],
    ["negative_weight", (v) => `info_nce(za, zb, negative_weight: ${v}) + ${attract}`, ["-1"], ["0.5"]],
    ["queue", (v) => `info_nce(za, zb, queue: ${v})`, ["-1", "1.5"], ["64"]],
    ["temperature", (v) => `cross_entropy(q(za), stopgrad(softmax(zb)), temperature: ${v}) + variance(za) + covariance(za)`, ["0", "-1"], ["0.1"]],
    ["lambda", (v) => `barlow(za, pool(y), lambda: ${v})`, ["-1"], ["0.01"]],
    ["target", (v) => `${attract} + variance(za, target: ${v})`, ["1e7"], ["1", "0"]],
    ["eps", (v) => `${attract} + variance(za, eps: ${v})`, ["-1e-4", "2"], ["1e-6"]],
    ["directions", (v) => `${attract} + sigreg(za, directions: ${v})`, ["0", "2.5"], ["16"]],
    ["points", (v) => `${attract} + sigreg(za, points: ${v})`, ["0", "1"], ["9"]],
    ["range", (v) => `${attract} + sigreg(za, range: ${v})`, ["0", "-5"], ["4"]],
    ["eps", (v) => `mse(q(za), stopgrad(normalize(zb, eps: ${v})))`, ["-1", "2"], ["1e-6"]],
  ];
  for (const [name, loss, refused, fine] of wrong) {
    for (const value of refused) expect(told(`loss ${loss(value)}`), `${name}: ${value}`).toEqual([`JEP2011 ${value}`]);
    for (const value of fine) expect(told(`loss ${loss(value)}`), `${name}: ${value}`).toEqual([]);
  }
});

test("attention is between tokens of one width, with a value for each key", () => {
  const tokens = (q: string, k: string, v: string): string => `loss mse(q(pool(attend(${q}, ${k}, ${v}, 2))), stopgrad(zb))`;
  expect(told("loss mse(q(za), stopgrad(attend(zb, zb, zb, 2)))")).toEqual(["JEP3004 zb"]);
  expect(told(tokens("x", "za", "za"))).toEqual(["JEP3004 za"]);
  expect(told(tokens("x", "patches(a, 4)", "x"))).toEqual(["JEP3001 attend(x, patches(a, 4), x, 2)"]);
  expect(told(tokens("x", "patches(a, 4)", "patches(a, 4)"))).toEqual(["JEP3001 attend(x, patches(a, 4), patches(a, 4), 2)"]);
  // From one view to the other is attention too, and shows the prediction what it is to predict.
  expect(told(tokens("x", "y", "y"))).toEqual(["JEP5015 mse(q(pool(attend(x, y, y, 2))), stopgrad(zb))"]);
  expect(told(tokens("x", "x", "x"))).toEqual([]);
  expect(compile({ file: "m.jepa", text: program(tokens("x", "x", "x")) }).ok).toBe(true);
});

test("a parameter that could not start as it is written is refused where that stands", () => {
  const started = (init: string): string[] => told("head g = gate()\n  loss mse(q(g(za)), stopgrad(zb))", `module gate (x: Features[w]) -> Features[w] {\n  learn g[w] ~ ${init}\n  x * g\n}\n`);
  for (const [init, marked] of [
    ["trunc_normal(std: 1, cut: 0)", "cut: 0"],
    ["trunc_normal(std: 1, cut: -2)", "cut: -2"],
    ["trunc_normal(std: -0.02)", "std: -0.02"],
    ["normal(-1)", "-1"],
    ["constant(1e300)", "1e300"],
    ["uniform(low: 2, high: 1)", "uniform(low: 2, high: 1)"],
    ["uniform(high: -3)", "uniform(high: -3)"],
  ] as const) expect(started(init), init).toEqual([`JEP2011 ${marked}`]);
  for (const fine of ["trunc_normal(std: 0.02)", "trunc_normal(std: 0, cut: 1e-6)", "normal(0)", "uniform(low: 1, high: 1)", "constant(-3)"]) expect(started(fine), fine).toEqual([]);
});
