/**
 * The compiler as pure functions: text in, diagnostics, graph and files out.
 *
 * Owns the way through: load → check → analyses (`check-source.ts`) → lower → passes → autodiff → passes → target. No file, clock or global:
 * reading is given as a function, and so is the clock. The command line, an editor or a page are shells over this.
 */
import type { CompileOptions, ProgramOptions, Source } from "./arguments.js";
import { requireCompileOptions, requireSource } from "./arguments.js";
import { sha256 } from "./base/hash.js";
import type { Checked } from "./check/check.js";
import { settingSpan } from "./check/check.js";
import type { CheckResult, Passed, Refused } from "./check-source.js";
import { checkSource } from "./check-source.js";
import type { Watchlist } from "./collapse/monitors.js";
import { flopsPerImage } from "./lower/cost.js";
import type { Lowered } from "./lower/program.js";
import { lowerProgram } from "./lower/program.js";
import { makeManifest } from "./manifest.js";
import { report } from "./messages/report.js";
import type { StageRecord } from "./passes/pass.js";
import { buildStep } from "./targets/build-step.js";
import { encodersFile, encodersText } from "./targets/encoders.js";
import type { StepProgram } from "./targets/step.js";
import { untrainable } from "./targets/supported.js";
import { emitTfjs } from "./targets/tfjs/emit.js";
import { scaledPasses, sharedForms, tfjsPasses } from "./targets/tfjs/passes.js";
import { emitPlanned } from "./targets/wgsl/emit.js";
import { fitPlan } from "./targets/wgsl/fit.js";
import { portable } from "./targets/wgsl/plan.js";
import { tooLarge } from "./targets/wgsl/too-large.js";
import { verdictsOf } from "./verdicts.js";
import { version } from "./version.js";
import type { Manifest, WgslPlan } from "../runtime/abi.js";

export type { CompileOptions, ProgramOptions, Source } from "./arguments.js";
export type { CheckResult, Passed, Refused } from "./check-source.js";
export { check, graph } from "./check-source.js";

/** One file of a compiled program. */
export interface CompiledFile {
  readonly path: string;
  readonly text: string;
}

/** What compiling gave: a union on `ok`, as what checking finds is. */
export type CompileResult = Compiled | NotCompiled;

export interface Compiled extends Passed {
  /** `model.mjs`, `manifest.json`, `train.mjs`, `encoders.txt`, and what the target has beside them. */
  readonly files: readonly CompiledFile[];
  readonly manifest: Manifest;
  readonly step: StepProgram;
  readonly stages: readonly StageRecord[];
  /** For the wgsl target: what plan.json holds. */
  readonly plan?: WgslPlan;
}

export interface NotCompiled extends Refused {
  /** Empty. */
  readonly files: readonly CompiledFile[];
  readonly manifest: undefined;
  readonly step: undefined;
  readonly stages: readonly StageRecord[];
  readonly plan?: undefined;
}

/** Compiles a program to the files of a trainer. Throws a `TypeError` for a source, an option or a device that is none: the caller's mistakes. */
export function compile(source: Source, options: CompileOptions = {}): CompileResult {
  requireSource(source);
  requireCompileOptions(options);
  return compileChecked(checkSource(source, options), source.file, options);
}

/** Compiles what was checked already, with the same program, values and batch as `options` have. */
export function compileChecked(result: CheckResult, file: string, options: CompileOptions): CompileResult {
  if (!result.ok) return { ...result, files: [], manifest: undefined, step: undefined, stages: [] };
  const { checked } = result;
  const refused = untrainable(checked.graph);
  if (refused.length > 0) return { ...result, ok: false, diagnostics: [...result.diagnostics, ...refused], files: [], manifest: undefined, step: undefined, stages: [] };
  const { lowered, step, manifest: planless, records } = stepOf(checked, result, file, options);
  const planned = options.target === "wgsl" ? fitPlan(step, planless, options.device ?? portable, { storage: planless.precision ?? "f32" }) : undefined;
  const told = planned !== undefined && "limit" in planned ? [tooLarge(checked, planless, planned)] : planned === undefined && planless.train.recompute !== undefined ? [report("JEP7002", settingSpan(checked.program, "recompute"), {})] : [];
  if (planned !== undefined && "limit" in planned) return { ...result, ok: false, diagnostics: [...result.diagnostics, ...told], files: [], manifest: undefined, step: undefined, stages: records };
  const wgsl = planned === undefined ? undefined : emitPlanned(step, planned);
  const run = wgsl === undefined ? emitTfjs(step) : wgsl.files;
  const manifest: Manifest = { ...planless, files: Object.fromEntries(run.map(({ path, text }) => [path, sha256(text)])) };
  const files = [
    ...run,
    { path: "manifest.json", text: `${JSON.stringify(manifest, undefined, 1)}\n` },
    { path: "train.mjs", text: trainText(checked.graph.name) },
    { path: encodersFile, text: encodersText(lowered) },
  ];
  return { ...result, diagnostics: [...result.diagnostics, ...told], files, manifest, step, stages: records, ...(wgsl === undefined ? {} : { plan: wgsl.plan }) };
}

/** From a checked program without errors to its step program and manifest: what every target starts from. */
export function stepOf(checked: Checked, result: CheckResult, file: string, options: CompileOptions = {}): { readonly lowered: Lowered; readonly step: StepProgram; readonly manifest: Manifest; readonly records: readonly StageRecord[] } {
  const lowered = lowerChecked(checked, result.analyses?.watchlist);
  const half = options.target === "wgsl" && options.precision === "f16";
  const { step, records } = buildStep(lowered, { name: checked.graph.name, doc: checked.graph.doc, file, texts: result.texts }, {
    before: options.target === "wgsl" ? sharedForms : tfjsPasses.before, after: half ? scaledPasses : tfjsPasses.after, ...(options.now === undefined ? {} : { now: options.now }),
  });
  const manifest = makeManifest({
    checked, lowered, target: options.target ?? "tfjs", precision: half ? "f16" : "f32", file, hash: sourceHash(result.texts, options), compiler: version,
    flopsPerImage: flopsPerImage(checked.graph, lowered, checked.training.train.batch), verdicts: verdictsOf(result.analyses, lowered.watches),
  });
  return { lowered, step, manifest, records };
}

/** Lowers a checked program without errors. `watchlist`: what a step hands back for monitors; declared encoders unless said. */
export function lowerChecked(checked: Checked, watchlist?: Watchlist): Lowered {
  return lowerProgram(checked.graph, checked.encoders, new Set(checked.training.probes.map((p) => p.on)), watchlist);
}

/** One hash for the program's texts (the library's too), the choice of program and its overrides. */
function sourceHash(texts: ReadonlyMap<string, string>, options: ProgramOptions): string {
  const parts = [...texts.values(), options.program ?? "", JSON.stringify(options.set ?? {})];
  return sha256(parts.map((p) => `${p.length}:${p}`).join(""));
}

function trainText(name: string): string {
  return `// Trains ${name.replace(/[^\w-]/g, "_")}: node train.mjs --help
// Generated by jepac. The runtime does the work; this file only tells it where the compiled program is: model.mjs and manifest.json beside it.
// It depends on one package, jepac ${version}, which has to be found from this folder or one above it.
try {
  const { runCompiled } = await import("jepac/runtime/node");
  process.exitCode = await runCompiled(import.meta.dirname, process.argv.slice(2));
} catch (error) {
  if (error?.code !== "ERR_MODULE_NOT_FOUND" || !error.message.includes("'jepac'")) throw error;
  console.error(\`error: the package jepac is not found from \${import.meta.dirname}\\nhelp: install jepac ${version} there or in a folder above it, or compile the program on this machine, which links it\`);
  process.exitCode = 2;
}
`;
}
