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

// A browser's types are not asked for: the program of a Node user has none.
test.each([["NodeNext", "NodeNext"], ["ESNext", "Bundler"]])("the package's types compile in a project that checks libraries too: %s, %s", (module, moduleResolution) => {
  if (!existsSync(join(root, "dist/runtime/node.d.ts"))) {
    console.warn("NOT TESTED: the package's types, which need the built package: npm run build");
    return;
  }
  const compilerOptions = { target: "ES2023", lib: ["ES2023"], module, moduleResolution, strict: true, noEmit: true, skipLibCheck: false, types: ["node"], typeRoots: [join(root, "node_modules/@types")] };
  const folder = temporary({
    "tsconfig.json": JSON.stringify({ compilerOptions, include: ["*.ts"] }),
    "user.ts": `import { check, compile } from "jepac";
import { readSafetensors } from "jepac/runtime";
import { createTfjsEngine, loadTf, train } from "jepac/runtime/node";
export const names: string[] = [check, compile, readSafetensors, createTfjsEngine, loadTf, train].map((f) => f.name);
export const three = async (): Promise<number> => { const { tf } = await loadTf("wasm"); return tf.add(tf.scalar(1), 2).dataSync()[0] ?? 0; };
`,
  });
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/jepac"), "junction");
  const tsc = createRequire(import.meta.url).resolve("typescript/lib/tsc.js");
  const ran = spawnSync(process.execPath, [tsc, "-p", folder, "--listFiles"], { encoding: "utf8", maxBuffer: 2 ** 24 });
  expect(ran.stdout.split("\n").filter((line) => !/\.ts$/.test(line) || /lib\.dom|@webgpu/.test(line)).join("\n").trim()).toBe("");
  expect(ran.status).toBe(0);
});
