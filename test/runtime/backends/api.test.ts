/**
 * jepac's own declarations of TensorFlow.js against the real package, and the package's types as a stranger meets them.
 *
 * The first is held by the type checker (`npm run typecheck`): every function of the table is one that tfjs has, with
 * arguments and a result that fit. That the functions exist is asked of the engine too.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadTf } from "../../../runtime/backends/tfjs/engine.js";
import type { TensorOf, TfOf } from "../../../runtime/backends/tfjs/api.js";
import { root, temporary } from "../../compiler/cli/support.js";

type Real = typeof import("@tensorflow/tfjs");
type RealTensor = import("@tensorflow/tfjs").Tensor;

/** Does not compile where tfjs has no such function, or one that takes or gives something else. */
const isTensor = (real: RealTensor): TensorOf<RealTensor> => real;
const isTf = (real: Real): TfOf<RealTensor> => real;

test("every function that jepac declares is there", async () => {
  const { tf } = await loadTf("cpu");
  const text = readFileSync(join(root, "runtime/backends/tfjs/api.ts"), "utf8");
  const [before, after] = (text.split("export interface TensorOf")[1] ?? "").split("export interface TfOf");
  const names = (part: string | undefined): string[] => [...(part ?? "").matchAll(/^ {2}(\w+)[(<]/gm)].map((m) => m[1] ?? "");
  const x = tf.scalar(1);
  expect(names(before).length).toBeGreaterThan(30);
  expect(names(after).length).toBeGreaterThan(60);
  expect(names(before).filter((name) => typeof Reflect.get(x, name) !== "function")).toEqual([]);
  expect(names(after).filter((name) => typeof Reflect.get(tf, name) !== "function")).toEqual([]);
  expect([isTensor, isTf].every((f) => typeof f === "function")).toBe(true);
});

/** A program of a user of Node, and one of a page or a worker. */
const users = {
  node: `import { check, compile } from "jepac";
import { readSafetensors } from "jepac/runtime";
import { createTfjsEngine, loadTf, train } from "jepac/runtime/node";
export const names: string[] = [check, compile, readSafetensors, createTfjsEngine, loadTf, train].map((f) => f.name);
export const three = async (): Promise<number> => { const { tf } = await loadTf("wasm"); return tf.add(tf.scalar(1), 2).dataSync()[0] ?? 0; };
`,
  page: `import { compile, renderDiagnostics, software } from "jepac";
import { decodeCheckpoint, meanPool } from "jepac/runtime";
import { openPageEngine } from "jepac/runtime/webgpu";
export async function features(file: string, text: string, checkpoint: Uint8Array, encoder: string, pixels: Float32Array): Promise<Float32Array> {
  const { manifest, plan, files, diagnostics, texts } = compile({ file, text }, { target: "wgsl", device: software });
  if (manifest === undefined || plan === undefined) throw new Error(renderDiagnostics(diagnostics, texts));
  const engine = await openPageEngine(manifest, { plan, kernels: Object.fromEntries(files.map((f) => [f.path, f.text])) });
  await engine.importState(decodeCheckpoint(checkpoint, file).state);
  return meanPool(await engine.encode(encoder, pixels, 1), 1, manifest.encoders.find((e) => e.name === encoder)?.width ?? 0);
}
`,
} as const;

// A browser's types are not asked for where there is no browser, and those of WebGPU nowhere.
test.each([
  ["node", "NodeNext", "NodeNext", []], ["node", "ESNext", "Bundler", []], ["page", "ESNext", "Bundler", ["DOM"]], ["page", "ESNext", "Bundler", ["WebWorker"]],
] as const)("the package's types compile in a project that checks libraries too: %s, %s, %s, %s", (user, module, moduleResolution, lib) => {
  if (!existsSync(join(root, "dist/runtime/node.d.ts"))) {
    console.warn("NOT TESTED: the package's types, which need the built package: npm run build");
    return;
  }
  const compilerOptions = { target: "ES2023", lib: ["ES2023", ...lib], module, moduleResolution, strict: true, noEmit: true, skipLibCheck: false, types: user === "node" ? ["node"] : [], typeRoots: [join(root, "node_modules/@types")] };
  const folder = temporary({
    "tsconfig.json": JSON.stringify({ compilerOptions, include: ["*.ts"] }),
    "user.ts": users[user],
  });
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/jepac"), "junction");
  const tsc = createRequire(import.meta.url).resolve("typescript/lib/tsc.js");
  const ran = spawnSync(process.execPath, [tsc, "-p", folder, "--listFiles"], { encoding: "utf8", maxBuffer: 2 ** 24 });
  expect(ran.stdout.split("\n").filter((line) => !/\.ts$/.test(line) || (user === "node" ? /lib\.dom|@webgpu/ : /@webgpu|@types/).test(line)).join("\n").trim()).toBe("");
  expect(ran.status).toBe(0);
});
