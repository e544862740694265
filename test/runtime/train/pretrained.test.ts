/**
 * Programs that begin with weights of files: encoders of a run, of its checkpoint, of an export, by the runs that made them; what is
 * trained on from there, what follows it, what resumes; and files that are not there or do not fit, told before anything is trained.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import type { Manifest } from "../../../runtime/abi.js";
import { HostError } from "../../../runtime/base/errors.js";
import { readSafetensors, writeSafetensors } from "../../../runtime/base/safetensors.js";
import { decodeCheckpoint } from "../../../runtime/train/checkpoint.js";
import { loadCompiled } from "../../../runtime/train/compiled.js";
import { createEngine } from "../../../runtime/train/engines.js";
import { initialState } from "../../../runtime/train/init.js";
import { train } from "../../../runtime/train/main.js";
import { readPretrained } from "../../../runtime/train/pretrained.js";
import { jepac, temporary } from "../../compiler/cli/support.js";
import { relative } from "../../compiler/targets/wgsl/oracle.js";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const vit = "vit(4, width: 8, depth: 2, heads: 2)";
const frame = (name: string, lines: string): string => `use std.vit
use std.heads
model ${name} {
  input image: Image[8, 8, 3]
  view a, b = augment(image) { flip(p: 0.5) }
${lines}
}
train ${name} {
  data shapes(count: 8)
  batch 4
  steps 2
  learning_rate 1e-2
  checkpoint_every 1 steps
}
`;
/** The one that makes weights: in its teacher and in a head. */
const maker = frame("maker", `  encoder student = ${vit}
  encoder teacher = ema(student, momentum: 0.5)
  head code = mlp_bn(8)
  loss mse(code(student(a)), stopgrad(teacher(b)))`);
/** Distillation: a student of another depth predicts the pretrained teacher. */
const pupil = (made: string, more = "  encoder f = vit(4, width: 8, depth: 1, heads: 2)"): string => frame("pupil", `  encoder g = ${made}
${more}
  predictor h = mlp(8)
  loss mse(h(f(a)), stopgrad(g(b)))`);

const folder = temporary({ "package.json": "{}", "maker.jepa": maker });
const at = (...names: readonly string[]): string => join(folder, ...names);

/** Compiles a program into the folder of a run, and trains it. */
async function made(run: string, text: string, options: { readonly target?: "wgsl"; readonly resume?: "previous"; readonly pretrained?: Record<string, string>; readonly between?: () => void } = {}): Promise<string[]> {
  const { target, between, ...given } = options;
  if (given.resume === undefined) {
    writeFileSync(at(`${run}.jepa`), text);
    const compiled = await jepac(["compile", `${run}.jepa`, "-o", `${run}/compiled`, ...(target === undefined ? [] : ["--target", target])], { cwd: folder });
    if (compiled.code !== 0) throw new Error(compiled.err + compiled.out);
  }
  between?.();
  const said: string[] = [];
  const terminal = { write: (text: string) => { said.push(text); return true; } };
  await train({ ...await loadCompiled(at(run, "compiled")), folder: at(run, "compiled"), options: { out: at(run), engine: target === undefined ? "wasm" : "webgpu", workers: 0, probe: false, report: false, ...given }, host: { terminal } });
  return said;
}

const checkpointOf = (run: string): ReturnType<typeof decodeCheckpoint> => decodeCheckpoint(readFileSync(at(run, "checkpoint.safetensors")), run);
const pictures = Float32Array.from({ length: 3 * 8 * 8 * 3 }, (_, i) => Math.sin(i * 1.7));

/** Features of an encoder of a run, by the program and the parameters of that run. */
async function features(run: string, encoder: string): Promise<Float32Array> {
  const { manifest, module } = await loadCompiled(at(run, "compiled"));
  const { engine } = await createEngine(manifest, module, manifest.target === "wgsl" ? "webgpu" : "wasm");
  try {
    await engine.importState(checkpointOf(run).state);
    return await engine.encode(encoder, pictures, 3);
  } finally {
    engine.dispose();
  }
}

/** The manifest of a program that is only compiled. */
async function manifestOf(text: string, name = "pupil"): Promise<Manifest> {
  writeFileSync(at(`${name}-only.jepa`), text);
  const compiled = await jepac(["compile", `${name}-only.jepa`, "-o", `${name}-only`], { cwd: folder });
  if (compiled.code !== 0) throw new Error(compiled.err + compiled.out);
  return (await loadCompiled(at(`${name}-only`))).manifest;
}

async function refusal(text: string, given?: Record<string, string>): Promise<{ readonly code: string; readonly message: string; readonly help: string }> {
  const error = await readPretrained(await manifestOf(text), { given }).then(() => undefined, (e: unknown) => e);
  if (!(error instanceof HostError)) throw new Error(`not refused: ${String(error)}`);
  return { code: error.code, message: error.message, help: error.help };
}

beforeAll(async () => {
  await made("maker", maker);
  const exported = await jepac(["export", "maker", "-o", "weights", "--encoder", "teacher"], { cwd: folder });
  if (exported.code !== 0) throw new Error(exported.err);
});

const ways: readonly (readonly [what: string, words: () => string])[] = [
  ["the folder of a run", () => `from: "${at("maker")}", name: "teacher"`],
  ["a checkpoint of a run", () => `from: "${at("maker/checkpoint.safetensors")}", name: "teacher"`],
  ["a folder in the layout of transformers", () => `from: "${at("weights")}"`],
  ["a file in that layout", () => `"${at("weights/model.safetensors")}"`],
];

test.each(ways)("a target from %s has the features of the run that made it, before and after training", async (what, words) => {
  const run = `pupil-${ways.findIndex(([own]) => own === what)}`;
  const said = await made(run, pupil(`pretrained(${vit}, ${words()})`));
  expect(said.join("")).toMatch(/g begins with .*\((?:28|29) tensors\)/);
  const [own, wanted] = [await features(run, "g"), await features("maker", "teacher")];
  expect(relative(own, wanted)).toBeLessThan(1e-6);
  expect(relative(own, await features(run, "f"))).toBeGreaterThan(0.1);
  // Of two steps: an encoder that is trained has moved, this one is what it was to the bit.
  const { state } = checkpointOf(run);
  expect(state.get("g.blocks.1.mlp.fc1.weight")).toEqual(checkpointOf("maker").state.get("teacher.blocks.1.mlp.fc1.weight"));
});

test("so on a device", async () => {
  try {
    await made("device", pupil(`pretrained(${vit}, from: "${at("maker")}", name: "teacher")`), { target: "wgsl" });
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== "no-engine") throw error;
    console.warn(`NOT TESTED: pretrained weights on a device: ${error.message}`);
    return;
  }
  expect(relative(await features("device", "g"), await features("maker", "teacher"))).toBeLessThan(1e-5);
  expect(checkpointOf("device").state.get("g.norm.weight")).toEqual(checkpointOf("maker").state.get("teacher.norm.weight"));
});

test("tune: true trains on from the weights, and what follows starts as their copy; a head has its running statistics", async () => {
  const text = frame("tuned", `  encoder f = pretrained(${vit}, from: "${at("maker")}", name: "teacher", tune: true)
  encoder t = ema(f, momentum: 1)
  head code = pretrained(mlp_bn(8), from: "${at("maker")}")
  predictor h = mlp(8)
  loss mse(h(f(a)), stopgrad(code(t(b))))`);
  await made("tuned", text);
  const [{ state }, { state: from }] = [checkpointOf("tuned"), checkpointOf("maker")];
  const name = "blocks.0.attn.qkv.weight";
  expect(state.get(`t.${name}`)).toEqual(from.get(`teacher.${name}`));
  const moved = relative(state.get(`f.${name}`) ?? [], from.get(`teacher.${name}`) ?? []);
  expect(moved).toBeGreaterThan(1e-3);
  expect(moved).toBeLessThan(0.9);
  expect(from.get("code.bn1.mean")?.some((x) => Math.abs(x) > 1e-5)).toBe(true);
  const start = initialState(await manifestOf(text, "tuned"), 0, await readPretrained(await manifestOf(text, "tuned")));
  expect(start.get("code.bn1.mean")).toEqual(from.get("code.bn1.mean"));
  expect([...start.keys()].filter((key) => key.startsWith("optimizer."))).toEqual([]);
});

test("a run that goes on takes its checkpoint and needs no file; one that is moved says where the weights are", async () => {
  const text = pupil(`pretrained(${vit}, from: "elsewhere.safetensors", name: "teacher")`);
  // Beside the compiled program.
  await made("moved", text, { between: () => { writeFileSync(at("moved/compiled/elsewhere.safetensors"), readFileSync(at("maker/checkpoint.safetensors"))); } });
  rmSync(at("moved/compiled/elsewhere.safetensors"));
  const whole = checkpointOf("moved");
  await made("moved", text, { resume: "previous" });
  expect(checkpointOf("moved").state).toEqual(whole.state);
  await expect(made("other", text)).rejects.toMatchObject({ code: "not-found", message: expect.stringContaining("no elsewhere.safetensors with the weights of g"), help: "say where they are with --pretrained g=<file or folder>" });
  await made("given", text, { pretrained: { g: at("maker") } });
  expect(checkpointOf("given").state).toEqual(whole.state);
  // One that was stopped before its first checkpoint begins again, with the place that it was given.
  for (const file of ["checkpoint.safetensors", "checkpoint.previous.safetensors"]) rmSync(at("given", file));
  expect((await made("given", text, { resume: "previous" })).join("")).toContain("it begins again");
  expect(checkpointOf("given").state).toEqual(whole.state);
});

test("files that do not fit are refused with the names of tensors, before a run begins", async () => {
  const from = `from: "${at("maker")}"`;
  const deep = await refusal(pupil(`pretrained(vit(4, width: 8, depth: 1, heads: 2), ${from}, name: "teacher")`));
  expect(deep.code).toBe("mismatch");
  expect(deep.message).toContain("it has teacher.blocks.1.attn.proj.bias besides");
  expect((await refusal(pupil(`pretrained(vit(4, width: 8, depth: 3, heads: 2), ${from}, name: "teacher")`))).message).toContain("it has no teacher.blocks.2.norm1.weight (8)");
  const wide = await refusal(pupil(`pretrained(vit(4, width: 12, depth: 2, heads: 2), ${from}, name: "teacher")`, "  encoder f = vit(4, width: 8, depth: 1, heads: 2)").replace("mlp(8)", "mlp(8, 12)"));
  expect(wide.message).toContain("teacher.patch_embed.proj.bias is 8 there and 12 here");
  expect(wide.help).toContain("--pretrained g=");
  expect((await refusal(pupil(`pretrained(vit(4, width: 12, depth: 2, heads: 2), from: "${at("weights")}")`).replace("mlp(8)", "mlp(8, 12)"))).message).toMatch(/config\.json says hidden_size 8/);
  const nobody = await refusal(pupil(`pretrained(${vit}, ${from})`));
  expect([nobody.message, nobody.help]).toEqual([expect.stringContaining("has no module g; it has student, teacher, code"), expect.stringContaining('name: "student"')]);
  // Heads show in no parameter: the run that lies there says what its encoder computes.
  expect((await refusal(pupil(`pretrained(vit(4, width: 8, depth: 2, heads: 4), ${from}, name: "teacher")`))).message).toContain("computes something else of them");
  const [asked, unknown] = [await refusal(pupil(`pretrained(${vit}, from: "nowhere")`)), await refusal(pupil(`pretrained(${vit}, ${from}, name: "teacher")`), { f: "x" })];
  expect(asked.code).toBe("not-found");
  expect([unknown.code, unknown.help]).toEqual(["usage", "its pretrained modules are g"]);
  expect((await refusal(pupil(`pretrained(${vit}, from: "${at("weights")}", name: "teacher")`))).message).toContain("is no checkpoint of a run");
  expect((await refusal(frame("pupil", `  encoder f = ${vit}
  head g = pretrained(mlp(8), from: "${at("weights")}")
  predictor h = mlp(8)
  loss mse(h(f(a)), stopgrad(g(f(b))))`))).message).toContain("is not the library's `vit`");
});

test("a damaged file and numbers that are none are refused", async () => {
  const bytes = readFileSync(at("maker/checkpoint.safetensors"));
  writeFileSync(at("cut.safetensors"), bytes.subarray(0, bytes.length - 100));
  const program = (file: string): string => pupil(`pretrained(${vit}, from: "${at(file)}", name: "teacher")`);
  expect((await refusal(program("cut.safetensors"))).code).toMatch(/truncated-file|bad-file/);
  const { tensors, metadata } = readSafetensors(bytes);
  const bad = [...tensors.values()].map((t) => (t.name === "teacher.norm.bias" ? { ...t, data: Float32Array.from({ length: 8 }, (_, i) => (i === 3 ? NaN : 0)) } : t));
  writeFileSync(at("nan.safetensors"), writeSafetensors(bad, metadata));
  expect((await refusal(program("nan.safetensors"))).message).toContain("teacher.norm.bias holds values that are not finite");
});

test("an import into one encoder keeps what another begins with", async () => {
  const text = frame("both", `  encoder f = vit(4, width: 8, depth: 2, heads: 2)
  encoder g = pretrained(${vit}, from: "${at("maker")}", name: "student")
  predictor h = mlp(8)
  loss mse(h(f(a)), stopgrad(g(b)))`);
  writeFileSync(at("both.jepa"), text);
  const ran = await jepac(["import", "weights", "--into", "both.jepa", "--encoder", "f", "-o", "both"], { cwd: folder });
  expect(ran.code, ran.err).toBe(0);
  const [{ state }, { state: from }] = [checkpointOf("both"), checkpointOf("maker")];
  for (const [here, there] of [["f", "teacher"], ["g", "student"]]) expect(state.get(`${here}.blocks.0.mlp.fc2.weight`)).toEqual(from.get(`${there}.blocks.0.mlp.fc2.weight`));
});

test("tables of clips have other names where a program has several grids, and turns of a grid that is not used here stay there", async () => {
  const clips = (name: string, lines: string): string => frame(name, lines).replace("input image: Image[8, 8, 3]", "input clip: Video[4, 8, 8, 3]").replace(/ {2}view a.*\n/, "");
  await made("film", clips("film", `  allow leak("only the weights count here")
  allow collapse("only the weights count here")
  encoder f = video_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.5)
  encoder turned = rotary_clip_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2)
  predictor p = mlp(12)
  predictor q = mlp(12)
  mask seen = random(0.5)
  loss mse(p(f(clip at seen)), stopgrad(t(clip)) at seen)
  loss mse(q(turned(clip at seen)), stopgrad(t(clip)) at seen)`));
  const lines = await made("critic", clips("critic", `  allow leak("only the weights count here")
  allow collapse("only the weights count here")
  encoder first = video_vit(patch: 4, frames: 1, width: 12, depth: 1, heads: 2)
  encoder h = ema(first, momentum: 0.5)
  encoder g = pretrained(video_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2), from: "${at("film")}", name: "t")
  encoder r = pretrained(rotary_clip_vit(patch: 4, frames: 2, width: 12, depth: 1, heads: 2), from: "${at("film")}", name: "turned")
  predictor p = mlp(12)
  predictor q = mlp(12)
  loss mse(p(pool(first(clip))), stopgrad(pool(g(clip))))
  loss mse(q(pool(first(clip))), stopgrad(pool(r(clip))))`));
  expect(lines.join("")).toMatch(/g begins with t of /);
  const [theirs, ours] = [checkpointOf("film").state, checkpointOf("critic").state];
  expect([...ours.keys()].filter((name) => /^g\.pos_embed|^r\..*rotary/.test(name))).toEqual(["g.pos_embed_2x2x2_3d", "r.blocks.0.attn.rotary_2x2x2"]);
  expect(ours.get("g.pos_embed_2x2x2_3d")).toEqual(theirs.get("t.pos_embed"));
  expect(ours.get("g.blocks.0.attn.qkv.weight")).toEqual(theirs.get("t.blocks.0.attn.qkv.weight"));
  expect(ours.get("r.embed.weight")).toEqual(theirs.get("turned.embed.weight"));
});
