/**
 * Words that every JavaScript object answers to (`constructor`, `__proto__`, …), put in the place of every word of a
 * program that uses most of the language: the compiler's tables must not answer to them.
 */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";

const program = `
use std.vit
module gain(x: Tokens[width]) -> Tokens[width] in pixels {
  learn g[width] ~ normal(0.02)
  repeat 2 { x = gelu(x) }
  x * g
}
model tiny {
  param patch = 4
  input image: Image[16, 16, 3]
  mask targets = 2 of block(scale: 0.2..0.3, aspect: 0.75..1.5, min_keep: 1, sampler: corrected)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 1) minus targets
  view a, b = augment(image) { random_resized_crop(scale: 0.2..1.0) flip(p: 0.5) }
  encoder student = vit(patch, width: 16, depth: 2, heads: 2)
  encoder teacher = ema(student, momentum: 0.996 -> 1.0)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  z_context = student(a at context)
  z_target = stopgrad(normalize(teacher(a))) at targets
  z_hat = predict(z_context, at: targets)
  p = softmax(mean(student(b), over: tokens), over: features)
  loss main = smooth_l1(z_hat, z_target, beta: 1.0) in latent(teacher)
  loss pairs = info_nce(mean(student(a), over: tokens), stopgrad(mean(teacher(b), over: tokens)), negatives: images)
}
train tiny {
  data           shapes(count: 64) { random_resized_crop(scale: 0.6..1.0) color_jitter(hue: 0.1) }
  epochs         2
  batch          8
  optimizer      adamw(beta1: 0.9, beta2: 0.999)
  learning_rate  cosine(2e-4 -> 1e-3 -> 1e-6, warmup: 1 epochs)
  normalize      mean: [0.5, 0.5, 0.5]
}
probe tiny { linear(on: teacher, pool: mean) knn(on: teacher, k: 5) }
variant other of tiny { train { batch 4 } }
sweep patches of tiny { patch in [2, 4] }
`;

test.each(["constructor", "__proto__", "hasOwnProperty"])("%s in the place of any word of a program is a name or a diagnostic", { timeout: 120_000 }, (word) => {
  const places = [...program.matchAll(/[A-Za-z_]\w*/g)];
  expect(places.length).toBeGreaterThan(150);
  for (const place of places) {
    const text = program.slice(0, place.index) + word + program.slice(place.index + place[0].length);
    const where = `${word} for ${place[0]} at ${place.index}`;
    const { diagnostics } = check({ file: "x.jepa", text });
    for (const d of diagnostics) expect(`${d.message} ${d.help ?? ""}`, where).not.toMatch(/native code|\[object|undefined|NaN/);
  }
});
