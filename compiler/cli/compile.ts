/**
 * `jepac compile`: a program as a folder that trains with `node out/train.mjs`.
 *
 * Owns the command and what it says; compiling is `compiler/compile.ts`, writing is `output.ts`. The graph as a picture is
 * written beside the code, because the report of a run shows it.
 */
import { join, relative, resolve } from "node:path";
import { compile } from "../compile.js";
import type { CompileResult } from "../compile.js";
import type { WgslPlan } from "../../runtime/abi.js";
import { nodeLimits } from "../../runtime/backends/webgpu/device.js";
import { shellWord } from "../../runtime/train/run-folder.js";
import type { PlanLimits } from "../targets/wgsl/plan.js";
import { large, portable, software } from "../targets/wgsl/plan.js";
import { toSvg } from "../model/export-svg.js";
import type { Arguments, Command, OptionSpec } from "./command.js";
import { CliError } from "./command.js";
import { linkRuntime, writeFolder } from "./output.js";
import { count, short, tellDiagnostics } from "./show.js";
import type { Opened } from "./source.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";
import type { CliTerminal } from "./terminal.js";

/** The targets that this compiler has. */
export const targets = ["tfjs", "wgsl"] as const;

/** The target that was asked for. */
export function targetOf(args: Pick<Arguments, "text">): (typeof targets)[number] {
  return args.text("target") === "wgsl" ? "wgsl" : "tfjs";
}

/** Options that say what a plan of the wgsl target must fit. */
export const deviceOptions: Readonly<Record<string, OptionSpec>> = {
  device: { kind: "text", choices: ["portable", "large", "software", "here"], help: "for wgsl, what the plan is for: every WebGPU device, graphics cards, drivers that compute on a processor, or this machine's device" },
  memory: { kind: "text", help: "for wgsl, GiB that all buffers together may take" },
};

/** What a plan must fit; `fallback` where nothing is said. For `here` there must be a device that has what the precision needs: @throws HostError "no-engine" */
export async function planLimits(args: Pick<Arguments, "text">, fallback: "portable" | "here", precision: "f32" | "f16"): Promise<PlanLimits> {
  const device = args.text("device") ?? fallback;
  const gigabytes = Number(args.text("memory") ?? NaN);
  if (args.text("memory") !== undefined && !(gigabytes > 0)) throw new CliError(`--memory is a number of GiB above 0, not ${args.text("memory") ?? ""}`, "write for example --memory 24");
  const own = device === "large" ? large : device === "software" ? software : device === "here" ? await nodeLimits(featuresOf(precision)) : portable;
  return { ...own, ...(gigabytes > 0 ? { memoryBytes: gigabytes * 2 ** 30 } : {}) };
}

/** Features of a device that a plan of a precision needs. */
export function featuresOf(precision: "f32" | "f16"): readonly string[] {
  return precision === "f16" ? ["shader-f16"] : [];
}

/** What values are stored as, from `--precision`. @throws CliError for f16 on a target that has none. */
export function precisionFor(target: (typeof targets)[number], args: Pick<Arguments, "text">): "f32" | "f16" {
  if (args.text("precision") !== "f16") return "f32";
  if (target !== "wgsl") throw new CliError("--precision f16 needs --target wgsl", "TensorFlow computes in f32");
  return "f16";
}

/** @throws CliError where one of the options was given that only the wgsl target has a use for. */
export function refuseUnused(target: (typeof targets)[number], args: Pick<Arguments, "given">, names: readonly string[]): void {
  const given = target === "wgsl" ? undefined : names.find((name) => args.given(name));
  if (given !== undefined) throw new CliError(`--${given} is for plans of the wgsl target, and this compiles to ${target}`, `add --target wgsl, or leave --${given} away`);
}

/** The option for `precisionFor`. */
export const precisionOption: OptionSpec = { kind: "text", choices: ["f32", "f16"], initial: "f32", help: "wgsl: what activations and copies of weights are stored as (sums, weights and optimizer state stay f32)" };

export const compileCommand: Command = {
  words: { file: "the program" },
  options: {
    target: { kind: "text", choices: targets, initial: "tfjs", help: "what to compile to" },
    precision: precisionOption,
    batch: { kind: "text", help: "images of a step, in place of what `train` says: a plan of the wgsl target is made for so many" },
    out: { kind: "text", alias: "o", initial: "out", help: "the folder" },
    ...deviceOptions,
    ...programOptions,
  },
  examples: [
    ["jepac compile specs/ijepa.jepa -o out", "the first model of the file"],
    ["jepac compile my.jepa --program tiny --set width=96 -o out/tiny", "a variant of it, with another width"],
  ],
  async run(args, cx) {
    const opened = openSource(args.need("file"), cx);
    const target = targetOf(args);
    refuseUnused(target, args, Object.keys(deviceOptions));
    const batch = batchOf(args);
    const precision = precisionFor(target, args);
    const result = compile(opened.source, { ...readProgramOptions(args), ...(batch === undefined ? {} : { batch }), target, precision, ...(target === "wgsl" ? { device: await planLimits(args, "portable", precision) } : {}) });
    tellDiagnostics(result, opened, cx);
    if (!result.ok) return 1;
    const shown = args.text("out") ?? "out";
    writeCompiled(result, resolve(cx.cwd, shown), shown, cx);
    const { manifest } = result;
    if (manifest !== undefined) {
      const { parameters, trainable, flopsPerImage } = manifest.counts;
      cx.out.write(`compiled ${manifest.program} into ${shown}: ${listed(result.files.map((f) => f.path))}, graph.svg\n`);
      cx.out.write(`${count(parameters)} parameters, ${count(trainable)} of them trained; ${short(flopsPerImage)}FLOPs an image forward\n`);
    }
    if (result.plan !== undefined) cx.out.write(planLine(result.plan));
    cx.out.write(`run it with: node ${shellWord(join(shown, "train.mjs"))}\n`);
    return 0;
  },
};

/** The batch that was asked for. @throws CliError */
function batchOf(args: Pick<Arguments, "text">): number | undefined {
  const text = args.text("batch");
  if (text === undefined) return undefined;
  const batch = Number(text);
  if (!Number.isSafeInteger(batch) || batch < 1) throw new CliError(`--batch takes a whole number of at least 1, not ${text}`, "for example --batch 64");
  return batch;
}

/** Names of files; of the many with kernels (some have one for each form of theirs) only how many. */
function listed(paths: readonly string[]): string {
  const kernels = paths.filter((path) => path.endsWith(".wgsl"));
  const others = paths.filter((path) => !path.endsWith(".wgsl"));
  return [...(kernels.length === 0 ? [] : [`${kernels.length} .wgsl files`]), ...others].join(", ");
}

/** What a plan will ask of a device. */
function planLine(plan: WgslPlan): string {
  const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const { parts, first } = plan.accumulate ?? { parts: 1, first: { dispatches: [] } };
  const dispatches = parts * (plan.step.dispatches.length + first.dispatches.length) + plan.update.dispatches.length;
  const batch = `${(plan.bounds["B"] ?? 0) * parts}${parts === 1 ? "" : ` in ${parts} parts`}`;
  return `plan: ${dispatches} dispatches a step by ${plan.kernels.length} kernels; peak memory ${megabytes(plan.memory.total)} at batch ${batch}, of which ${megabytes(plan.memory.work)} for values within a step (no packing needs less than ${megabytes(plan.memory.lowerBound)})\n`;
}

/** Writes the files of a compiled program, its graph, and the link to the runtime where one is needed. */
function writeCompiled(result: CompileResult, folder: string, shown: string, cx: Pick<CliTerminal, "out">): void {
  const svg = result.graph === undefined ? [] : [{ path: "graph.svg", text: toSvg(result.graph) }];
  writeFolder(folder, [...result.files, ...svg], shown);
  const linked = linkRuntime(folder, shown);
  if (linked !== undefined) cx.out.write(`linked ${shown}/node_modules/jepac -> ${linked}, because no jepac is found from there\n`);
}

/** Compiles for a run: diagnostics are shown, the folder is written. Undefined when the program has errors. */
export function compileInto(opened: Opened, result: CompileResult, folder: string, cx: CliTerminal): CompileResult | undefined {
  tellDiagnostics(result, opened, cx);
  if (!result.ok) return undefined;
  writeCompiled(result, folder, relative(cx.cwd, folder) || ".", { out: cx.err });
  return result;
}
