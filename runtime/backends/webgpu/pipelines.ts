/// <reference types="@webgpu/types" />
/**
 * A plan's kernels as pipelines of a device, all asked for at once.
 *
 * Owns the choice of each kernel's text (the best form that the device takes, by `forms.ts`), layouts of bindings, scalars as
 * immediates where there are such, and what is said of a text that does not compile. Where kernels run by subgroup matrices,
 * one kernel of each family also gets the pipeline of its portable text, beside which `proof.ts` holds it.
 */
import type { PlanKernel, WgslModule } from "../../abi.js";
import { HostError, errorText } from "../../base/errors.js";
import { abilitiesOf, descriptionOf, textsFor } from "./forms.js";
import { waited } from "./waiting.js";

/** A kernel on this device; `immediate` says that its scalars are not in a binding. */
export interface Ready {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly immediate: boolean;
}

/** Kernels of one family that run by subgroup matrices: one portable pipeline stands for what all of them compute. */
export interface Family {
  /** What their names have in common. */
  readonly name: string;
  /** Their numbers in the plan. */
  readonly kernels: readonly number[];
  /** One of them, and the pipeline of its portable text. */
  readonly witness: number;
  readonly portable: GPUComputePipeline;
}

/** The pipelines of a plan. */
export interface Pipelines {
  readonly ready: readonly Ready[];
  readonly families: readonly Family[];
  /** A kernel's portable text as a pipeline. */
  portable(kernel: number): Promise<GPUComputePipeline>;
}

/** Line of a kernel that declares the scalars of a step, and what stands there on devices that take them without a buffer. */
const HYPER = { uniform: /@group\(0\) @binding\(\d+\) var<uniform> h: Hyper;/, immediate: "var<immediate> h: Hyper;" };

interface Text {
  readonly file: string;
  readonly code: string;
}

/** What is known of a kernel before it is compiled. */
interface Wanted {
  readonly layout: GPUBindGroupLayout;
  readonly pipelineLayout: GPUPipelineLayout;
  readonly immediate: boolean;
  /** Best first, the portable one last. */
  readonly texts: readonly Text[];
  readonly matrices: boolean;
}

/** All pipelines at once. Throws `HostError` "no-engine" for a kernel that the device does not take in any form, "mismatch" for one that is not there. */
export async function makePipelines(device: GPUDevice, { plan, kernels }: WgslModule, name: string, language: ReadonlySet<string>): Promise<Pipelines> {
  const abilities = abilitiesOf(descriptionOf(device));
  const layouts = new Map<string, GPUBindGroupLayout>();
  const bytes = plan.hyper.length * 4;
  const has = language.has("immediate_address_space") && bytes <= ((device.limits as { readonly maxImmediateSize?: number }).maxImmediateSize ?? 0);
  const portable = plan.kernels.map((kernel) => kernels[kernel.file] ?? missingKernel(kernel.file));
  const wanted = plan.kernels.map((kernel, i): Wanted => {
    const immediate = kernel.hyper && has && HYPER.uniform.test(portable[i] ?? "");
    const layout = layoutOf(device, layouts, kernel, immediate);
    const texts = textsFor(kernel, { kernels }, abilities);
    return {
      layout, immediate, matrices: texts[0]?.needs === "subgroup-matrix",
      pipelineLayout: device.createPipelineLayout({ bindGroupLayouts: [layout], ...(immediate ? { immediateSize: bytes } : {}) }),
      texts: texts.map(({ file, code }) => ({ file, code: immediate ? `requires immediate_address_space;\n${code.replace(HYPER.uniform, HYPER.immediate)}` : code })),
    };
  });
  const portably = (i: number): Promise<GPUComputePipeline> => {
    const own = wanted[i];
    return own === undefined ? missingKernel(`kernel ${i}`) : makePipeline(device, own.pipelineLayout, own.texts.slice(-1), name);
  };
  const families = familiesOf(plan.kernels, wanted);
  const [made, witnesses] = await waited(device, Promise.all([
    Promise.allSettled(wanted.map(({ pipelineLayout, texts }) => makePipeline(device, pipelineLayout, texts, name))),
    Promise.allSettled(families.map(({ witness }) => portably(witness))),
  ]));
  // All have come back before one is complained about: Dawn does not survive a device that is let go of with pipelines under way.
  const pipelines = made.map(valueOf);
  return {
    ready: wanted.flatMap(({ layout, immediate }, i) => (pipelines[i] === undefined ? [] : [{ layout, immediate, pipeline: pipelines[i] }])),
    families: families.map((family, i) => ({ ...family, portable: valueOf(witnesses[i]) })),
    portable: portably,
  };
}

function valueOf<T>(result: PromiseSettledResult<T> | undefined): T {
  if (result === undefined) throw new HostError("mismatch", "a kernel was not compiled", "report this: it is a mistake of the runtime");
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/** Kernels that run by subgroup matrices, by their names without the number of a variant. */
function familiesOf(kernels: readonly PlanKernel[], wanted: readonly Wanted[]): Omit<Family, "portable">[] {
  const families = new Map<string, number[]>();
  kernels.forEach((kernel, i) => {
    if (wanted[i]?.matrices !== true) return;
    const name = kernel.name.replace(/_v\d+$/, "");
    families.set(name, [...families.get(name) ?? [], i]);
  });
  return [...families].map(([name, own]) => ({ name, kernels: own, witness: own[0] ?? 0 }));
}

function layoutOf(device: GPUDevice, known: Map<string, GPUBindGroupLayout>, { writes, hyper }: PlanKernel, immediate: boolean): GPUBindGroupLayout {
  const block = hyper && !immediate;
  const key = `${writes.map((w) => (w ? "w" : "r")).join("")}${block ? "h" : ""}`;
  const compute = 4;
  const storage = (write: boolean): GPUBufferBindingLayout => ({ type: write ? "storage" : "read-only-storage" });
  const entries: GPUBindGroupLayoutEntry[] = [
    { binding: 0, visibility: compute, buffer: { type: "uniform" } },
    ...writes.map((write, i) => ({ binding: i + 1, visibility: compute, buffer: storage(write) })),
    ...(block ? [{ binding: writes.length + 1, visibility: compute, buffer: { type: "uniform" } satisfies GPUBufferBindingLayout }] : []),
  ];
  const layout = known.get(key) ?? device.createBindGroupLayout({ entries });
  known.set(key, layout);
  return layout;
}

/** The pipeline of the best form that the device takes; a form it refuses gives way to the next. */
async function makePipeline(device: GPUDevice, layout: GPUPipelineLayout, texts: readonly Text[], name: string): Promise<GPUComputePipeline> {
  const [first, ...rest] = texts;
  if (first === undefined) return missingKernel("without a text");
  try {
    return await compilePipeline(device, layout, first, name);
  } catch (error) {
    if (rest.length === 0) throw error;
    return makePipeline(device, layout, rest, name);
  }
}

async function compilePipeline(device: GPUDevice, layout: GPUPipelineLayout, { file, code }: Text, name: string): Promise<GPUComputePipeline> {
  // What is wrong with a text comes by the pipeline, and must not count as a fault of the device.
  device.pushErrorScope("validation");
  const shader = device.createShaderModule({ label: file, code });
  const refused = device.popErrorScope();
  try {
    return await device.createComputePipelineAsync({ label: file, layout, compute: { module: shader, entryPoint: "main" } });
  } catch (error) {
    await refused;
    const info = await shader.getCompilationInfo();
    const [first] = info.messages.filter((m) => m.type === "error");
    const where = first === undefined ? errorText(error) : `line ${first.lineNum}: ${first.message}`;
    throw new HostError("no-engine", `kernel ${file} does not compile on ${name}: ${where}`, "report this with the device's name and driver; until then train with --target tfjs", { cause: error });
  }
}

function missingKernel(file: string): never {
  throw new HostError("mismatch", `the plan names the kernel ${file}, which is not there`, "compile the program again: plan and kernels are of different versions");
}
