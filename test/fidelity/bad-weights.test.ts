/**
 * Weights that lie: refused with the reason, through `jepac import`, and nothing is written.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { layoutEntries } from "../../runtime/export/vit-layout.js";
import { writeSafetensors } from "../../runtime/base/safetensors.js";
import type { TensorToWrite } from "../../runtime/base/safetensors.js";
import { jepac } from "../compiler/cli/support.js";
import { small } from "../compiler/cli/support.js";
import { temporaryFolder } from "./runs.js";

vi.setConfig({ testTimeout: 60_000 });

/** Weights that fit the small program of the command line's tests. */
const sizes = { image: 16, patch: 4, channels: 3, width: 16, depth: 1, hidden: 64 };
const good: readonly TensorToWrite[] = layoutEntries(sizes).map(({ key, shape }, k) => ({ name: key, shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + k)) }));
const config = { model_type: "ijepa", hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64, image_size: 16, patch_size: 4, num_channels: 3, layer_norm_eps: 1e-6, hidden_act: "gelu", qkv_bias: true };

/** A file with any header, true or not, before the data. */
function lying(header: object | string, data = new Uint8Array(64), claimed?: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(claimed ?? text.length), true);
  out.set(text, 8);
  out.set(data, 8 + text.length);
  return out;
}

const entry = (shape: readonly number[], offsets: readonly number[], dtype = "F32"): object => ({ dtype, shape, data_offsets: offsets });

let cwd: string;
beforeAll(() => {
  cwd = temporaryFolder();
  writeFileSync(join(cwd, "program.jepa"), small);
});

let serial = 0;
async function importing(files: Readonly<Record<string, Uint8Array | object>>, words: readonly string[] = []): Promise<{ readonly code: number; readonly text: string; readonly wrote: boolean }> {
  serial += 1;
  const folder = join(cwd, `weights${serial}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content instanceof Uint8Array ? content : JSON.stringify(content));
  const ran = await jepac(["import", `weights${serial}`, "--into", "program.jepa", "-o", `run${serial}`, ...words], { cwd });
  return { code: ran.code, text: ran.out + ran.err, wrote: existsSync(join(cwd, `run${serial}`)) };
}

test("weights that are as they say come in", async () => {
  const ran = await importing({ "model.safetensors": writeSafetensors(good, { format: "pt" }), "config.json": config });
  expect(ran.text).toContain("21 tensors taken, 0 missing, 0 that do not fit, 0 ignored");
  expect(ran).toMatchObject({ code: 0, wrote: true });
});

test.each<readonly [string, Uint8Array, RegExp]>([
  ["a header longer than the file", lying({}, new Uint8Array(4), 10_000), /claims 10000 bytes/],
  ["a header of more than any header", lying({}, new Uint8Array(4), 2 ** 40), /the most allowed/],
  ["a tensor that ends after the file", lying({ a: entry([100], [0, 400]) }), /ends at byte 400 of the data, which has 64/],
  ["overlapping tensors", lying({ a: entry([12], [0, 48]), b: entry([8], [32, 64]) }), /overlaps/],
  ["negative offsets", lying({ a: entry([16], [-64, 0]) }), /offsets \[-64,0\]/],
  ["offsets the wrong way round", lying({ a: entry([16], [64, 0]) }), /offsets/],
  ["a type that is none", lying({ a: entry([16], [0, 64], "F33") }), /element type "F33"/],
  ["a billion dimensions' worth", lying({ a: entry([1e9, 1e9], [0, 64]) }), /absurd|takes .* bytes/],
  ["more dimensions than any tensor", lying({ a: entry(Array.from({ length: 100_000 }, () => 1), [0, 4]) }), /100000 dimensions/],
  ["a name twice", lying('{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"a":{"dtype":"F32","shape":[8],"data_offsets":[32,64]}}'), /occurs twice/],
  ["no header at all", new Uint8Array(3), /header length alone takes 8/],
  ["something else entirely", new TextEncoder().encode("#!/bin/sh\necho this is not a tensor file at all, not even nearly\n"), /is not a safetensors file: it begins in another way/],
  ["what PyTorch saves", Uint8Array.of(0x50, 0x4b, 0x03, 0x04, ...new Uint8Array(90).fill(7)), /is not a safetensors file: it is a zip archive, as PyTorch[^]*save_file\(model\.state_dict\(\)/],
  ["weights with names of another library", writeSafetensors([{ name: "blocks.0.norm1.weight", shape: [2], data: Float32Array.of(1, 2) }]), /another layout: it has blocks\.0\.norm1\.weight, and looked for are embeddings\.[^]*\(21 in all\)[^]*IJepaModel/],
])("%s is refused with the reason", async (_what, bytes, reason) => {
  const before = process.memoryUsage().arrayBuffers;
  const ran = await importing({ "model.safetensors": bytes });
  expect(ran.text).toMatch(reason);
  expect(ran.text).toContain("model.safetensors");
  expect(ran).toMatchObject({ code: 2, wrote: false });
  expect(process.memoryUsage().arrayBuffers - before, "bytes allocated").toBeLessThan(64 * 2 ** 20);
});

test.each<readonly [string, object, RegExp]>([
  ["another width than the tensors", { ...config, hidden_size: 32 }, /hidden_size 32, the tensors have 16/],
  ["another depth than the tensors", { ...config, num_hidden_layers: 2 }, /num_hidden_layers 2, the tensors have 1/],
  ["another patch than the tensors", { ...config, patch_size: 8 }, /patch_size 8, the tensors have 4/],
  ["another grid than the tensors", { ...config, image_size: 32 }, /which are 64 positions; the tensors have 16/],
  ["other heads than the program", { ...config, num_attention_heads: 4 }, /num_attention_heads 4, the program's encoder has 2/],
  ["another epsilon than the program", { ...config, layer_norm_eps: 1e-12 }, /layer_norm_eps 1e-12, the program's encoder has 0.000001/],
  ["another activation", { ...config, hidden_act: "relu" }, /hidden_act "relu"/],
  ["another kind of model", { ...config, model_type: "vit" }, /model_type "vit"/],
])("a config.json with %s is refused", async (_what, wrong, reason) => {
  const ran = await importing({ "model.safetensors": writeSafetensors(good), "config.json": wrong });
  expect(ran.text).toMatch(reason);
  expect(ran).toMatchObject({ code: 2, wrote: false });
});

test("a config.json that is no JSON object is refused", async () => {
  for (const wrong of ["[1, 2]", "{", "\u0000"]) {
    const ran = await importing({ "model.safetensors": writeSafetensors(good), "config.json": new TextEncoder().encode(wrong) });
    expect(ran.text).toMatch(/config\.json cannot be trusted: it is not (a )?JSON/);
    expect(ran.code).toBe(2);
  }
});

test("an index may only name files of its own folder, and must be right about them", async () => {
  const shard = writeSafetensors(good);
  const index = (file: unknown, names: readonly string[] = good.map((t) => t.name)): object => ({ weight_map: Object.fromEntries(names.map((n) => [n, file])) });
  writeFileSync(join(cwd, "outside.safetensors"), shard);
  mkdirSync(join(cwd, "elsewhere"), { recursive: true });
  const outside: readonly unknown[] = ["../outside.safetensors", join(cwd, "outside.safetensors"), "elsewhere/x.safetensors", "a\\b.safetensors", "..", "C:x.safetensors", 7, "model.bin", "x\u0000.safetensors"];
  for (const file of outside) {
    const ran = await importing({ "model.safetensors.index.json": index(file), "model-1.safetensors": shard });
    expect(ran.text, String(file)).toMatch(/not a \.safetensors file of its folder|it names the file 7/);
    expect(ran).toMatchObject({ code: 2, wrote: false });
  }
  const folder = join(cwd, "linked");
  mkdirSync(folder);
  symlinkSync(join(cwd, "outside.safetensors"), join(folder, "model-1.safetensors"));
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index("model-1.safetensors")));
  const linked = await jepac(["import", "linked", "--into", "program.jepa", "-o", "runlinked"], { cwd });
  expect(linked.err).toContain("is a link to a file outside of its folder");
  const missing = await importing({ "model.safetensors.index.json": index("gone.safetensors") });
  expect(missing.text).toMatch(/there is no file .*gone\.safetensors/);
  const more = await importing({ "model.safetensors.index.json": index("model-1.safetensors", [...good.map((t) => t.name), "not.there"]), "model-1.safetensors": shard });
  expect(more.text).toContain('holds "not.there", which is not there');
  const fewer = await importing({ "model.safetensors.index.json": index("model-1.safetensors", good.slice(1).map((t) => t.name)), "model-1.safetensors": shard });
  expect(fewer.text).toContain("which it does not name there");
  const right = await importing({ "model.safetensors.index.json": index("model-1.safetensors"), "model-1.safetensors": shard });
  expect(right).toMatchObject({ code: 0, wrote: true });
});

test("what does not fit is said tensor by tensor, and nothing is written", async () => {
  const [positions, ...rest] = good;
  if (positions === undefined) throw new Error("no tensors");
  const other = { ...positions, shape: [1, 64, 16], data: new Float32Array(1024) };
  const layer2 = { name: "encoder.layer.1.layernorm_before.weight", shape: [16], data: new Float32Array(16) };
  const classifier = { name: "classifier.weight", shape: [3, 16], data: new Float32Array(48) };
  const integers = { name: "layernorm.bias", shape: [16], data: new Int32Array(16) };
  const broken = { name: "layernorm.weight", shape: [16], data: new Float32Array(16).fill(Number.NaN) };
  const kept = rest.filter((t) => !["layernorm.bias", "layernorm.weight", "encoder.layer.0.output.dense.bias"].includes(t.name));
  const ran = await importing({ "model.safetensors": writeSafetensors([other, ...kept, layer2, classifier, integers, broken]) });
  expect(ran.text).toMatch(/misfit {3}embeddings\.position_embeddings: it is 1×64×16, the program's encoder needs 1×16×16 \(positions of another grid are not interpolated\)/);
  expect(ran.text).toMatch(/missing {2}encoder\.layer\.0\.output\.dense\.bias: the file has no such tensor; the program needs 16/);
  expect(ran.text).toMatch(/misfit {3}encoder\.layer\.1\.layernorm_before\.weight: a tensor of layer 1; the program's encoder has 1 layers/);
  expect(ran.text).toMatch(/ignored {2}classifier\.weight: a classifier/);
  expect(ran.text).toMatch(/misfit {3}layernorm\.bias: its elements are I32/);
  expect(ran.text).toMatch(/misfit {3}layernorm\.weight: it holds values that are not finite/);
  expect(ran.text).toContain("17 tensors taken, 1 missing, 4 that do not fit, 1 ignored");
  expect(ran).toMatchObject({ code: 2, wrote: false });
});

test("what is whole but not for jepac to read is not called damaged, and each has its own way out", async () => {
  const state = good.map((t) => ({ ...t, name: `student.${t.name}` }));
  const own = writeSafetensors(state, { format: "jepac-checkpoint-1" });
  const [first, ...rest] = good;
  const broken = first === undefined ? [] : [{ ...first, data: new Float32Array(first.data.length).fill(Number.NaN) }];
  for (const [files, said, help] of [
    [{ "model.safetensors": lying({ a: entry([8], [0, 64], "F64") }) }, /"a" has the element type F64, and jepac reads F32, F16, BF16/, /help: convert the weights to float32/],
    [{ "model.safetensors": own }, /is a checkpoint of a run of jepac, and this reads weights in the layout of transformers/, /help: .*`jepac export`/],
    [{ "checkpoint.safetensors": own }, /is the folder of a run of jepac/, /help: .*--resume/],
    [{ "model.safetensors": writeSafetensors([...broken, ...rest]) }, /nothing was written/, /help: get the weights again/],
  ] as const) {
    const ran = await importing(files);
    expect(ran.text).toMatch(said);
    expect(ran.text).toMatch(help);
    expect(ran.text).not.toContain("may be damaged");
    expect(ran.text).not.toContain("ignored  student");
    expect(ran).toMatchObject({ code: 2, wrote: false });
  }
});

test("the names of a model with a classifier are understood", async () => {
  const prefixed = good.map((t) => ({ ...t, name: `ijepa.${t.name}` }));
  const ran = await importing({ "model.safetensors": writeSafetensors([...prefixed, { name: "classifier.bias", shape: [3], data: new Float32Array(3) }]) });
  expect(ran.text).toContain("21 tensors taken, 0 missing, 0 that do not fit, 1 ignored");
  expect(ran).toMatchObject({ code: 0, wrote: true });
});

test("words that name nothing are refused with what there is", async () => {
  for (const [words, reason] of [
    [["import", "nowhere", "--into", "program.jepa"], /there is no .*nowhere/],
    [["import", "program.jepa"], /--into is missing/],
    [["import", "elsewhere", "--into", "program.jepa"], /neither model\.safetensors nor/],
    [["import", "outside.safetensors", "--into", "program.jepa", "--encoder", "studnet"], /no encoder studnet[\s\S]*student, teacher/],
    [["export", "nowhere"], /there is no nowhere/],
    [["export", "elsewhere"], /holds no checkpoint\.safetensors/],
    [["export", "outside.safetensors"], /no compiled program/],
    [["export", "nowhere", "--format", "onx"], /onx|there is no nowhere/],
  ] as const) {
    const ran = await jepac(words, { cwd });
    expect(ran.err, words.join(" ")).toMatch(reason);
    expect(ran.code).toBe(2);
  }
});

test("weights of more than 2 GB come in: tensors are read one by one, and what is not wanted is never read", async () => {
  const folder = join(cwd, "huge");
  mkdirSync(folder);
  const path = join(folder, "model.safetensors");
  // The file is sparse: 3 GB by its length, a few kilobytes on disk.
  const gigabytes = 3 * 2 ** 30;
  const bytes = (t: TensorToWrite): number => t.data.byteLength;
  const head: Record<string, object> = {};
  let at = 0;
  for (const t of good) {
    head[t.name] = entry(t.shape, [at, at + bytes(t)]);
    at += bytes(t);
  }
  head["classifier.weight"] = entry([gigabytes / 4], [at, at + gigabytes]);
  const data = new Uint8Array(at);
  let to = 0;
  for (const t of good) {
    data.set(new Uint8Array(t.data.buffer, t.data.byteOffset, bytes(t)), to);
    to += bytes(t);
  }
  const whole = lying(head, data);
  writeFileSync(path, whole);
  truncateSync(path, whole.length + gigabytes);
  const before = process.memoryUsage().arrayBuffers;
  const ran = await jepac(["import", "huge", "--into", "program.jepa", "-o", "hugerun"], { cwd });
  rmSync(folder, { recursive: true });
  expect(ran.out).toContain("21 tensors taken, 0 missing, 0 that do not fit, 1 ignored");
  expect(ran.code, ran.err).toBe(0);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 27);
});
