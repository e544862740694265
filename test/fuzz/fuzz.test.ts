/**
 * Drawn programs, and those that drawn ones have found something with: printing, reading back, other spellings, the passes of
 * both targets, and two steps on wasm agree with the float64 interpreter of the program before any pass; of some, on WebGPU too.
 *
 * A failure names its seed: `JEPAC_FUZZ=17` tries that one alone, `JEPAC_FUZZ=1..500` others than the usual ones, all with WebGPU.
 */
import { expect, test, vi } from "vitest";
import { disagreements, refusals } from "./compare.js";
import { programText } from "./generate.js";

vi.setConfig({ testTimeout: 600_000 });

const asked = process.env["JEPAC_FUZZ"];
const [first = 1, last = first] = (asked ?? "1..16").split("..").map(Number);
const seeds = Array.from({ length: last - first + 1 }, (_, i) => first + i);
const accepted = seeds.filter((seed) => refusals(programText(seed)).length === 0);

test("most drawn programs are accepted", () => {
  expect(accepted.length).toBeGreaterThan(0.6 * seeds.length);
});

test.each(accepted)("seed %d", async (seed) => {
  const text = programText(seed);
  const found = await disagreements(text, seed, asked !== undefined || seed === accepted[0]);
  expect(found, `JEPAC_FUZZ=${seed}\n${text}`).toEqual([]);
});

const around = (modules: string, loss: string): string => `use std.vit
use std.heads
${modules}model fuzz {
  input image: Image[6, 6, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder student = vit(3, 4, 1, 1)
  head project = net()
  one = project(pool(student(a)))
  two = project(pool(student(b)))
  loss ${loss}
  allow collapse("fuzz")
}
train fuzz {
  data       shapes(count: 64)
  batch      4
  optimizer  adamw(eps: 0.01)
}
`;

const named: readonly (readonly [name: string, text: string, onDevice?: boolean])[] = [
  ["running statistics in a module that is repeated", around("module net (x: Features[w]) -> Features[w] {\n  repeat 3 {\n    x = gelu(batch_norm(eps: 0.01)(x))\n  }\n  x\n}\n", "mse(one, stopgrad(two)) + variance(one)")],
  ["statistics of a single feature", around("module net (x: Features[w]) -> Features[1] {\n  linear(1)(x)\n}\n", "mse(one, two) + covariance(one) + barlow(one, two)")],
  ["products over the batch, and every part and use of them", around("module net (x: Features[w]) -> Features[5] {\n  linear(5)(x)\n}\n", `mean(log(sum(exp(off_diagonal(s, fill: -20)), over: columns)) - diagonal(s)) + 0.1 * sum(square(off_diagonal(c))) + mean(square(one @ c))
  s = similarities(l2_normalize(one, eps: 0.01), l2_normalize(two, eps: 0.01)) / 0.5
  c = second_moments(one - mean(one, over: images), two)
  loss more = mse(softmax(transpose(s), over: columns) @ one, two) + cross_entropy(s, stopgrad(softmax(similarities(two), over: images))) - 0.1 * mean(diagonal(log_softmax(s, over: columns)))`), asked !== undefined],
  ["rows that are the same, and rows that are near, in koleo", around("module net (x: Features[w]) -> Features[3] {\n  linear(3)(x)\n}\n", "mse(one, two) + koleo(union(one, one)) + koleo(0.02 * two - 1)")],
];

test.each(named.map((one) => [one[0], one] as const))("%s", async (_, [, text, onDevice = true]) => {
  expect(refusals(text)).toEqual([]);
  expect(await disagreements(text, 1, onDevice)).toEqual([]);
});
