/**
 * Forms of kernels: every one of an f16 plan compiles, for every size of a subgroup and every shape of matrices that is out
 * there; folds by subgroups give the bits of the portable ones; no kernel adds floats atomically.
 *
 * Matrix kernels are validated on Dawn's null backend, which compiles and runs nothing: no CPU driver has subgroup matrices.
 */
import { expect, test } from "vitest";
import { constantDim } from "../../../../compiler/types/dim.js";
import { KernelWriter, foldFunction } from "../../../../compiler/targets/wgsl/kernel.js";
import { tileCandidates } from "../../../../compiler/targets/wgsl/kernels/tiles.js";
import { portable } from "../../../../compiler/targets/wgsl/plan.js";
import type { WgslModule } from "../../../../runtime/abi.js";
import type { Abilities, MatrixShape } from "../../../../runtime/backends/webgpu/forms.js";
import { abilitiesOf, descriptionOf, fitted, textsFor, usefulFeatures } from "../../../../runtime/backends/webgpu/forms.js";
import { openSession, readBuffer } from "../../../../runtime/backends/webgpu/session.js";
import type { Case } from "./on-device.js";
import { describedWithMatrices, nullDevice, shadersOf } from "./null-device.js";
import { build, data, draftsOfCase, t, weight } from "./on-device.js";
import { compilePlan, deviceFor } from "./programs.js";

const text = `use "../specs/ijepa.jepa"
variant wide of ijepa {
  param image_size = 24
  param patch      = 4
  param width      = 64
  param depth      = 2
  param heads      = 4
  mask targets = 4 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 2)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 2) minus targets
  predictor predict = vit_predictor(width: 32, depth: 1, heads)
  train {
    data           shapes(count: 64)
    epochs         1
    batch          128
    learning_rate  constant(1e-3)
  }
}
`;
// For any device: a software driver's small tiles have no form with subgroup matrices.
const odd = compilePlan(undefined, undefined, portable, { storage: "f16" }).module;
const even = compilePlan(text, "wide", portable, { storage: "f16" }).module;

/** What a text does wrong, by the compiler and by the making of a pipeline. */
async function complaints(device: GPUDevice, file: string, code: string): Promise<string[]> {
  device.pushErrorScope("validation");
  const shader = device.createShaderModule({ label: file, code });
  const info = await shader.getCompilationInfo();
  const wrong = info.messages.filter((m) => m.type === "error").map((m) => `${file}:${m.lineNum} ${m.message}`);
  if (wrong.length === 0) await device.createComputePipelineAsync({ layout: "auto", compute: { module: shader, entryPoint: "main" } }).catch((error: unknown) => { if (!isRoomOfMatrices(code, String(error))) wrong.push(`${file}: ${String(error)}`); });
  await device.popErrorScope();
  return wrong;
}

/** Whether all that is wrong is that a product by matrices takes more workgroup memory than the null device's 16 KiB, and no more than it may: 32 KiB. */
function isRoomOfMatrices(code: string, error: string): boolean {
  const bytes = /total use of workgroup storage \((\d+) bytes\) is larger than the maximum allowed \(16384 bytes\)/.exec(error)?.[1];
  return bytes !== undefined && Number(bytes) <= 32768 && code.includes("slice_a");
}

function formsOf(module: WgslModule, needs: string): { readonly file: string; readonly needs: "subgroups" | "subgroup-matrix" }[] {
  return module.plan.kernels.flatMap((k) => (k.forms ?? []).filter((f) => f.needs === needs));
}

const shapes: readonly (readonly [number, MatrixShape, string])[] = [
  [32, { m: 16, n: 16, k: 16 }, "NVIDIA, AMD"], [64, { m: 16, n: 16, k: 16 }, "AMD in wide waves"], [32, { m: 8, n: 16, k: 16 }, "Intel"],
  [32, { m: 16, n: 8, k: 16 }, "NVIDIA, narrow"], [32, { m: 8, n: 8, k: 8 }, "the smallest"],
];

test("every kernel of an f16 plan with subgroup matrices compiles, for each shape of matrices that devices have", async () => {
  const device = await nullDevice();
  if (device === undefined) return;
  console.warn("NOT EXECUTED: kernels with subgroup matrices were compiled and validated on Dawn's null backend; no driver here can run them");
  for (const module of [odd, even]) {
    const forms = formsOf(module, "subgroup-matrix");
    expect(forms.length).toBeGreaterThan(5);
    for (const [subgroup, matrix, whose] of shapes) {
      for (const asks of [false, true]) {
        const found: string[] = [];
        for (const form of forms) found.push(...await complaints(device, `${whose} ${form.file}`, fitted(module.kernels[form.file], form, { subgroup, asks, matrix }) ?? "missing"));
        expect(found).toEqual([]);
      }
    }
  }
  expect(Object.keys(even.kernels).filter((f) => f.endsWith(".matrix.wgsl")).some((f) => f.includes("128x64"))).toBe(true);
  for (const module of [odd, even]) expect(Object.keys(module.kernels).filter((f) => /^attention(_grad)?_d\d+(_v\d+)?\.matrix\.wgsl$/.test(f)).length).toBeGreaterThan(1);
  device.destroy();
}, 120_000);

test.each([16, 33, 64, 80, 96, 112, 128])("attention and its gradient with heads of %d compile through subgroup matrices, in one dispatch and in two", async (d) => {
  const device = await nullDevice();
  if (device === undefined) return;
  const own: Case = { op: "attention", env: { B: 2, T: 19 }, body: (b) => { const [, memory = -1] = b.multi("attention", [data(b, "qkv", t("B", "T", 6 * d))], { heads: 2 }); return [b.op("attention_grad", [memory, data(b, "do", t("B", "T", 2 * d))])]; } };
  const cross: Case = { op: "sdpa", env: { B: 2, T: 19, S: 21 }, body: (b) => { const [q, k, v] = [data(b, "q", t("B", "T", d)), data(b, "k", t("B", "S", d)), data(b, "v", t("B", "S", d))]; const [o = -1, lse = -1] = b.multi("sdpa", [q, k, v], { heads: 1 }); return b.multi("sdpa_grad", [q, k, v, o, lse, data(b, "do", t("B", "T", d))], { heads: 1 }); } };
  const drafts = [own, cross].flatMap((c) => draftsOfCase(c, build(c), "card", true).drafts);
  expect(drafts.map((x) => x.name)).toEqual(["attention", "attention_grad", "attention", "attention_dq", "attention_dkv"].map((name) => `${name}_d${d}`));
  const found: string[] = [];
  for (const draft of drafts) {
    const form = draft.forms.find((f) => f.needs === "subgroup-matrix");
    for (const [subgroup, matrix, whose] of shapes) found.push(...await complaints(device, `${whose} ${draft.name}`, fitted(form?.text, { needs: "subgroup-matrix" }, { subgroup, asks: true, matrix }) ?? "missing"));
  }
  expect(found).toEqual([]);
  device.destroy();
}, 120_000);

test("products with any tile that may be measured compile through subgroup matrices, in 32 KiB of workgroup memory", async () => {
  const device = await nullDevice();
  if (device === undefined) return;
  const found: string[] = [];
  const tiles = new Set<string>();
  for (const form of ["nn", "nt", "tn", "tt"] as const) {
    const [ta, tb] = [form.startsWith("t"), form.endsWith("t")];
    for (const tile of tileCandidates({ form, m: 1000, n: 1000, k: 1000, batch: 1, kind: "f16-matrix" })) {
      const c: Case = { op: "matmul", env: { M: 1000, K: 1000, N: 1000 }, tile, body: (b) => [b.op("matmul", [data(b, "a", ta ? t("K", "M") : t("M", "K")), weight(b, "b", tb ? t("N", "K") : t("K", "N"))], { ta, tb })] };
      const draft = draftsOfCase(c, build(c), "card", true).drafts.find((d) => d.forms.length > 0);
      tiles.add(`${tile.bm}x${tile.bn}`);
      found.push(...await complaints(device, `${form} ${tile.bm}x${tile.bn}`, fitted(draft?.forms[0]?.text, { needs: "subgroup-matrix" }, { subgroup: 32, asks: true, matrix: { m: 16, n: 16, k: 16 } }) ?? "missing"));
    }
  }
  expect(found).toEqual([]);
  expect([...tiles].sort()).toEqual(["128x128", "128x64", "32x32", "64x128", "64x32", "64x64"]);
  device.destroy();
}, 120_000);

test("every other kernel of an f16 plan compiles as well, reductions for subgroups of 4, 8, 16, 32 and 64 threads", async () => {
  const device = await nullDevice();
  if (device === undefined) return;
  const found: string[] = [];
  for (const module of [odd, even]) {
    for (const kernel of module.plan.kernels) found.push(...await complaints(device, kernel.file, module.kernels[kernel.file] ?? "missing"));
    const forms = formsOf(module, "subgroups");
    expect(forms.length).toBeGreaterThan(5);
    for (const subgroup of [4, 8, 16, 32, 64]) {
      for (const asks of [false, true]) for (const form of forms) found.push(...await complaints(device, `${form.file} by ${subgroup}`, fitted(module.kernels[form.file], form, { subgroup, asks, matrix: undefined }) ?? "missing"));
    }
  }
  expect(found).toEqual([]);
  device.destroy();
}, 120_000);

test("a compiler's complaint is seen, so that no complaint means something", async () => {
  const device = await nullDevice();
  if (device === undefined) return;
  const [form] = formsOf(even, "subgroup-matrix");
  const code = fitted(even.kernels[form?.file ?? ""], { needs: "subgroup-matrix" }, { subgroup: 32, asks: false, matrix: { m: 16, n: 16, k: 16 } }) ?? "";
  expect(await complaints(device, "left for right", code.replace("subgroup_matrix_left<f16, MK, MM>, row_major", "subgroup_matrix_right<f16, MK, MM>, row_major"))).not.toEqual([]);
  device.destroy();
});

test("a device gets the best form that it can run, and the portable one where it can run none", () => {
  const kernel = even.plan.kernels.find((k) => k.forms?.some((f) => f.needs === "subgroup-matrix")) ?? { name: "", file: "", writes: [], hyper: false };
  const files = (abilities: Abilities): string[] => textsFor(kernel, even, abilities).map((t) => t.file);
  expect(files({ subgroup: 32, asks: false, matrix: { m: 16, n: 16, k: 16 } })).toEqual([kernel.forms?.[0]?.file, kernel.file]);
  expect(files({ subgroup: 32, asks: false, matrix: undefined })).toEqual([kernel.file]);
  const configs = [{ M: 8, N: 8, K: 8, componentType: "f16", resultComponentType: "f16" }, { M: 8, N: 8, K: 16, componentType: "f16", resultComponentType: "f32" }, { M: 16, N: 16, K: 16, componentType: "f16", resultComponentType: "f32" }];
  const all = new Set(["shader-f16", ...usefulFeatures(even)]);
  const info = (least: number, most: number): GPUAdapterInfo => Object.assign({ __brand: "GPUAdapterInfo" as const, vendor: "", architecture: "", device: "", description: "", subgroupMinSize: least, subgroupMaxSize: most, isFallbackAdapter: false }, { subgroupMatrixConfigs: configs });
  expect(abilitiesOf({ features: all, info: info(32, 32) })).toEqual({ subgroup: 32, asks: false, matrix: { m: 16, n: 16, k: 16 } });
  expect(abilitiesOf({ features: all, info: info(8, 32) })).toEqual({ subgroup: 32, asks: true, matrix: { m: 16, n: 16, k: 16 } });
  expect(abilitiesOf({ features: new Set(["subgroups"]), info: info(8, 32) })).toEqual({ subgroup: undefined, asks: true, matrix: undefined });
  expect(abilitiesOf({ features: new Set(["subgroups"]), info: info(128, 128) }).subgroup).toBeUndefined();
  expect(abilitiesOf({ features: new Set(), info: info(32, 32) }).subgroup).toBeUndefined();
});

test("a session takes matrix forms by what the adapter said: under Node the device itself names no shapes", async () => {
  const device = await nullDevice();
  if (device === undefined) return;
  const files = shadersOf(device);
  const taken = async (): Promise<number> => {
    files.length = 0;
    (await openSession(device, even, "the null device")).close();
    return files.filter((f) => f.endsWith(".matrix.wgsl")).length;
  };
  expect(Reflect.get(device.adapterInfo, "subgroupMatrixConfigs")).toEqual([]);
  expect(await taken()).toBe(0);
  describedWithMatrices(device);
  expect(await taken()).toBe(formsOf(even, "subgroup-matrix").length);
  device.destroy();
});

test("no kernel has an atomic of any kind", () => {
  const texts = [odd, even, compilePlan().module].flatMap((m) => Object.entries(m.kernels));
  expect(texts.length).toBeGreaterThan(100);
  expect(texts.filter(([, code]) => /atomic/.test(code)).map(([file]) => file)).toEqual([]);
});

test("a fold by subgroups has the bits of the portable one", async () => {
  const node = await deviceFor({ ...odd, plan: { ...odd.plan, features: [] } });
  if (node === undefined) return;
  expect(descriptionOf(node.device).info).not.toBe(node.device.adapterInfo);
  const { subgroup } = abilitiesOf(descriptionOf(node.device));
  if (subgroup === undefined) {
    console.warn(`NOT TESTED: folds by subgroups on a device: ${node.name} has none`);
    node.device.destroy();
    return;
  }
  console.info(`subgroups of ${subgroup}`);
  for (const threads of [4, 64, 256]) {
    const results: Float32Array[] = [];
    for (const abilities of [{ subgroup, asks: false, matrix: undefined }, { subgroup: undefined, asks: false, matrix: undefined }]) {
      const w = new KernelWriter("fold", "A sum.");
      const ref = (buffer: string): { kind: "buffer"; buffer: string; at: number; count: number; arena: string } => ({ kind: "buffer", buffer, at: 0, count: threads, arena: buffer });
      const x = w.read("x", ref("x"));
      const fold = w.fold("sum", threads, (a, b) => `${a} + ${b}`);
      expect(fold).toBe(foldFunction("sum", threads, (a, b) => `${a} + ${b}`));
      const draft = w.finish(`${fold}\n\n@compute @workgroup_size(${threads})\nfn main(@builtin(local_invocation_index) thread: u32) {\n  ${w.write("y", ref("y"))("thread", `all_sum(thread, ${x("thread")})`)}\n}`, [constantDim(1)], undefined, "");
      const form = draft.forms[0];
      const code = abilities.subgroup === undefined ? draft.text : fitted(form?.text, { needs: "subgroups" }, abilities) ?? "missing";
      const kernel = { name: "fold", file: "fold", writes: draft.writes, hyper: false };
      const step = { dispatches: [{ kernel: 0, bind: [0, 1].map((buffer) => ({ buffer, at: 0, bytes: threads * 4 })), sizes: [], groups: [1] as const, cost: { flops: 0, bytes: 0 } }], outputs: [] };
      const none = { dispatches: [], outputs: [] };
      const buffers = (["x", "y"] as const).map((name) => ({ name, kind: "work" as const, bytes: threads * 4 }));
      const { prepare: _, scaler: __, ...base } = odd.plan;
      const plan = { ...base, features: [], kernels: [kernel], step, norms: none, update: none, encoders: {}, hyper: [], buffers: [...buffers, { name: "sizes", kind: "uniform" as const, bytes: 256 }, { name: "hyper", kind: "uniform" as const, bytes: 16 }] };
      const session = await openSession(node.device, { plan, kernels: { fold: code } }, node.name);
      node.device.queue.writeBuffer(session.bufferAt(0), 0, Float32Array.from({ length: threads }, (_x, i) => Math.fround(Math.sin(i * 1.7) * 10 ** (i % 7 - 3))));
      const encoder = node.device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      session.encode(pass, step, new Map());
      pass.end();
      node.device.queue.submit([encoder.finish()]);
      results.push(await readBuffer(session, session.bufferAt(1)));
      session.check();
      session.close();
    }
    const [lanes, tree] = results;
    expect(new Set(tree).size, `${threads} threads`).toBe(1);
    expect(Number.isFinite(tree?.[0]) && tree?.[0] !== 0).toBe(true);
    expect([...lanes ?? []]).toEqual([...tree ?? []]);
  }
  node.device.destroy();
}, 120_000);
