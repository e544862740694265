/**
 * Kernels by subgroup matrices are held against their portable texts before the first step: what agrees passes, what is wrong
 * in one place does not and gives way, and buffers are left as they were made.
 *
 * No driver at hand has such matrices, so on a device portable texts stand for both sides, as they are and with a mistake.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { portable } from "../../../../compiler/targets/wgsl/plan.js";
import type { PlanProgram, WgslModule } from "../../../../runtime/abi.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { createWebgpuEngine } from "../../../../runtime/backends/webgpu/engine.js";
import type { Family } from "../../../../runtime/backends/webgpu/pipelines.js";
import { makePipelines } from "../../../../runtime/backends/webgpu/pipelines.js";
import { proveForms } from "../../../../runtime/backends/webgpu/proof.js";
import type { Session } from "../../../../runtime/backends/webgpu/session.js";
import { openSession, readBuffer } from "../../../../runtime/backends/webgpu/session.js";
import { initialState } from "../../../../runtime/train/init.js";
import { matrixDevice, shadersOf } from "../../../compiler/targets/wgsl/null-device.js";
import { batchFor, compilePlan, deviceFor, hyperFor } from "../../../compiler/targets/wgsl/programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const ready = compilePlan(undefined, undefined, portable, { storage: "f16" });

/** A plan with nothing but one kernel of each family, which has a form by matrices: the others would only be compiled. */
function reduced({ plan, kernels }: WgslModule, families: readonly string[]): WgslModule {
  const kept = families.map((family) => plan.kernels.findIndex((k) => k.name.replace(/_v\d+$/, "") === family && k.forms?.some((f) => f.needs === "subgroup-matrix")));
  const only = (program: PlanProgram): PlanProgram => ({ ...program, dispatches: program.dispatches.flatMap((d) => (kept.includes(d.kernel) ? [{ ...d, kernel: kept.indexOf(d.kernel) }] : [])) });
  const { prepare, ...rest } = plan;
  return { kernels, plan: { ...rest, kernels: kept.flatMap((i) => plan.kernels[i] ?? []), step: only(plan.step), norms: only(plan.norms), update: only(plan.update), ...(prepare === undefined ? {} : { prepare: only(prepare) }), encoders: Object.fromEntries(Object.entries(plan.encoders).map(([name, p]) => [name, only(p)])) } };
}

const module = reduced(ready.module, ["gemm_nn_64x64", "gemm_nt_64x64", "gemm_tn_64x64_sums", "attention_d12", "attention_grad_d12"]);
const withMatrices = module.plan.kernels.flatMap((k, i) => (k.forms?.some((f) => f.needs === "subgroup-matrix") ? [i] : []));

let node: NodeDevice | undefined;
let session: Session | undefined;

beforeAll(async () => {
  node = await deviceFor(module);
  if (node !== undefined) session = await openSession(node.device, module, node.name);
});
afterAll(() => {
  session?.close();
  node?.release();
});

/** The session as if its kernels with forms for matrices ran by those, and `other`'s texts were the portable ones; with the kernels that gave way. */
async function against(other: WgslModule, own: Session, device: GPUDevice): Promise<{ readonly session: Session; readonly gone: number[] }> {
  const pipelines = await makePipelines(device, other, "a device", new Set());
  const gone: number[] = [];
  const families = await Promise.all(withMatrices.map(async (witness): Promise<Family> => ({ name: module.plan.kernels[witness]?.name ?? "", kernels: [witness], witness, portable: await pipelines.portable(witness) })));
  return { gone, session: { ...own, families, runPortably: (kernels) => { gone.push(...kernels); return Promise.resolve(); } } };
}

test("a plan of f16 has forms by matrices for products in three ways, for attention and for its gradient", () => {
  expect(withMatrices).toEqual([0, 1, 2, 3, 4]);
});

test("what computes the same passes, in silence, and leaves every buffer zero", async () => {
  if (session === undefined || node === undefined) return;
  const both = await against(module, session, node.device);
  expect(await proveForms(both.session, module, "a device")).toEqual([]);
  expect(both.gone).toEqual([]);
  for (const [i, { kind, name }] of module.plan.buffers.entries()) {
    if (!["parameter", "half", "gradient", "slot", "work", "input"].includes(kind)) continue;
    expect((await readBuffer(session, session.bufferAt(i))).every((x) => x === 0), name).toBe(true);
  }
});

test("a mistake in any of them is noticed, also one in a single row or term, and the run says what it does instead", async () => {
  if (session === undefined || node === undefined) return;
  // The last of the terms that are summed is left out: of a product's, of the keys of attention, of the queries of its gradient.
  const wrong = (name: string, text: string): string => text.replaceAll(name.startsWith("gemm") ? /\bp\.k\b/g : /\bp\.keys\b/g, (size) => `(${size} - 1u)`);
  const kernels = { ...module.kernels };
  for (const i of withMatrices) {
    const { name, file } = module.plan.kernels[i] ?? { name: "", file: "" };
    kernels[file] = wrong(name, kernels[file] ?? "");
    expect(kernels[file], name).not.toBe(module.kernels[file]);
  }
  const both = await against({ ...module, kernels }, session, node.device);
  const notes = await proveForms(both.session, module, "a device");
  expect(both.gone).toEqual(withMatrices);
  expect(notes).toHaveLength(withMatrices.length);
  for (const [at, note] of notes.entries()) expect(note).toMatch(new RegExp(`^${module.plan.kernels[withMatrices[at] ?? 0]?.name} by subgroup matrices: on a device its results differ from those of the portable kernel by \\d.* of the largest, where 0.02 is the most; the portable kernel runs instead, slower$`));
});

test("a kernel that computes nothing has not proven anything", async () => {
  if (session === undefined || node === undefined) return;
  const both = await against(module, session, node.device);
  const idle: Session = { ...both.session, encodeOne: () => undefined };
  expect(await proveForms(idle, module, "a device")).toHaveLength(withMatrices.length);
  expect(both.gone).toEqual(withMatrices);
});

test("an engine whose device fails goes on with the portable texts, and has the notes", async () => {
  const device = await matrixDevice();
  if (device === undefined) return;
  const files = shadersOf(device);
  // The null backend takes every kernel and runs none.
  const engine = await createWebgpuEngine(ready.manifest, ready.module, { device, name: "the null device", version: "", initial: initialState(ready.manifest, 1) });
  const kernels = ready.module.plan.kernels.filter((k) => k.forms?.some((f) => f.needs === "subgroup-matrix"));
  const families = new Set(kernels.map((k) => k.name.replace(/_v\d+$/, "")));
  expect(engine.notes.map((n) => n.split(" ")[0])).toEqual([...families]);
  for (const note of engine.notes) expect(note).toContain("on the null device its results are no numbers, nothing but zeros or none at all; the portable kernel runs instead");
  for (const { file } of kernels) expect(files).toContain(file);
  await engine.step(batchFor(ready.manifest, 1), hyperFor(ready.manifest, 1), { watch: false, gradientNorm: false });
  engine.dispose();
});
