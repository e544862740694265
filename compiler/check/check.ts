/**
 * The checker as one function: syntax trees in, a checked program or diagnostics out.
 *
 * Owns the sequence: collect names, choose the program, elaborate the model, read the recipe. The result is always there,
 * partial where the program has mistakes, so that tools can show what is known. Leaves analyses of the graph to their own
 * folders and loading of files to the caller.
 */
import type { Span } from "../base/span.js";
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { ModelGraph } from "../model/ir.js";
import type * as ast from "../syntax/ast.js";
import { reportDangling } from "./dangling.js";
import type { EncoderEntry, Overrides } from "./model.js";
import { elaborateModel } from "./model.js";
import type { Items, Program } from "./program.js";
import { assemble, collect, defaultProgram, programNames } from "./program.js";
import type { SweepPoint } from "./sweep.js";
import { sweepPoints } from "./sweep.js";
import type { CheckedTraining } from "./train.js";
import { checkBatch, checkFilled, checkGroups, checkParts, checkTokens } from "./batch.js";
import { checkData } from "./data.js";
import { asCount } from "./static.js";
import { checkTraining, maxSeed } from "./train.js";
import { holdBack } from "./unknown.js";
import type { Static } from "./values.js";
import { inVariant } from "./variant-places.js";

/** The files of a program: the one named, those it uses, and the library. */
export interface SourceFiles {
  readonly main: ast.File;
  readonly used: readonly ast.File[];
  readonly library: readonly ast.File[];
  /** A file that is used could not be had: names that are not known may be its, and are not called mistakes of their own. */
  readonly lacking: boolean;
}

export interface CheckOptions {
  /** Model or variant to take; the file's first model (else its first variant) when absent. */
  readonly program?: string;
  readonly overrides?: Overrides;
  /** In place of the recipe's. */
  readonly batch?: number;
}

/** A program that has been through the checker. */
export interface Checked {
  readonly program: Program;
  readonly graph: ModelGraph;
  readonly training: CheckedTraining;
  readonly encoders: readonly EncoderEntry[];
  /** Values of the model's `param`s after overrides. */
  readonly params: ReadonlyMap<string, Static>;
  readonly sweeps: readonly { readonly name: string; readonly points: readonly SweepPoint[] }[];
}

/** Names that a file offers to compile. */
export function listPrograms(files: SourceFiles, diagnostics: Diagnostics): readonly string[] {
  return programNames(collect(files.main, files.used, files.library, files.lacking, diagnostics));
}

/** Checks one program; undefined only when there is no program to speak of. */
export function check(files: SourceFiles, options: CheckOptions, diagnostics: Diagnostics): Checked | undefined {
  const items = collect(files.main, files.used, files.library, files.lacking, diagnostics);
  const name = choose(items, options, files, diagnostics);
  const program = name === undefined ? undefined : assemble(items, name, diagnostics);
  if (program === undefined) return undefined;
  const libraries = new Set(files.library.map((f) => f.span.file));
  const overrides = options.overrides ?? new Map<string, Static>();
  const broken = [files.main, ...files.used].flatMap((f) => f.broken);
  const held = holdBack(diagnostics);
  const model = elaborateModel(program, overrides, (file) => libraries.has(file), broken, held);
  const variant = items.variants.get(program.name);
  if (variant !== undefined) reportDangling(program, variant, held);
  const said = checkTraining(program, model.params, model, model.graph.inputs[0]?.channels, held);
  const seed = model.params.has("seed") ? undefined : seedOf(overrides, program, held);
  const training = { ...said, train: { ...said.train, ...(options.batch === undefined ? {} : { batch: options.batch }), ...(seed === undefined ? {} : { seed }) } };
  checkBatch(model.graph, training.train.batch, held);
  checkTokens(model.graph, held);
  checkData(model.graph, program, training, held);
  checkFilled(model.graph, training.train, settingSpan(program, "data", "batch"), held);
  checkParts(model.graph, training.train.batch, training.train.accumulate ?? 1, settingSpan(program, "accumulate"), held);
  checkGroups(model.graph, training.train.batch, training.train.accumulate ?? 1, held);
  const sweeps = program.sweeps.map((s) => ({ name: s.name.text, points: sweepPoints(s, model, held) }));
  if (variant !== undefined) held.list.forEach((d, i) => { held.list[i] = inVariant(d, program, variant); });
  held.pass(model.guessed, broken.map((b) => b.span));
  return { program, graph: model.graph, training, encoders: model.encoders, params: model.params, sweeps };
}

/** The seed that a sweep or `--set` asks for. */
function seedOf(overrides: ReadonlyMap<string, Static>, program: Program, diagnostics: Diagnostics): number | undefined {
  const value = overrides.get("seed");
  return value === undefined ? undefined : asCount({ kind: "static", value }, "`seed`", settingSpan(program, "seed"), diagnostics, 0, maxSeed);
}

/** Where a setting of `train` stands, else the first of the named ones that does, else the program's name. */
export function settingSpan(program: Program, ...names: readonly string[]): Span {
  for (const name of names) {
    const setting = program.settings.find((s) => s.name.text === name);
    if (setting !== undefined) return setting.span;
  }
  return program.span;
}

function choose(items: Items, options: CheckOptions, files: SourceFiles, diagnostics: Diagnostics): string | undefined {
  if (options.program === undefined) {
    const name = defaultProgram(items);
    if (name === undefined && !diagnostics.hasErrors()) diagnostics.add(report("JEP2031", { ...files.main.span, end: files.main.span.start }, {}));
    return name;
  }
  if (items.models.has(options.program) || items.variants.has(options.program)) return options.program;
  if (!items.lacking) diagnostics.add(report("JEP2030", { ...files.main.span, end: files.main.span.start }, { name: options.program, known: programNames(items).join(", ") || "none" }));
  return undefined;
}
