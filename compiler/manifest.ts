/**
 * The manifest of a compiled program: what the runtime must know, as one JSON document.
 *
 * Owns the translation from checked program and lowered functions to the contract in `runtime/abi.ts`: parameters with
 * absolute names, masks with their grids, views, schedules, probes. Every number in it was decided by the compiler.
 */
import { comparing } from "./check/batch.js";
import type { Checked } from "./check/check.js";
import type { Verdicts } from "./verdicts.js";
import type { Instance, Mask, ModelGraph } from "./model/ir.js";
import type { Lowered, ProgramParam } from "./lower/program.js";
import { constantOf, product } from "./types/dim.js";
import { sha256 } from "./base/hash.js";
import { isLibraryName } from "./std/names.js";
import { computed } from "./targets/computed.js";
import { encoderFunction } from "./targets/encoders.js";
import { funcOf } from "./tensor/ir.js";
import { reachable } from "./tensor/visit.js";
import type { EncoderInfo, Manifest, MaskSpec, Parameter, PretrainedSpec, ViewSpec } from "../runtime/abi.js";

/** What a manifest needs beside the program. */
export interface ManifestParts {
  readonly checked: Checked;
  readonly lowered: Lowered;
  readonly target: Manifest["target"];
  readonly precision?: "f32" | "f16" | undefined;
  readonly file: string;
  readonly hash: string;
  readonly compiler: string;
  readonly flopsPerImage: number;
  readonly verdicts: Verdicts;
}

/** Builds the manifest. */
export function makeManifest(parts: ManifestParts): Manifest {
  const { checked, lowered } = parts;
  const { graph, training } = checked;
  const parameters = lowered.params.flatMap((p) => expand(p, lowered.instances));
  const pretrained = pretrainedOf(checked, lowered);
  const used = new Set(lowered.instances.map((i) => i.name));
  const size = (p: Parameter): number => p.shape.reduce((n, d) => n * d, 1);
  return {
    format: 1,
    program: graph.name,
    doc: graph.doc ?? "",
    compiler: parts.compiler,
    target: parts.target,
    ...(parts.precision === "f16" ? { precision: parts.precision } : {}),
    source: { file: parts.file, hash: parts.hash },
    parameters,
    inputs: graph.inputs.map(({ origin: _, ...input }) => input),
    ...(lowered.numbers.length === 0 ? {} : { numbers: lowered.numbers }),
    views: viewsOf(checked, mainInputs(lowered)),
    masks: drawnMasks(graph, lowered),
    draws: lowered.draws.map((d) => ({ name: d.name, shape: d.shape, distribution: "normal" })),
    encoders: lowered.encoders.flatMap((e) => encoderInfo(checked, lowered, e.name)),
    ema: lowered.instances.flatMap((i) => (i.training.kind === "ema" && used.has(i.training.of) ? [{ target: i.name, source: i.training.of, momentum: i.training.momentum }] : [])),
    ...(pretrained.length === 0 ? {} : { pretrained }),
    losses: graph.losses.map((l) => ({
      name: l.name, kind: l.kind, weight: l.weight.points[0] ?? 1,
      ...(l.weight.kind === "constant" ? {} : { course: l.weight }),
      trivial: parts.verdicts.trivial.get(l.name) ?? [], verdict: parts.verdicts.byLoss.get(l.name) ?? "unknown",
    })),
    watches: lowered.watches,
    monitors: parts.verdicts.monitors,
    train: comparing(graph) === undefined ? { ...training.train, separable: true } : training.train,
    probes: training.probes,
    allowed: parts.verdicts.allowed,
    counts: {
      // Keys that a queue keeps are no parameters.
      parameters: parameters.reduce((n, p) => n + (used.has(p.group) ? size(p) : 0), 0),
      trainable: parameters.reduce((n, p) => n + (p.role === "trained" ? size(p) : 0), 0),
      flopsPerImage: parts.flopsPerImage,
    },
  };
}

/** Paths of `main`'s inputs: what a step must be fed. */
function mainInputs(lowered: Lowered): ReadonlySet<string> {
  const main = lowered.module.funcs.get(lowered.main);
  return new Set((main?.inputs ?? []).filter((i) => i.role === "data" || i.role === "index").map((i) => i.path));
}

/** A stacked declaration as the parameters it stands for: `blocks.*.norm1.weight` → `blocks.0.norm1.weight`, … */
function expand(p: ProgramParam, instances: readonly Instance[]): Parameter[] {
  const counts = [...p.stack];
  let names = [p.path];
  for (const count of counts) names = names.flatMap((name) => Array.from({ length: count }, (_, i) => name.replace("*", String(i))));
  const instance = instances.find((i) => i.name === p.instance);
  const training = instance?.training;
  const role = p.role === "state" ? "state" : p.role === "fixed" ? "fixed" : training?.kind === "ema" ? "ema" : training?.kind === "frozen" ? "fixed" : "trained";
  // Weight decay goes to tensors of two or more axes, mask tokens [1, 1, D] included; not to biases and scales (I-JEPA 1.6).
  const decay = p.shape.length > 1;
  return names.map((name) => ({
    name, shape: p.shape, group: p.instance, role, decay: role === "trained" && decay, init: p.init,
    ...(training?.kind === "ema" && role === "ema" ? { follows: name.replace(p.instance, training.of) } : {}),
  }));
}

function viewsOf(checked: Checked, fed: ReadonlySet<string>): ViewSpec[] {
  const { graph, training } = checked;
  const framed = ({ frames }: { readonly frames?: number } = {}): { readonly frames?: number } => (frames === undefined ? {} : { frames });
  const own = graph.views.map((v) => ({ name: v.name, input: v.input, ...framed(graph.inputs.find((i) => i.name === v.input)), height: v.height, width: v.width, transforms: v.transforms }));
  const plain = graph.inputs.map((i) => ({ name: i.name, input: i.name, ...framed(i), height: i.height, width: i.width, transforms: training.transforms }));
  return [...plain, ...own].filter((v) => fed.has(v.name));
}

/** The masks that a step is fed, and those that they are made of, as the sampler takes them; the place of each is a part of what it draws. */
export function drawnMasks(graph: ModelGraph, lowered: Lowered): readonly MaskSpec[] {
  return masksOf(graph, mainInputs(lowered));
}

function masksOf(graph: ModelGraph, fed: ReadonlySet<string>): MaskSpec[] {
  const needed = new Set(graph.masks.map((m) => m.name).filter((name) => fed.has(name)));
  const byName = new Map(graph.masks.map((m) => [m.name, m]));
  const todo = [...needed];
  while (todo.length > 0) {
    for (const other of byName.get(todo.pop() ?? "")?.minus ?? []) {
      if (needed.has(other)) continue;
      needed.add(other);
      todo.push(other);
    }
  }
  return graph.masks.filter((m) => needed.has(m.name)).flatMap((m) => maskSpec(m).map((spec): MaskSpec => (fed.has(m.name) ? spec : { ...spec, unread: true })));
}

/** A mask for the sampler; one without a grid was never used. */
export function maskSpec(m: Mask): MaskSpec[] {
  if (m.grid === undefined) return [];
  const { rows, cols, frames } = m.grid;
  return [{
    name: m.name, grid: { rows, cols, ...(frames === undefined ? {} : { frames }) }, kind: m.kind, count: m.count, scale: m.scale, aspect: m.aspect, ratio: m.ratio,
    minKeep: m.minKeep, minus: m.minus, sampler: m.sampler, allowOverlap: m.allowOverlap, trim: m.trim,
    ...(m.trimGroup === undefined ? {} : { trimGroup: m.trimGroup }),
  }];
}

function encoderInfo(checked: Checked, lowered: Lowered, name: string): EncoderInfo[] {
  const entry = checked.encoders.find((e) => e.name === name);
  const instance = checked.graph.instances.find((i) => i.name === name);
  const width = entry?.result.shape.at(-1);
  if (entry === undefined || instance === undefined || width === undefined) return [];
  const { positions, axes, shape } = entry.result;
  // Tokens of every frame, one frame after the other, are tokens of the clip.
  const moments = axes.includes("time") ? entry.size.frames : undefined;
  const count = axes.includes("token") || moments !== undefined ? product(shape.slice(1, -1)) : undefined;
  const frames = positions.kind === "all" ? positions.grid.frames ?? moments : undefined;
  const grid = positions.kind === "all" ? { rows: positions.grid.rows, cols: positions.grid.cols, patch: positions.grid.patch, ...(positions.grid.across === undefined ? {} : { across: positions.grid.across }), ...(frames === undefined ? {} : { frames }) } : undefined;
  const size = checked.graph.inputs.some((i) => i.name === entry.input) ? {} : { size: entry.size };
  return [{ name, input: entry.input, ...size, width: constantOf(width) ?? 0, tokens: count === undefined ? 0 : constantOf(count) ?? 0, grid, trained: instance.training.kind === "optimized", computes: sha256(computed(lowered.module, name)).slice(0, 16) }];
}

/** Modules that begin with weights of a file. */
function pretrainedOf(checked: Checked, lowered: Lowered): readonly PretrainedSpec[] {
  return lowered.instances.flatMap(({ name, from }): PretrainedSpec[] => {
    if (from === undefined) return [];
    const vit = libraryVit(checked, lowered, name);
    return [{ module: name, path: from.path, ...(from.name === undefined ? {} : { name: from.name }), ...(vit === undefined ? {} : { vit }) }];
  });
}

/** The numbers of an encoder that no parameter shows, where it is the library's `vit` and every module within it is the library's too. */
function libraryVit(checked: Checked, lowered: Lowered, name: string): PretrainedSpec["vit"] {
  const root = encoderFunction(name);
  const instance = checked.graph.instances.find((i) => i.name === name);
  if (instance?.module !== "vit" || !lowered.encoders.some((e) => e.func === root)) return undefined;
  const inside = [...reachable(lowered.module, [root])].map((func) => funcOf(lowered.module, func));
  if (inside.some((f) => f.name !== root && (f.origin === undefined || !isLibraryName(f.origin.file)))) return undefined;
  const nodes = inside.flatMap((f) => f.nodes);
  const heads = new Set(nodes.flatMap((n) => (n.op === "sdpa" ? [n.attrs.heads] : [])));
  const eps = new Set(nodes.flatMap((n) => (n.op === "normalize" ? [n.attrs.eps] : [])));
  const [[oneHeads], [oneEps]] = [[...heads], [...eps]];
  return heads.size === 1 && eps.size === 1 && oneHeads !== undefined && oneEps !== undefined ? { heads: oneHeads, eps: oneEps } : undefined;
}
