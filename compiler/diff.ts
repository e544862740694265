/**
 * The semantic difference of two programs: what they do differently, not how they are written.
 *
 * Owns the comparison of two checked programs by what counts: instances and their training, values by the expressions that
 * make them, masks, losses and weights, which instances each loss trains, the recipe and its probes, verdicts and the rules
 * behind them, parameters, arithmetic and memory. Names are how the two are matched; order, layout and comments are not looked at. Pure.
 */
import type { CheckResult } from "./compile.js";
import { lowerChecked, stepOf } from "./compile.js";
import { flopsPerImage } from "./lower/cost.js";
import { namedNodes, parameterCount, trainedBy } from "./model/queries.js";
import { sizeWords } from "./model/sizes.js";
import { usualLengths } from "./masks/usual.js";
import type { Mask, ModelGraph, Node, Schedule } from "./model/ir.js";
import { tfjsMemory, wgslMemory } from "./targets/memory.js";
import { untrainable } from "./targets/supported.js";
import { printDim } from "./types/dim.js";

/** One thing that differs; undefined on the side that does not have it. */
export interface Change {
  readonly what: "input" | "view" | "mask" | "instance" | "value" | "loss" | "gradient" | "train" | "probe" | "verdict" | "parameters" | "flops" | "memory";
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** All differences, in the order of the kinds above. */
export interface ProgramDifference {
  readonly before: string;
  readonly after: string;
  readonly changes: readonly Change[];
}

/** Compares two checked programs. Undefined where one of them has no graph. */
export function diffPrograms(a: CheckResult, b: CheckResult): ProgramDifference | undefined {
  if (a.graph === undefined || b.graph === undefined) return undefined;
  const [x, y] = [aspects(a, a.graph), aspects(b, b.graph)];
  const changes: Change[] = [];
  for (const kind of kinds) {
    const [left, right] = [x.get(kind) ?? new Map<string, string>(), y.get(kind) ?? new Map<string, string>()];
    for (const name of new Set([...left.keys(), ...right.keys()])) {
      const [before, after] = [left.get(name), right.get(name)];
      if (before !== after) changes.push({ what: kind, name, before, after });
    }
  }
  return { before: a.graph.name, after: b.graph.name, changes };
}

const kinds: readonly Change["what"][] = ["input", "view", "mask", "instance", "value", "loss", "gradient", "train", "probe", "verdict", "parameters", "flops", "memory"];

/** Pictures, clips, and what comes with them: their sizes without the batch. */
function inputs(graph: ModelGraph): ReadonlyMap<string, string> {
  const pixels = graph.inputs.map((i): [string, string] => [i.name, `${i.frames === undefined ? "" : `${i.frames} frames of `}${i.height}x${i.width}x${i.channels}`]);
  const beside = graph.body.nodes.flatMap((n): [string, string][] => {
    const { kind } = n.type.space;
    return n.op === "input" && (kind === "actions" || kind === "labels") ? [[n.attrs.path ?? "", `${kind} ${n.type.shape.slice(1).map(printDim).join("x")}`]] : [];
  });
  return new Map([...pixels, ...beside]);
}

/** What is compared of one program: per kind, names with a text of what they are. */
function aspects(result: CheckResult, graph: ModelGraph): ReadonlyMap<Change["what"], ReadonlyMap<string, string>> {
  const count = parameterCount(graph);
  const flops = countFlops(result);
  const named = firstNamed(graph);
  return new Map<Change["what"], ReadonlyMap<string, string>>([
    ["input", inputs(graph)],
    ["view", new Map(graph.views.map((v) => [v.name, `${v.input} at ${v.height}x${v.width}: ${v.transforms.map((t) => `${t.name}(${flat(t.args)})`).join(" ")}`]))],
    ["mask", new Map(graph.masks.map((m) => [m.name, maskText(m)]))],
    ["instance", new Map(graph.instances.map((i) => [i.name, `${i.module}(${flat(i.config)}), ${trainingText(graph, i.name)}, ${sizeWords(parameterCount(graph, i))} parameters`]))],
    ["value", values(graph)],
    ["loss", new Map(graph.losses.map((l) => [l.name, `${scheduleText(l.weight)} * ${expression(graph, graph.body.nodes[l.node], named)}`]))],
    ["gradient", new Map(graph.losses.map((l) => [l.name, `trains ${trainedBy(graph, l).join(", ") || "nothing"}`]))],
    ["train", recipe(result)],
    ["probe", new Map((result.checked?.training.probes ?? []).map((p) => [`${p.kind} of ${p.on}`, flat({ pool: p.pool, ...p.args })]))],
    ["verdict", verdicts(result)],
    ["parameters", new Map([["trained", String(count.trained)], ["total", String(count.total)]])],
    ["flops", new Map(flops === undefined ? [] : [["forward, per image", String(flops)]])],
    ["memory", memory(result)],
  ]);
}

/** The settings of training, by the names that the language has for them. */
function recipe({ checked }: CheckResult): ReadonlyMap<string, string> {
  if (checked === undefined) return new Map();
  const { train, transforms } = checked.training;
  const { data, duration, optimizer } = train;
  const settings: Readonly<Record<string, string | undefined>> = {
    data: "count" in data ? `${data.kind === "waves" ? "waves" : "shapes"}(count: ${data.count})` : `${data.kind}(${data.path}${data.kind === "arrays" || data.bands === undefined ? "" : `, bands ${data.bands.join(" ")}`}${data.kind === "videos" ? `, every ${data.every}` : ""}), on_corrupt ${data.onCorrupt}, on_small ${data.onSmall}${data.kind === "videos" ? `, on_short ${data.onShort}` : ""}`,
    normalize: `mean ${train.mean.join(", ")}, std ${train.std.join(", ")}`,
    augment: transforms.length === 0 ? undefined : transforms.map((t) => `${t.name}(${flat(t.args)})`).join(" "),
    [duration.unit]: String(duration.value),
    batch: String(train.batch),
    accumulate: train.accumulate === undefined ? undefined : String(train.accumulate),
    recompute: train.recompute,
    seed: String(train.seed),
    optimizer: `${optimizer.kind}(${flat({ ...optimizer, kind: undefined })})`,
    learning_rate: scheduleText(train.learningRate),
    weight_decay: scheduleText(train.weightDecay),
    gradient_clip: train.gradientClip === undefined ? undefined : String(train.gradientClip),
    checkpoint_every: `${train.checkpointEvery.value} ${train.checkpointEvery.unit}`,
    on_collapse: train.onCollapse,
  };
  return new Map(Object.entries(settings).flatMap(([name, text]): [string, string][] => (text === undefined ? [] : [[name, text]])));
}

/** Peaks of a step at the batch size, by target; nothing for programs that can only be checked. */
function memory(result: CheckResult): ReadonlyMap<string, string> {
  const { checked } = result;
  if (!result.ok || checked === undefined || untrainable(checked.graph).length > 0) return new Map();
  const { step, manifest } = stepOf(checked, result, checked.graph.name);
  const { batch } = manifest.train;
  const tfjs = tfjsMemory(step, manifest, usualLengths(checked.graph, batch));
  const wgsl = wgslMemory(stepOf(checked, result, checked.graph.name, { target: "wgsl" }).step, manifest);
  return new Map([
    ["parameters and optimizer", megabytes(tfjs.kept)],
    [`tfjs, step of ${batch}`, megabytes(tfjs.step)],
    [`wgsl, step of ${batch}`, megabytes(wgsl.step)],
    ["tfjs, in all", megabytes(tfjs.total)],
    ["wgsl, in all", megabytes(wgsl.total)],
  ]);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
}

function countFlops(result: CheckResult): number | undefined {
  const { checked } = result;
  return result.ok && checked !== undefined ? flopsPerImage(checked.graph, lowerChecked(checked), checked.training.train.batch) : undefined;
}

function verdicts(result: CheckResult): ReadonlyMap<string, string> {
  const { analyses } = result;
  if (analyses === undefined) return new Map([["program", "not analyzed"]]);
  const held = analyses.collapse.encoders.map((e): [string, string] => [
    `proof of ${e.encoder}`,
    [...new Set([...e.protectors.map((p) => `${p.term.kind} (${p.because})`), ...e.mechanisms.map((m) => m.mechanism.kind), ...e.findings.map((f) => f.rule)])].join(", ") || "nothing",
  ]);
  return new Map([["program", analyses.program.verdict], ...analyses.losses.map((l): [string, string] => [l.loss, l.verdict]), ...held]);
}

function values(graph: ModelGraph): ReadonlyMap<string, string> {
  const named = firstNamed(graph);
  return new Map([...namedNodes(graph)].flatMap(([name, node]): [string, string][] => (node.op === "input" ? [] : [[name, expression(graph, node, named)]])));
}

/** The nodes that names stand for. */
function firstNamed(graph: ModelGraph): ReadonlySet<number> {
  return new Set([...namedNodes(graph).values()].map((n) => n.id));
}

const deepest = 40;

/** An expression over the names of the program: a named operand is its name. */
function expression(graph: ModelGraph, node: Node | undefined, named: ReadonlySet<number>, depth = 0): string {
  if (node === undefined || depth > deepest) return "…";
  const args = node.args.map((id) => {
    const arg = graph.body.nodes[id];
    return arg?.name !== undefined && named.has(id) ? arg.name : expression(graph, arg, named, depth + 1);
  });
  switch (node.op) {
    case "input": case "param": return node.attrs.path;
    case "call": return `${node.attrs.instance}(${args.join(", ")})`;
    case "at": return `${args[0] ?? ""} at ${node.attrs.mask}`;
    case "loss": return `${node.attrs.loss}(${[...args, flat(node.attrs.numbers ?? {}), flat(node.attrs.strings ?? {})].filter((t) => t !== "").join(", ")})`;
    default: {
      const { mask, temperature, eps, value, over, momentum, start, size } = node.attrs;
      const settings = flat({ mask, temperature, eps, value, over: over?.join("+"), momentum, start, size });
      return `${node.op}(${[...args, settings].filter((t) => t !== "").join(", ")})`;
    }
  }
}

function flat(record: Readonly<Record<string, unknown>>): string {
  return Object.entries(record).flatMap(([k, v]) => (v === undefined ? [] : [`${k}: ${Array.isArray(v) ? v.join("..") : String(v)}`])).sort().join(", ");
}

function maskText(m: Mask): string {
  const how = m.kind === "block" ? `scale ${m.scale.join("..")}, aspect ${m.aspect.join("..")}, min_keep ${m.minKeep}, ${m.sampler}` : m.kind === "random" ? `ratio ${m.ratio.join("..")}` : m.kind;
  return `${m.count} of ${m.kind} (${how}, trim ${m.trim}${m.trimGroup === undefined ? "" : ` within ${m.trimGroup} images`})${m.minus.length === 0 ? "" : ` minus ${m.minus.join(", ")}`}${m.allowOverlap ? ", overlap" : ""}`;
}

function trainingText(graph: ModelGraph, name: string): string {
  const { training, from } = graph.instances.find((i) => i.name === name) ?? {};
  const start = from === undefined ? "" : ` from ${from.path}${from.name === undefined ? "" : ` (${from.name})`}`;
  switch (training?.kind) {
    case "ema": return `follows ${training.of} with ${scheduleText(training.momentum)}`;
    case "frozen": return `frozen (${training.init})${start}`;
    default: return `trained${start}`;
  }
}

function scheduleText({ kind, points, warmup, stretch }: Schedule): string {
  if (points.length === 1) return String(points[0]);
  const words = [points.join(" -> "), ...(warmup === undefined ? [] : [`warmup: ${warmup.value} ${warmup.unit}`]), ...(stretch === 1 ? [] : [`stretch: ${stretch}`])];
  return `${kind.replace("warmup_", "")}(${words.join(", ")})`;
}

/** The difference as text, one line each, ending with a line break. */
export function printDifference(difference: ProgramDifference): string {
  const { before, after, changes } = difference;
  if (changes.length === 0) return `${before} and ${after} are the same program\n`;
  const lines = [`${before} -> ${after}`];
  let kind = "";
  for (const c of changes) {
    if (c.what !== kind) lines.push("", `  ${c.what}`);
    kind = c.what;
    if (c.before !== undefined) lines.push(`    - ${c.name}: ${c.before}`);
    if (c.after !== undefined) lines.push(`    + ${c.name}: ${c.after}`);
  }
  return `${lines.join("\n")}\n`;
}
