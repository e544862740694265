/**
 * Programs with time: masked clips, world models of frames with actions, labels, statistics over time. Their gradient in float64
 * against finite differences; passes, wasm and WebGPU against float64, two steps each; and encoders of clips run alone.
 */
import { afterAll, describe, expect, it, vi } from "vitest";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { funcOf, typeOf } from "../../../compiler/tensor/ir.js";
import { evaluate as evaluateDim } from "../../../compiler/types/dim.js";
import { loadTf } from "../../../runtime/backends/tfjs/engine.js";
import { createTfjsEngine } from "../../../runtime/backends/tfjs/run.js";
import { stream } from "../../../runtime/base/random.js";
import { initialState } from "../../../runtime/train/init.js";
import { compileRepo, importModule } from "../../fidelity/compiled.js";
import { numbersApart } from "../../fuzz/compare.js";
import { relative } from "../targets/wgsl/oracle.js";
import { engineFor, moduleOf } from "../targets/wgsl/programs.js";
import { argumentsOf, compileText, lossOf, numbers, oracle, unstacked } from "./harness.js";

vi.setConfig({ testTimeout: 240_000 });

/** With AdamW's usual eps a gradient that is nought in exact arithmetic makes steps of full size out of rounding. */
const recipe = (more = ""): string => `train m {\n  data shapes(count: 64)\n  steps 8\n  batch 2\n  optimizer adamw(eps: 1e-2)\n${more}}\n`;
const program = (body: string, more = "", modules = ""): string => `use std.vit\nuse std.heads\n${modules}\nmodel m {\n  allow collapse("only the numbers count here")\n  allow leak("only the numbers count here")\n${body}\n}\n${recipe(more)}`;

const frames = `module frames(width) (clip) -> Tokens[width] {
  part embed = linear(width)
  part mix = block(2)
  mix(embed(patches(clip, [8, 2])) + sincos2d(width))
}`;

const programs: Readonly<Record<string, string>> = {
  "V-JEPA: tubes, blocks predicted together and all else seen": program(`  input video: Video[4, 12, 12, 1]
  mask blocks = 2 of block(scale: 0.15..0.3, aspect: 0.75..1.5, min_keep: 0, sampler: corrected, trim: tail)
  mask context = all minus blocks
  mask targets = all minus context
  encoder f = video_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor h = vit_predictor(width: 10, depth: 1, heads: 2)
  loss l1(h(f(video at context), at: targets), stopgrad(normalize(t(video))) at targets)`),
  "tubes of two sides, several blocks at once, predicted by a decoder of tokens that were put in": program(`  input video: Video[4, 4, 16, 1]
  mask hidden = random(0.5)
  encoder f = video_vit(patch: [2, 8], frames: 2, width: 12, depth: 1, heads: 2)
  head token = mask_tokens()
  head trunk = vit_trunk(depth: 2, heads: 2, top: 1)
  z, unused = trunk(token(f(video), at: hidden))
  loss mse(decode(z) at hidden, tubes(video, [2, 8], 2) at hidden) in pixels`),
  "a signal of one row: stretches of it, predicted from the rest": program(`  input signal: Image[1, 48, 3]
  param stretch = [1, 4]
  mask targets = 2 of block(scale: 0.15..0.3, min_keep: 0)
  mask context = all minus targets
  encoder f = vit(patch: stretch, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor h = vit_predictor(width: 8, depth: 1, heads: 2)
  head paint = decode()
  loss l1(h(f(signal at context), at: targets), stopgrad(normalize(t(signal))) at targets)
  loss mse(paint(f(signal)), patches(signal))`),
  "a world model of frames with actions": program(`  input video: Video[3, 8, 8, 3]
  input action: Action[3, 2]
  encoder f = vit(patch: 4, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.9)
  predictor dynamics = mlp(12, out: 8)
  head inverse = mlp(12, out: 2)
  z = pool(f(video))
  loss mse(dynamics(join(earlier(z), earlier(action))), later(pool(t(video)))) + variance(z) + covariance(z)
  loss mse(inverse(join(earlier(z), later(z))), earlier(action))`),
  "variance over time, contrast between moments, batch normalization of frames": program(`  input video: Video[4, 8, 8, 1]
  encoder f = vit(patch: 4, width: 8, depth: 1, heads: 2)
  head p = projector(12, 8)
  z = p(pool(f(video)))
  loss mse(earlier(z, by: 2), later(z, by: 2)) + variance(z, over: time) + 0.5 * covariance(z, over: time)
  loss info_nce(earlier(z), later(z), negatives: images) + sum(square(mean(z, over: time) - mean(softmax(z, over: time), over: time)), over: all) / 100`, "", ""),
  "labels, and one action for each clip": program(`  input video: Video[2, 8, 8, 3]
  input label: Label[5]
  input action: Action[3]
  encoder f = video_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2)
  head classify = linear(5)
  head guess = mlp(8, out: 3)
  z = pool(f(video))
  loss cross_entropy(classify(z), label) + mse(guess(z), action)`, "  accumulate 2\n"),
  "masks of every frame, views of clips, tokens put in and looked up": program(`  input video: Video[3, 8, 8, 3]
  view a, b = augment(video) { flip(p: 0.5) }
  mask seen = random(0.5)
  mask two = 2 of random(0.5)
  encoder f = frames(8)
  encoder t = ema(f, momentum: 0.9)
  head token = mask_tokens()
  head more = block(2)
  z = f(a at two)
  loss variance(pool(z)) + mean(square(more(token(f(b), at: seen)) - 0.1 * f(a)))
  loss l1(pool(f(video at seen)), stopgrad(pool(t(b) at seen)))`, "", frames),
};

describe.each(Object.entries(programs))("%s", (_, text) => {
  it("has the gradient of finite differences", () => {
    const { lowered, manifest } = compileText("clips.jepa", text);
    const given = argumentsOf(lowered, manifest, 2, 3);
    const { grads } = oracle(lowered, given);
    expect(grads.size).toBeGreaterThan(3);
    const next = numbers(5);
    // All parameters of a module move at once.
    for (const module of new Set([...grads.keys()].map((path) => path.split(".")[0]))) {
      const direction = new Map([...grads].flatMap(([path, { data }]) => (path.split(".")[0] === module ? [[path, Float64Array.from(data, () => next())] as const] : [])));
      const moved = (h: number): number => lossOf(lowered, given, given.args.map((x, i) => ({ shape: x.shape, data: x.data.map((v, j) => v + h * (direction.get(given.func.inputs[i]?.path ?? "")?.[j] ?? 0)) })));
      const h = 1e-6;
      const numeric = (moved(h) - moved(-h)) / (2 * h);
      const exact = [...direction].reduce((sum, [path, d]) => d.reduce((s, x, j) => s + x * (grads.get(path)?.data[j] ?? NaN), sum), 0);
      expect(Math.abs(numeric), module).toBeGreaterThan(1e-3);
      expect(Math.abs(numeric - exact), module).toBeLessThan(1e-7 + 1e-5 * Math.abs(numeric));
    }
  });

  it("is what float64 says on wasm and on WebGPU, for two steps", async () => {
    expect(await numbersApart(text, 1, true)).toEqual([]);
  });
});

/** What encoders give, in float64, by the function that runs one alone. */
function alone(text: string, encoder: string, state: ReadonlyMap<string, Float32Array>, clips: Float32Array, n: number): Float64Array {
  const { lowered } = compileText("clips.jepa", text);
  const name = lowered.encoders.find((e) => e.name === encoder)?.func ?? "";
  const env = new Map([["B", n]]);
  const func = funcOf(lowered.module, name);
  const stacks = new Map(lowered.params.map((p) => [p.path, p.stack]));
  const args = func.inputs.map((input) => {
    const { shape, stack } = typeOf(func, input.value);
    const sizes = [...stack, ...shape.map((d) => evaluateDim(d, env) ?? NaN)];
    const names = unstacked(input.path, { shape: sizes, data: new Float64Array(sizes.reduce((a, b) => a * b, 1)) }, stacks.get(input.path) ?? []).map(([own]) => own);
    return { shape: sizes, data: Float64Array.from(input.role === "data" ? clips : names.flatMap((own) => [...state.get(own) ?? []])) };
  });
  return Float64Array.from(evaluate(lowered.module, name, args, env)[0]?.data ?? []);
}

describe("an encoder of clips alone", () => {
  const cases = [
    ["of tubes", programs["V-JEPA: tubes, blocks predicted together and all else seen"] ?? "", "t", { width: 12, tokens: 18, grid: { rows: 3, cols: 3, patch: 4, frames: 2 } }],
    ["of frames", programs["a world model of frames with actions"] ?? "", "f", { width: 8, tokens: 12, grid: { rows: 2, cols: 2, patch: 4, frames: 3 } }],
    ["of frames that pools each", program("  input video: Video[3, 8, 8, 3]\n  encoder f = net(8)\n  z = f(video)\n  loss variance(z) + mse(earlier(z), later(z))", "", "module net(width) (clip) {\n  part embed = linear(width)\n  pool(gelu(embed(patches(clip, 4))))\n}"), "f", { width: 8, tokens: 3, grid: undefined }],
  ] as const;
  const open: (() => void)[] = [];
  afterAll(() => open.forEach((close) => close()));

  it.each(cases)("%s gives tokens in the order frame, row, column, on every engine", async (_, text, encoder, info) => {
    const ready = compileRepo("examples/clips.jepa", { text });
    const { manifest } = ready;
    expect(manifest.encoders.find((e) => e.name === encoder)).toMatchObject(info);
    const { frames: length = 1, height, width, channels } = manifest.inputs[0] ?? { height: 0, width: 0, channels: 0 };
    const next = stream(9, "clips");
    const clips = Float32Array.from({ length: 3 * length * height * width * channels }, () => 2 * next.uniform() - 1);
    const initial = initialState(manifest, 4);
    const wanted = alone(text, encoder, initial, clips, 3);
    expect(wanted.length).toBe(3 * info.tokens * info.width);
    const wgsl = compileRepo("examples/clips.jepa", { text, target: "wgsl" });
    const engines = [await createTfjsEngine(manifest, await importModule(ready), { ...await loadTf("wasm"), initial }), await engineFor({ ...wgsl, module: moduleOf(wgsl) }, 4)];
    for (const engine of engines) {
      if (engine === undefined) continue;
      open.push(() => engine.dispose());
      expect(relative(await engine.encode(encoder, clips, 3), wanted), engine.name).toBeLessThan(1e-4);
      await expect(engine.encode(encoder, clips.subarray(1), 3)).rejects.toThrow(/takes clips of \d frames/);
    }
  });
});

describe("tubes", () => {
  it("hold frame, row, column and channel, slowest first, as a three-dimensional convolution weighs them", () => {
    // One linear layer on the numbers of a tube is a convolution whose weight [out, channels, frames, rows, columns] is read so.
    const { lowered } = compileText("tubes.jepa", program("  input video: Video[4, 4, 6, 3]\n  head h = linear(1)\n  loss mean(h(tubes(video, 2, 2)))"));
    const given = argumentsOf(lowered, compileText("tubes.jepa", program("  input video: Video[4, 4, 6, 3]\n  head h = linear(1)\n  loss mean(h(tubes(video, 2, 2)))")).manifest, 1, 2);
    const video = given.args[given.func.inputs.findIndex((i) => i.path === "video")]?.data ?? [];
    const { grads } = oracle(lowered, given);
    // The gradient of the mean by a weight is the mean over all tubes of the number that it weighs.
    const wanted: number[] = [];
    for (let f = 0; f < 2; f++) for (let r = 0; r < 2; r++) for (let c = 0; c < 2; c++) for (let channel = 0; channel < 3; channel++) {
      let sum = 0;
      for (let t = 0; t < 2; t++) for (let y = 0; y < 2; y++) for (let x = 0; x < 3; x++) sum += video[(((2 * t + f) * 4 + 2 * y + r) * 6 + 2 * x + c) * 3 + channel] ?? NaN;
      wanted.push(sum / 12);
    }
    expect(relative(grads.get("h.weight")?.data ?? [], wanted)).toBeLessThan(1e-12);
  });

  it("lie in the order frame, row, column", () => {
    const { lowered, manifest } = compileText("tubes.jepa", program("  input video: Video[4, 4, 6, 1]\n  mask where = random(0.5)\n  head h = linear(1)\n  loss mean(h(tubes(video, 2, 2) at where))"));
    const given = argumentsOf(lowered, manifest, 1, 2);
    const index = given.args[given.func.inputs.findIndex((i) => i.role === "index")]?.data ?? [];
    const video = given.args[given.func.inputs.findIndex((i) => i.path === "video")]?.data ?? [];
    const { grads } = oracle(lowered, given);
    let sum = 0;
    for (const at of index) sum += video[((2 * Math.floor(at / 6)) * 4 + 2 * (Math.floor(at / 3) % 2)) * 6 + 2 * (at % 3)] ?? NaN;
    expect(index.length).toBe(6);
    expect(grads.get("h.weight")?.data[0]).toBeCloseTo(sum / 6, 12);
  });
});
