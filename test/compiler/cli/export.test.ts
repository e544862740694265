/** `jepac export` and `import`: whatever a program calls its input and its encoders, and places that cannot be written to. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensors } from "../../../runtime/base/safetensors.js";
import { makeRun } from "../../fidelity/runs.js";
import { jepac, small, temporary } from "./support.js";

const run = makeRun(small);

const renamed: readonly (readonly [string, string])[] = [
  ["an input called photo", small.replace("input image:", "input photo:").replaceAll("(image", "(photo")],
  ["an encoder called image", small.replace("input image:", "input photo:").replaceAll("(image", "(photo").replaceAll("teacher", "image")],
  ["an encoder called guess", small.replaceAll("teacher", "guess")],
];

test.each(renamed)("%s: out to transformers and back in", { timeout: 60_000 }, async (_, text) => {
  const { folder } = await makeRun(text);
  const cwd = temporary({ "tiny.jepa": text });
  const out = await jepac(["export", folder, "-o", "hf"], { cwd });
  expect(out.code, out.err).toBe(0);
  const back = await jepac(["import", "hf", "--into", "tiny.jepa", "-o", "run"], { cwd });
  expect(back.code, back.err).toBe(0);
  const again = await jepac(["export", "run", "-o", "hf2"], { cwd });
  expect(again.code, again.err).toBe(0);
  const words = (name: string): unknown => JSON.parse(readFileSync(join(cwd, name, "config.json"), "utf8"));
  expect(words("hf2")).toEqual(words("hf"));
  const tensors = (name: string): ReadonlyMap<string, unknown> => readSafetensors(readFileSync(join(cwd, name, "model.safetensors")), name).tensors;
  expect(tensors("hf2")).toEqual(tensors("hf"));
  expect(tensors("hf").size).toBe(21);
});

test("the encoder of a second input goes out with its own table of positions, and back in", { timeout: 60_000 }, async () => {
  const pair = (n: string): string => `
  encoder s${n} = vit(4, 16, depth: 1, heads: 2)
  encoder q${n} = ema(s${n}, momentum: 0.99 -> 1.0)
  mask t${n} = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask c${n} = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus t${n}
  predictor p${n} = vit_predictor(width: 8, depth: 1, heads: 2)
  loss smooth_l1(p${n}(s${n}(${n} at c${n}), at: t${n}), stopgrad(normalize(q${n}(${n}))) at t${n})`;
  const text = `use std.vit
model two {
  input a: Image[16, 16, 3]
  input b: Image[32, 32, 3]${pair("a")}${pair("b")}
}
train two {
  data shapes(count: 64)
  steps 2
  batch 16
}
`;
  const { folder, state } = await makeRun(text);
  const cwd = temporary({ "two.jepa": text });
  const out = await jepac(["export", folder, "--encoder", "qb", "-o", "hf"], { cwd });
  expect(out.code, out.err).toBe(0);
  expect(JSON.parse(readFileSync(join(cwd, "hf/config.json"), "utf8"))).toMatchObject({ image_size: 32, patch_size: 4 });
  expect(readSafetensors(readFileSync(join(cwd, "hf/model.safetensors"))).tensors.get("embeddings.position_embeddings")).toMatchObject({ shape: [1, 64, 16], data: state.get("qb.pos_embed_8x8") });
  const back = await jepac(["import", "hf", "--into", "two.jepa", "--encoder", "qb", "-o", "run"], { cwd });
  expect(back.code, back.err).toBe(0);
  const imported = readSafetensors(readFileSync(join(cwd, "run/checkpoint.safetensors"))).tensors;
  for (const name of ["qb.pos_embed_8x8", "qb.blocks.0.attn.qkv.weight"]) expect([...imported.values()].find((t) => t.name.endsWith(name))?.data).toEqual(state.get(name));
});

test("an encoder with a block of its own is still no vit", { timeout: 60_000 }, async () => {
  const own = small.replace("use std.vit", `use std.vit

module mlp(hidden, out = in, init_std = 0.02) (x: Features[in]) -> Features[out] {
  part fc1 = linear(hidden)
  part fc2 = linear(out)
  fc2(relu(fc1(x)))
}`);
  const { folder } = await makeRun(own);
  const refused = await jepac(["export", folder, "-o", "hf"], { cwd: temporary() });
  expect(refused.code).toBe(2);
  expect(refused.err).toMatch(/does not compute what the library's `vit` computes[\s\S]*--format onnx/);
});

test("a file in the place of the folder to write is refused, and stays", { timeout: 60_000 }, async () => {
  const { folder } = await run;
  const cwd = temporary({ "tiny.jepa": small });
  expect((await jepac(["export", folder, "-o", "hf"], { cwd })).code).toBe(0);
  const attempts: readonly (readonly string[])[] = [
    ["export", folder, "-o", "tiny.jepa"], ["export", folder, "-o", "tiny.jepa/below"], ["export", folder, "--format", "onnx", "-o", "tiny.jepa"], ["export", folder, "--format", "onnx", "-o", "tiny.jepa/below"],
    ["import", "hf", "--into", "tiny.jepa", "-o", "tiny.jepa"], ["import", "hf", "--into", "tiny.jepa", "-o", "tiny.jepa/below"], ["compile", "tiny.jepa", "-o", "tiny.jepa"],
  ];
  for (const words of attempts) {
    const { code, err } = await jepac(words, { cwd });
    expect([words.join(" "), code, err]).toEqual([words.join(" "), 2, expect.stringMatching(/^error: cannot (write|make)[^\n]*tiny\.jepa[\s\S]*\nhelp: /)]);
  }
  expect(readFileSync(join(cwd, "tiny.jepa"), "utf8")).toBe(small);
  expect(readdirSync(cwd).sort()).toEqual(["hf", "tiny.jepa"]);
});

test("a compiled program that is not where --compiled says is told by that name", async () => {
  const { folder } = await run;
  for (const command of ["export", "probe"]) {
    const { code, err } = await jepac([command, folder, "--compiled", "nowhere"], { cwd: temporary() });
    expect([code, err]).toEqual([2, expect.stringContaining("nowhere is no compiled program: there is no such folder")]);
  }
});

test("--max-shard is refused where nothing is cut into shards", async () => {
  const { folder } = await run;
  const cwd = temporary();
  const { code, err } = await jepac(["export", folder, "--format", "onnx", "--max-shard", "1GB"], { cwd });
  expect([code, err]).toEqual([2, expect.stringMatching(/--max-shard .* onnx/)]);
  expect(existsSync(join(cwd, "export"))).toBe(false);
});
