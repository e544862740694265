/**
 * Weights out to other people's libraries and back in: the same features, the same bits.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { readSafetensors } from "../../runtime/base/safetensors.js";
import { stream } from "../../runtime/base/random.js";
import { evalSet } from "../../runtime/data/eval-set.js";
import { folderSource } from "../../runtime/data/folder.js";
import { emitOnnx } from "../../compiler/targets/onnx/emit.js";
import { parseModule } from "../../compiler/tensor/parse.js";
import { jepac } from "../compiler/cli/support.js";
import { cifar } from "../runtime/data/helpers.js";
import { pythonWith } from "./python.js";
import type { MadeRun } from "./runs.js";
import { channelsFirst, features, makeRun, temporaryFolder } from "./runs.js";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const side = 48;

/** An I-JEPA whose numbers are all different, so that no two axes can be mistaken for each other. */
export const program = `use std.vit

/// A small I-JEPA to carry to and fro.
model carried {
  param width = 24
  input image: Image[${side}, ${side}, 3]
  mask targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus targets
  encoder student = vit(patch: 8, width, depth: 3, heads: 2, ratio: 3)
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, z_target)
}

train carried {
  data           shapes(count: 64)
  steps          4
  batch          16
  learning_rate  1e-3
}
`;

let run: MadeRun;
/** Pictures to encode, normalized NHWC: noise, and real ones where they are. */
const sets: { name: string; images: Float32Array; count: number }[] = [];
beforeAll(async () => {
  run = await makeRun(program, { spare: (name) => name === "teacher.pos_embed" });
  const draws = stream(3, "pictures");
  sets.push({ name: "noise", images: Float32Array.from({ length: 5 * side * side * 3 }, () => draws.normal()), count: 5 });
  const folder = cifar("test");
  if (folder === undefined) return;
  const { mean, std } = run.manifest.train;
  const { images, count } = await evalSet(await folderSource(folder), { side, mean, std, limit: 24 });
  sets.push({ name: "photographs", images, count });
});

const needs = ["torch", "transformers", "safetensors", "onnx", "onnxruntime"];

/** One answer for each job of encode.py; undefined, said aloud, where the libraries are not. */
function python(jobs: readonly (readonly string[])[]): readonly Record<string, unknown>[] | undefined {
  const found = pythonWith(needs, `weights in transformers and onnxruntime (${jobs[0]?.[0] ?? ""})`);
  if (found === undefined) return undefined;
  const ran = spawnSync(found, [join(import.meta.dirname, "encode.py"), JSON.stringify(jobs)], { encoding: "utf8", env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" } });
  expect(ran.status, ran.stderr).toBe(0);
  const answers: Record<string, unknown>[] = ran.stdout.split("\n").flatMap((line) => (line.startsWith("ANSWER ") ? [JSON.parse(line.slice(7))] : []));
  expect(answers.length).toBe(jobs.length);
  return answers;
}

/** Every set of pictures through a model in Python and through ours: what Python says, and how far apart they are at most. */
async function compare(how: "hf" | "onnx", models: readonly (readonly [encoder: string, path: string])[], of: MadeRun): Promise<readonly { readonly what: string; readonly answer: Record<string, unknown>; readonly apart: number; readonly count: number }[]> {
  const pairs = models.flatMap(([encoder, path]) => sets.map((set) => ({ encoder, path, set, stem: join(temporaryFolder(), set.name) })));
  for (const { set, stem } of pairs) writeFileSync(`${stem}.images`, channelsFirst(set.images, set.count, side));
  const answers = python(pairs.map(({ path, stem }) => [how, path, `${stem}.images`, `${stem}.features`])) ?? [];
  const rows = [];
  for (const [i, answer] of answers.entries()) {
    const { encoder, set, stem } = pairs[i] ?? { encoder: "", set: { images: new Float32Array(), count: 0, name: "" }, stem: "" };
    const apart = furthest(await features(of, encoder, set.images, set.count), floats(`${stem}.features`));
    console.info(`${how}, ${encoder}, ${set.name}: ${apart.toExponential(1)} apart at most`);
    rows.push({ what: `${encoder} ${set.name}`, answer, apart, count: set.count });
  }
  return rows;
}

function floats(path: string): Float32Array {
  return new Float32Array(Uint8Array.from(readFileSync(path)).buffer);
}

function furthest(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? Number.NaN))), 0);
}

async function exportTo(words: readonly string[]): Promise<string> {
  const out = join(temporaryFolder(), "out");
  const ran = await jepac(["export", run.folder, "-o", out, ...words]);
  expect(ran.err).toBe("");
  expect(ran.code).toBe(0);
  return out;
}

test("transformers loads exported encoders without a missing or unexpected key and computes the same features to 1e-4", async () => {
  const models = [["teacher", await exportTo([])], ["teacher", await exportTo(["--max-shard", "20KB"])], ["student", await exportTo(["--encoder", "student"])]] as const;
  for (const { what, answer, apart, count } of await compare("hf", models, run)) {
    expect(answer, what).toMatchObject({ missing_keys: [], unexpected_keys: [], mismatched_keys: [], shape: [count, 36, 24] });
    expect(apart, what).toBeLessThan(1e-4);
  }
});

test("an encoder that is too large for one file goes into shards, which come back bit for bit", async () => {
  const whole = await exportTo([]);
  const out = await exportTo(["--max-shard", "20KB"]);
  const names = readdirSync(out).sort();
  const shards = names.filter((n) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(n));
  expect(shards.length).toBeGreaterThan(3);
  expect(names).toEqual(["config.json", ...shards, "model.safetensors.index.json", "preprocessor_config.json"]);
  const index: { metadata: { total_size: number }; weight_map: Record<string, string> } = JSON.parse(readFileSync(join(out, "model.safetensors.index.json"), "utf8"));
  const one = readSafetensors(readFileSync(join(whole, "model.safetensors")), "whole");
  expect(Object.keys(index.weight_map).sort()).toEqual([...one.tensors.keys()].sort());
  expect(index.metadata.total_size).toBe([...one.tensors.values()].reduce((n, t) => n + t.data.byteLength, 0));
  for (const shard of shards) {
    const read = readSafetensors(readFileSync(join(out, shard)), shard);
    const sizes = [...read.tensors.values()].map((t) => t.data.byteLength);
    if (sizes.length > 1) expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(20_000);
    for (const [name, tensor] of read.tensors) {
      expect(index.weight_map[name]).toBe(shard);
      expect(tensor.data).toEqual(one.tensors.get(name)?.data);
    }
  }
  // The same folder again, in one file: no shard of before is left to be taken for these weights.
  const again = await jepac(["export", run.folder, "-o", out]);
  expect(again.code, again.err).toBe(0);
  expect(readdirSync(out).sort()).toEqual(["config.json", "model.safetensors", "preprocessor_config.json"]);
  expect((await jepac(["export", run.folder, "-o", out, "--max-shard", "much"])).err).toContain("--max-shard takes a size");
});

test("what is exported unless told is the moving average, and the file says so", async () => {
  const [out, other] = [await exportTo([]), await exportTo(["--encoder", "student"])];
  const read = (folder: string): ReturnType<typeof readSafetensors> => readSafetensors(readFileSync(join(folder, "model.safetensors")), "model");
  expect(read(out).metadata).toMatchObject({ format: "pt", "jepac.encoder": "teacher", "jepac.encoder_is": "moving average of student", "jepac.step": "5" });
  expect(read(other).metadata).toMatchObject({ "jepac.encoder": "student", "jepac.encoder_is": "trained by gradient" });
  expect(read(out).tensors.get("layernorm.weight")?.data).toEqual(run.state.get("teacher.norm.weight"));
  expect(read(other).tensors.get("layernorm.weight")?.data).toEqual(run.state.get("student.norm.weight"));
  expect(read(out).tensors.size).toBe(16 * 3 + 5);
  const config: unknown = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
  expect(config).toMatchObject({ model_type: "ijepa", hidden_size: 24, num_hidden_layers: 3, num_attention_heads: 2, intermediate_size: 72, image_size: 48, patch_size: 8, layer_norm_eps: 1e-6, hidden_act: "gelu", qkv_bias: true });
  const processor: unknown = JSON.parse(readFileSync(join(out, "preprocessor_config.json"), "utf8"));
  expect(processor).toMatchObject({ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] });
});

async function importFrom(weights: string, words: readonly string[] = [], text = program): Promise<{ readonly folder: string; readonly code: number; readonly out: string; readonly err: string }> {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "program.jepa"), text);
  const ran = await jepac(["import", weights, "--into", "program.jepa", "-o", "imported", ...words], { cwd });
  return { ...ran, folder: join(cwd, "imported") };
}

test("out, in and out again gives the same bits, positions that are not the sine-cosine table included", async () => {
  for (const encoder of ["student", "teacher"]) {
    const out = await exportTo(["--encoder", encoder]);
    const imported = await importFrom(out);
    expect(imported.code, imported.err).toBe(0);
    const again = join(temporaryFolder(), "again");
    expect((await jepac(["export", imported.folder, "-o", again, "--encoder", "student"])).code).toBe(0);
    const [a, b] = [out, again].map((folder) => readSafetensors(readFileSync(join(folder, "model.safetensors")), folder).tensors);
    expect(b?.size).toBe(53);
    for (const [name, tensor] of a ?? []) expect(new Uint8Array(b?.get(name)?.data.buffer ?? new ArrayBuffer(0)), name).toEqual(new Uint8Array(tensor.data.buffer));
    expect(readFileSync(join(out, "config.json"))).toEqual(readFileSync(join(again, "config.json")));
    expect(imported.out).toContain(encoder === "student" ? "not the sine-cosine table" : "the sine-cosine table");
    expect(imported.out).toContain("imported into student and teacher");
    expect(imported.out).toContain("at their initial values: predict");
  }
});

test("imported weights are trained on like any run's", async () => {
  const imported = await importFrom(await exportTo([]));
  expect(imported.code, imported.err).toBe(0);
  const cwd = join(imported.folder, "..");
  const trained = await jepac(["train", "program.jepa", `--out=${imported.folder}`, "--resume", "--engine", "wasm", "--batch", "8", "--steps", "2", "--no-probe", "--no-report", "--quiet", "--workers", "0"], { cwd });
  expect(trained.code, trained.err).toBe(0);
  const after = readSafetensors(readFileSync(join(imported.folder, "checkpoint.safetensors")), "checkpoint");
  expect(after.metadata["step"]).toBe("2");
  const moved = after.tensors.get("student.norm.weight")?.data;
  const before = run.state.get("teacher.norm.weight");
  expect(moved instanceof Float32Array && before !== undefined && furthest(moved, before)).toBeGreaterThan(0);
  expect(moved instanceof Float32Array && before !== undefined && furthest(moved, before)).toBeLessThan(0.01);
});

test("folders that transformers wrote come in: whole, in shards, and in half precision", async () => {
  const out = await exportTo(["--encoder", "student"]);
  const exact = readSafetensors(readFileSync(join(out, "model.safetensors")), "exact").tensors;
  const forms = [["float32", "5GB", 0], ["float32", "20KB", 0], ["float16", "10KB", 2 ** -11], ["bfloat16", "5GB", 2 ** -8]] as const;
  const folders = forms.map(() => join(temporaryFolder(), "theirs"));
  if (python(forms.map(([dtype, shards], i) => ["rewrite", out, folders[i] ?? "", dtype, shards])) === undefined) return;
  for (const [i, [dtype, shards, error]] of forms.entries()) {
    const folder = folders[i] ?? "";
    expect(existsSync(join(folder, "model.safetensors.index.json")), `${dtype} ${shards}`).toBe(shards !== "5GB");
    const imported = await importFrom(folder);
    expect(imported.code, imported.err).toBe(0);
    if (dtype !== "float32") expect(imported.out).toContain("widened to float32");
    const again = join(temporaryFolder(), "again");
    expect((await jepac(["export", imported.folder, "-o", again, "--encoder", "teacher"])).code).toBe(0);
    for (const [name, tensor] of readSafetensors(readFileSync(join(again, "model.safetensors")), "again").tensors) {
      const want = exact.get(name)?.data;
      if (!(want instanceof Float32Array) || !(tensor.data instanceof Float32Array)) throw new Error(name);
      const worst = want.reduce((most, x, i) => Math.max(most, Math.abs(x - Number(tensor.data[i])) / Math.max(Math.abs(x), 1e-4)), 0);
      expect(worst, `${dtype} ${shards} ${name}`).toBeLessThanOrEqual(error);
    }
  }
});

test("onnxruntime computes the same features to 1e-4 with any batch, from one file or two", async () => {
  const models: [string, string][] = [];
  for (const encoder of ["teacher", "student"]) models.push([encoder, join(await exportTo(["--format", "onnx", "--encoder", encoder]), `${encoder}.onnx`)]);
  const apartFile = join(temporaryFolder(), "large.onnx");
  const text = readFileSync(join(run.folder, "compiled", "encoders.txt"), "utf8");
  const large = emitOnnx({ module: parseModule(text), encoder: "teacher", values: run.state, program: "carried", compiler: "0", metadata: { encoder: "teacher", program: "carried", step: "5" }, mostBytes: 1000 }, "large.onnx");
  if (large.kind === "refused") throw new Error(large.problems.join());
  expect(large.model.length).toBeLessThan(60_000);
  expect(large.data.length).toBeGreaterThan(80_000);
  writeFileSync(apartFile, large.model);
  writeFileSync(`${apartFile}.data`, large.data);
  models.push(["teacher", apartFile]);
  for (const { what, answer, apart, count } of await compare("onnx", models, run)) {
    expect(answer, what).toMatchObject({
      input: ["pixel_values", ["batch", 3, side, side]], output: ["last_hidden_state", ["batch", 36, 24]], opset: { "": 17 }, shape: [count, 36, 24],
      metadata: { encoder: what.split(" ")[0], program: "carried", step: "5" },
    });
    expect(answer["ops"]).toEqual(expect.arrayContaining(["LayerNormalization", "Erf", "MatMul", "Softmax"]));
    expect(Number(answer["single"])).toBeLessThan(1e-5);
    expect(apart, what).toBeLessThan(1e-4);
  }
});

test("an encoder that is not the library's vit goes to ONNX, and to no class that would compute something else", async () => {
  const own = program.replace("use std.vit", `use std.vit

module mlp(hidden, out = in, init_std = 0.02) (x: Features[in]) -> Features[out] {
  part fc1 = linear(hidden)
  part fc2 = linear(out)
  fc2(relu(fc1(x)))
}`);
  const other = await makeRun(own);
  const refused = await jepac(["export", other.folder, "-o", join(other.folder, "hf")]);
  expect(refused.code).toBe(2);
  expect(refused.err).toMatch(/does not compute what the library's `vit` computes[\s\S]*--format onnx/);
  const out = join(temporaryFolder(), "own.onnx");
  const written = await jepac(["export", other.folder, "--format", "onnx", "-o", out]);
  expect(written.code, written.err).toBe(0);
  for (const { answer, apart } of await compare("onnx", [["teacher", out]], other)) {
    expect(answer["ops"]).not.toContain("Erf");
    expect(apart).toBeLessThan(1e-4);
  }
});
