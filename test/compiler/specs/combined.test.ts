/** Features of the language together, two steps each, on wasm and WebGPU against float64. */
import { expect, it, vi } from "vitest";
import { check } from "../../../compiler/compile.js";
import { verify } from "../../../compiler/model/verify.js";
import { numbersApart } from "../../fuzz/compare.js";

vi.setConfig({ testTimeout: 240_000 });

const looksBack = `module back(heads) (x: Tokens[width]) -> Tokens[width] {
  part qkv = linear(3 * width)
  part proj = linear(width)
  q, k, v = split(qkv(x), 3)
  x + proj(attend(rotary(q, heads), rotary(k, heads), v, heads, causal: true))
}
module causal_vit(patch, frames, width, depth, heads) (clip) -> Tokens[width] {
  part embed = linear(width)
  part blocks = depth of back(heads)
  x = embed(tubes(clip, patch, frames))
  repeat block in blocks { x = block(x) }
  x
}
module turned_frames(width) (clip) -> Tokens[width] {
  part embed = linear(width)
  x = embed(patches(clip, 4) + sincos2d(16))
  attend(rotary(x, 1), rotary(tanh(x), 1), x, 1)
}`;

const program = (body: string, more = ""): string => `use std.vit
use std.heads
${looksBack}
model m {
  allow collapse("only the numbers count here")
  allow leak("only the numbers count here")
${body}
}
train m {
  data shapes(count: 64)
  steps 8
  batch 2
  optimizer adamw(eps: 1e-2)
${more}}
`;

const programs: Readonly<Record<string, string>> = {
  "rotary, causal attention, tubes, several contexts, recomputed": program(`  input video: Video[4, 8, 8, 1]
  mask targets = 4 of block(scale: 0.2..0.3, aspect: 0.75..1.5, min_keep: 0, sampler: corrected)
  mask context = 2 of block(scale: 0.9..1.0, aspect: 1.0, min_keep: 0, sampler: corrected) minus targets
  encoder f = causal_vit(patch: 4, frames: 1, width: 12, depth: 2, heads: 2)
  encoder t = ema(f, momentum: 0.9)
  predictor h = rotary_predictor(width: 12, depth: 1, heads: 1)
  loss l1(h(f(video) at context, at: targets), stopgrad(t(video)) at targets)`, "  recompute blocks\n"),
  "queues, neighbors, weights that change, rotary, labels": program(`  input video: Video[4, 8, 8, 1]
  input label: Label[5]
  encoder f = rotary_clip_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.9)
  head c = linear(5)
  z = pool(f(video))
  loss near = (0.1 -> 1) * info_nce(z, stopgrad(pool(t(video))), queue: 5)
  loss named = cosine(1 -> 0.5) * cross_entropy(c(nearest(z, 4)), label)`),
  "frames at masks, in tables and turned, with more than 64 sizes in a kernel": program(`  input video: Video[3, 8, 8, 1]
  mask two = 2 of random(0.5)
  encoder f = turned_frames(13)
  loss mean(square(f(video at two)))`),
};

it.each(Object.entries(programs))("%s", async (_, text) => {
  const { graph } = check({ file: "m.jepa", text });
  expect(graph === undefined ? "no graph" : verify(graph)).toEqual([]);
  expect(await numbersApart(text, 1, true)).toEqual([]);
});
