/// <reference types="@webgpu/types" />
/**
 * Which form of a kernel a device runs: by subgroup matrices, by subgroups, or the portable one.
 *
 * Owns what a device is asked (features, size of a subgroup, sizes of its matrices) and setting the constants at the top of a
 * form to the answers. A form that does not fit is left aside; every kernel has a portable one. Pipelines are `session.ts`.
 */
import type { PlanForm, PlanKernel, WgslModule } from "../../abi.js";
import { unrolled } from "./unroll.js";

/** A shape of matrices of f16 that a device multiplies into f32: `m` x `k` times `k` x `n`. */
export interface MatrixShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What a device can do beyond the portable profile. */
export interface Abilities {
  /** Threads of a subgroup, where that is one number or can be asked for. */
  readonly subgroup: number | undefined;
  /** Whether the size of a subgroup has to be asked for. */
  readonly asks: boolean;
  readonly matrix: MatrixShape | undefined;
}

/** A device, or an adapter before there is one. */
export interface Describes {
  readonly features: ReadonlySet<string>;
  readonly info: GPUAdapterInfo;
}

/** The feature that gives subgroup matrices. */
const MATRIX_FEATURE = "chromium-experimental-subgroup-matrix";
const SIZE_FEATURE = "subgroup-size-control";

/** Sizes that kernels are written for. */
const SUBGROUP_SIZES: readonly number[] = [4, 8, 16, 32, 64];

const described = new WeakMap<GPUDevice, GPUAdapterInfo>();

/** Keeps what a device's adapter says of itself: Dawn under Node names shapes of matrices there, and none on the device. */
export function describeBy(device: GPUDevice, info: GPUAdapterInfo): void {
  described.set(device, info);
}

/** A device by its features and what its adapter said, where that was kept. */
export function descriptionOf(device: GPUDevice): Describes {
  return { features: device.features, info: described.get(device) ?? device.adapterInfo };
}

/** What a device can do; nothing beyond the portable profile without the features. */
export function abilitiesOf({ features, info }: Describes): Abilities {
  if (!features.has("subgroups")) return { subgroup: undefined, asks: false, matrix: undefined };
  const [least, most] = [info.subgroupMinSize ?? 0, info.subgroupMaxSize ?? 0];
  const fixed = least === most;
  const possible = SUBGROUP_SIZES.includes(most) && (fixed || features.has(SIZE_FEATURE));
  const subgroup = possible ? most : undefined;
  const shapes = subgroup !== undefined && features.has(MATRIX_FEATURE) && features.has("shader-f16") ? matrixShapes(info) : [];
  return { subgroup, asks: !fixed, matrix: shapes[0] };
}

/** Shapes of f16 with f32 results that divide the kernels' tiles and slices, the largest first. */
function matrixShapes(info: GPUAdapterInfo): MatrixShape[] {
  const configs: unknown = Reflect.get(info, "subgroupMatrixConfigs");
  if (!Array.isArray(configs)) return [];
  const shapes = configs.flatMap((c: unknown): MatrixShape[] => {
    if (typeof c !== "object" || c === null) return [];
    const [m, n, k, component, result] = ["M", "N", "K", "componentType", "resultComponentType"].map((key): unknown => Reflect.get(c, key));
    const fits = [m, n, k].every((x) => x === 8 || x === 16);
    return fits && component === "f16" && result === "f32" ? [{ m: Number(m), n: Number(n), k: Number(k) }] : [];
  });
  return shapes.sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k);
}

/** A kernel's texts for a device, best first; the portable one is last. */
export function textsFor(kernel: PlanKernel, module: Pick<WgslModule, "kernels">, abilities: Abilities): { readonly file: string; readonly code: string; readonly needs?: PlanForm["needs"] }[] {
  const order = (f: PlanForm): number => (f.needs === "subgroup-matrix" ? 0 : 1);
  const forms = [...kernel.forms ?? []].sort((a, b) => order(a) - order(b)).flatMap((form) => {
    const code = fitted(module.kernels[form.file], form, abilities);
    return code === undefined ? [] : [{ file: form.file, code, needs: form.needs }];
  });
  const code = module.kernels[kernel.file];
  return code === undefined ? forms : [...forms, { file: kernel.file, code }];
}

/** A form's text with its constants set; undefined where the device lacks what it needs. */
export function fitted(text: string | undefined, form: Pick<PlanForm, "needs">, { subgroup, asks, matrix }: Abilities): string | undefined {
  if (text === undefined || subgroup === undefined) return undefined;
  if (form.needs === "subgroup-matrix" && matrix === undefined) return undefined;
  const numbers: Record<string, number> = { SUBGROUP: subgroup, ...(matrix === undefined ? {} : { MM: matrix.m, MN: matrix.n, MK: matrix.k }) };
  const typed = Object.entries(numbers).reduce((code, [name, value]) => code.replace(new RegExp(`^const ${name} = \\d+u;$`, "m"), `const ${name} = ${value}u;`), text);
  const code = form.needs === "subgroup-matrix" ? unrolled(typed) : typed;
  return asks ? code.replace(/^enable subgroups;$/m, "enable subgroups;\nenable subgroup_size_control;").replace("@compute @workgroup_size", "@compute @subgroup_size(SUBGROUP) @workgroup_size") : code;
}

/** Features that a plan uses where a device has them. */
export function usefulFeatures(module: Pick<WgslModule, "plan">): string[] {
  const some = module.plan.kernels.some((k) => (k.forms ?? []).length > 0);
  return [...(some ? ["subgroups", SIZE_FEATURE] : []), ...(usesMatrices(module) ? [MATRIX_FEATURE] : [])];
}

/** Whether a plan has forms for subgroup matrices. */
export function usesMatrices({ plan }: Pick<WgslModule, "plan">): boolean {
  return plan.kernels.some((k) => k.forms?.some((f) => f.needs === "subgroup-matrix"));
}
