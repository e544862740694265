/**
 * Pictures that are not square, and programs with two inputs, from program to probe: as a user runs them, on wasm.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readManifest } from "../../../runtime/train/compiled.js";
import { jepac, root, small, temporary } from "./support.js";

const bin = join(root, "dist/compiler/cli/bin.js");
const quick = ["--engine", "wasm", "--workers", "0", "--steps", "2"];

function run(words: readonly string[], cwd: string): Promise<{ code: number | null; err: string }> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [bin, ...words], { cwd, env: { ...process.env, NO_COLOR: "1" } });
    let err = "";
    child.stderr.on("data", (part: Buffer) => { err += part.toString(); });
    child.on("error", fail);
    child.on("close", (code) => done({ code, err }));
  });
}

test.each([["Image[16, 32, 3]", small], ["Image[32, 16, 3]", small.replace(/^probe .*$/m, "")]])("%s trains, is probed at the end and again by jepac probe", { timeout: 120_000 }, async (image, text) => {
  const cwd = temporary({ "package.json": "{}", "flat.jepa": text.replace("Image[16, 16, 3]", image) });
  const trained = await run(["train", "flat.jepa", ...quick], cwd);
  expect(trained.code, trained.err).toBe(0);
  expect(trained.err).toMatch(/linear probe of teacher: shape/);
  for (const file of ["probe.json", "report.html"]) expect(existsSync(join(cwd, "runs/tiny", file)), file).toBe(true);
  const probed = await run(["probe", "runs/tiny", "--engine", "wasm"], cwd);
  expect(probed.code, probed.err).toBe(0);
  // The same features of the same pictures: the same table, whatever is beside it.
  const table = (text: string): string[] => text.split("\n").filter((line) => /-nearest neighbors of teacher|effective rank/.test(line)).map((line) => line.trim());
  expect(table(probed.err)).toEqual(table(trained.err));
  expect(table(probed.err).length).toBeGreaterThan(3);
});

const pair = (n: string, image: string): string => `
  mask ${n}targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask ${n}context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus ${n}targets
  encoder s${n} = vit(4, 16, depth: 1, heads: 2)
  encoder q${n} = ema(s${n}, momentum: 0.99 -> 1.0)
  predictor p${n} = vit_predictor(width: 8, depth: 1, heads: 2)
  loss smooth_l1(p${n}(s${n}(${image} at ${n}context), at: ${n}targets), stopgrad(normalize(q${n}(${image}))) at ${n}targets)
`;
const two = `use std.vit
model two {
  input a: Image[16, 16, 3]
  input b: Image[32, 16, 3]${pair("a", "a")}${pair("b", "b")}}
train two {
  data shapes(count: 64)
  steps 2
  batch 16
  learning_rate 1e-3
}
probe two {
  linear(on: qa)
  linear(on: qb)
}
`;

test("with two inputs each encoder is probed and exported at the size of its own", { timeout: 120_000 }, async () => {
  const cwd = temporary({ "package.json": "{}", "two.jepa": two });
  const trained = await run(["train", "two.jepa", ...quick, "--no-report"], cwd);
  expect(trained.code, trained.err).toBe(0);
  for (const encoder of ["qa", "qb"]) expect(trained.err).toContain(`linear probe of ${encoder}: shape`);
  const manifest = readManifest(join(cwd, "runs/two/compiled"), "two");
  expect(manifest.encoders.map((e) => [e.name, e.input, e.tokens])).toEqual([["sa", "a", 16], ["qa", "a", 16], ["sb", "b", 32], ["qb", "b", 32]]);
  const exported = await jepac(["export", "runs/two", "--encoder", "qb", "--format", "onnx", "-o", "qb.onnx"], { cwd });
  expect(exported.code, exported.err).toBe(0);
  // The graph's input is [batch, 3, 32, 16]: three dims of one number each, as protobuf has them (field 1, varint), behind one by name.
  const bytes = readFileSync(join(cwd, "qb.onnx"));
  expect(bytes.includes(Buffer.from([0x0a, 2, 0x08, 3, 0x0a, 2, 0x08, 32, 0x0a, 2, 0x08, 16]))).toBe(true);
  expect(bytes.includes(Buffer.from([0x0a, 2, 0x08, 3, 0x0a, 2, 0x08, 16, 0x0a, 2, 0x08, 16]))).toBe(false);
});
