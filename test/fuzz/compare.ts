/**
 * A program through everything that must agree: what is printed and read back, the passes of each target in float64, other
 * spellings of it, and two steps on engines, with every gradient and weight.
 *
 * The oracle is the lowered program before any pass, differentiated and run in float64. An engine may be off by what float32
 * makes of it: so many times what the oracle itself is off when all weights are shaken in their last bits.
 */
import { isDeepStrictEqual } from "node:util";
import { check, lowerChecked } from "../../compiler/compile.js";
import type { CompileResult } from "../../compiler/compile.js";
import { parseGraph } from "../../compiler/model/parse.js";
import { printGraph } from "../../compiler/model/print.js";
import { format } from "../../compiler/syntax/format.js";
import { buildStep } from "../../compiler/targets/build-step.js";
import type { StepProgram } from "../../compiler/targets/step.js";
import { parseModule } from "../../compiler/tensor/parse.js";
import { printModule } from "../../compiler/tensor/print.js";
import type { Engine, Hyper, Manifest, StepBatch } from "../../runtime/abi.js";
import { loadTf } from "../../runtime/backends/tfjs/engine.js";
import { createTfjsEngine } from "../../runtime/backends/tfjs/run.js";
import { partCount, partOf } from "../../runtime/backends/parts.js";
import { stream } from "../../runtime/base/random.js";
import { resolveRecipe } from "../../runtime/train/recipe.js";
import type { Interpreted } from "../compiler/targets/wgsl/oracle.js";
import { interpreted } from "../compiler/targets/wgsl/oracle.js";
import { batchFor, engineFor, moduleOf } from "../compiler/targets/wgsl/programs.js";
import type { Ready } from "../fidelity/compiled.js";
import { compileRepo, importModule, readRepo } from "../fidelity/compiled.js";
import { Draw } from "./generate.js";
import { apart, difference, largest, updated } from "./reference.js";
import { pathBy, recordBy, renamed, shuffled } from "./rewrite.js";
import { asVariant } from "./wider.js";

const file = "examples/fuzz.jepa";

/** Codes for which a program is not accepted; one whose sampler may not end is not run either. */
export function refusals(text: string): string[] {
  return check({ file, text, read: readRepo }).diagnostics.filter((d) => d.severity === "error" || d.code === "JEP5010").map((d) => d.code);
}

type State = ReadonlyMap<string, Float32Array>;

/** Weights in the middle of training: nothing is zero, no variance negative. */
function stateOf(manifest: Manifest, seed: number): State {
  return new Map(manifest.parameters.map(({ name, shape, role, init }) => {
    const next = stream(seed, `fuzz ${name}`);
    const one = (): number => (role === "state" ? (init.kind === "ones" ? 1 : 0) + 0.3 * Math.abs(next.normal()) : (init.kind === "ones" ? 1 : 0) + 0.4 * next.normal());
    return [name, Float32Array.from({ length: shape.reduce((n, side) => n * side, 1) }, one)];
  }));
}

function shaken(state: State, seed: number): State {
  const next = stream(seed, "shaken");
  return new Map([...state].map(([name, x]) => [name, x.map((v) => v * (1 + 3e-7 * next.normal()))]));
}

/** The step of a program before any pass. */
function unpassed(text: string, result: CompileResult): StepProgram {
  const { checked, analyses } = check({ file, text, read: readRepo });
  if (checked === undefined) throw new Error("not checked");
  return buildStep(lowerChecked(checked, analyses?.watchlist), { name: "fuzz", doc: undefined, file, texts: result.texts }, { before: [], after: [] }).step;
}

/** The batch as the oracle reads it: weights of losses that change are inputs beside its numbers. */
export function withWeights(batch: StepBatch, { weights = {} }: Pick<Hyper, "weights">): StepBatch {
  return { ...batch, draws: { ...batch.draws, ...Object.fromEntries(Object.entries(weights).map(([name, x]) => [`weight ${name}`, Float32Array.of(x)])) } };
}

/** What a batch makes whose parts have rows of their own lengths: the mean over its parts. */
function overParts(step: StepProgram, manifest: Manifest, state: State, batch: StepBatch): Interpreted {
  const parts = Object.values(batch.masks).some((m) => m.groups !== undefined) ? partCount(manifest, batch.size) : 1;
  const made = Array.from({ length: parts }, (_, part) => interpreted(step, state, partOf(batch, part, parts)));
  const [first] = made;
  if (first === undefined || parts === 1) return first ?? interpreted(step, state, batch);
  const mean = (read: (x: Interpreted) => ArrayLike<number> | undefined, n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => made.reduce((sum, x) => sum + (read(x)?.[i] ?? NaN), 0) / parts);
  return {
    losses: new Map([...first.losses].map(([name, { shape, data }]) => [name, { shape, data: mean((x) => x.losses.get(name)?.data, data.length) }])),
    grads: new Map([...first.grads].map(([name, g]) => [name, mean((x) => x.grads.get(name), g.length)])), state: first.state,
  };
}

function all(x: Interpreted): Map<string, ArrayLike<number>> {
  return new Map([...[...x.losses].map(([n, v]) => [`loss ${n}`, v.data] as const), ...[...x.grads].map(([n, v]) => [`gradient ${n}`, v] as const), ...[...x.state].map(([n, v]) => [`state ${n}`, v] as const)]);
}

/** Everything about an accepted program that does not agree; with `onDevice`, WebGPU is asked too. */
export async function disagreements(text: string, seed: number, onDevice = false): Promise<string[]> {
  const found: string[] = [];
  const ready = compileRepo(file, { text });
  const { manifest, graph } = ready;
  if (graph === undefined || !isDeepStrictEqual(parseGraph(printGraph(graph)), graph)) found.push("the graph does not read back");
  if (printModule(parseModule(printModule(ready.step.module))) !== printModule(ready.step.module)) found.push("the step does not read back");
  const variant = check({ file, text: asVariant(text, new Draw(seed)), read: readRepo }, { program: "fuzz" });
  const [said, flat] = [variant, check({ file, text, read: readRepo })].map(({ checked, graph: g }) => (checked === undefined || g === undefined ? undefined : JSON.stringify([printGraph({ ...g, doc: undefined }, { origins: false }), checked.training])));
  if (said === undefined || said !== flat) found.push(`another program as a variant, ${asVariant(text, new Draw(seed))}`);
  const again = check({ file, text: format(text, file).text, read: readRepo }).graph;
  if (graph === undefined || again === undefined || printGraph(again, { origins: false }) !== printGraph(graph, { origins: false })) found.push("formatting changes the program");
  const state = stateOf(manifest, seed);
  const batch = withWeights(batchFor(manifest, 1), resolveRecipe(manifest, 64).hyperAt(1));
  found.push(...respelled(text, seed, state, batch, overParts(unpassed(text, ready), manifest, state, batch)));
  return [...found, ...await numbersApart(text, seed, onDevice)];
}

/** What does not agree in the numbers of a program as it is written: passes in float64, and two steps on engines. */
export async function numbersApart(text: string, seed: number, onDevice = false): Promise<string[]> {
  const found: string[] = [];
  const ready = compileRepo(file, { text });
  const { manifest } = ready;
  const before = unpassed(text, ready);
  const state = stateOf(manifest, seed);
  const batch = withWeights(batchFor(manifest, 1), resolveRecipe(manifest, 64).hyperAt(1));
  const wanted = overParts(before, manifest, state, batch);
  const exact = (got: Interpreted, what: string): string[] => apart(what, all(got), all(wanted), (_, w) => 1e-8 * (largest(w) + steepest(wanted)));
  const wgsl = compileRepo(file, { text, target: "wgsl" });
  found.push(...exact(overParts(ready.step, manifest, state, batch), "passes for tfjs"), ...exact(overParts(wgsl.step, manifest, state, batch), "passes for wgsl"));
  found.push(...await steps("wasm", before, await onWasm(ready, state), manifest, state, seed));
  if (!onDevice) return found;
  const device = await engineFor({ ...wgsl, module: moduleOf(wgsl) });
  if (device === undefined) return found;
  await device.importState(state);
  return [...found, ...await steps("wgsl", before, device, manifest, state, seed, () => device.gradients())];
}

function steepest({ grads }: Interpreted): number {
  return Math.max(1e-4, ...[...grads.values()].map(largest));
}

async function onWasm(ready: Ready, initial: State): Promise<Engine> {
  return createTfjsEngine(ready.manifest, await importModule(ready), { ...await loadTf("wasm"), initial });
}

/**
 * The same program with other names and in another order, in float64: losses, gradients, and what running states become.
 */
function respelled(text: string, seed: number, state: State, batch: StepBatch, wanted: Interpreted): string[] {
  const d = new Draw(seed);
  const { text: other, names } = renamed(shuffled(text, d), d);
  const { step, manifest } = compileRepo(file, { text: other });
  const given = new Map([...state].map(([path, x]) => [pathBy(names, path), x]));
  // Which grid's table of positions has a name without its size goes by the order of lines.
  const tableOf = (name: string, size: number): Float32Array | undefined => [...given].find(([other, x]) => tableless(other) === tableless(name) && x.length === size)?.[1];
  const ownState = new Map(manifest.parameters.map(({ name, shape }) => [name, tableOf(name, shape.reduce((n, side) => n * side, 1)) ?? new Float32Array()]));
  const got = overParts(step, manifest, ownState, { ...batch, images: recordBy(names, batch.images), ...(batch.numbers === undefined ? {} : { numbers: recordBy(names, batch.numbers) }), masks: recordBy(names, batch.masks) });
  const [total, theirs] = [[...wanted.losses.values()][0], [...got.losses.values()][0]].map((x) => x?.data ?? []);
  const expected = new Map<string, ArrayLike<number>>([["loss", total ?? []], ...[...wanted.grads, ...wanted.state].map(([path, x]) => [pathBy(names, path), x] as const)]);
  return apart(`by other words, ${other}`, new Map<string, ArrayLike<number>>([["loss", theirs ?? []], ...got.grads, ...got.state]), expected, (_, w) => 1e-8 * (largest(w) + steepest(wanted)));
}

const tableless = (name: string): string => name.replace(/\.pos_embed_\d+x\d+(x\d+(_3d)?)?$/, ".pos_embed");

/** Two steps of an engine beside the oracle with an optimizer of its own. */
async function steps(what: string, oracle: StepProgram, engine: Engine, manifest: Manifest, state: State, seed: number, gradients?: () => Promise<State>): Promise<string[]> {
  const recipe = resolveRecipe(manifest, 64);
  const [slots, shakenSlots] = [new Map<string, Float64Array>(), new Map<string, Float64Array>()];
  let known: State = state;
  let other: State = shaken(state, seed);
  const found: string[] = [];
  try {
    for (let step = 1; step <= 2 && found.length === 0; step++) {
      const [batch, hyper] = [batchFor(manifest, step), recipe.hyperAt(step)];
      const [wanted, noisy] = [known, other].map((x) => overParts(oracle, manifest, x, withWeights(batch, hyper)));
      if (wanted === undefined || noisy === undefined) throw new Error("two are made");
      // A drawn learning rate may be too large: then there is no second step to compare.
      if (step > 1 && [...wanted.losses.values()].some((x) => !Number.isFinite(x.data[0]))) break;
      const [after, noisyAfter] = [updated(manifest, known, wanted, hyper, slots), updated(manifest, other, noisy, hyper, shakenSlots)];
      const got = await engine.step(batch, hyper, { watch: false, gradientNorm: false });
      const near = 3e-5 * step;
      const losses = new Map([...wanted.losses].map(([name, x]) => [name, x.data]));
      const total = [...losses.keys()][0] ?? "";
      const most = Math.max(...[...losses.values()].map(largest));
      found.push(...apart(`${what}, step ${step}, loss`, new Map([...losses.keys()].map((name) => [name, [name === total ? got.loss : got.losses[name] ?? NaN]])), losses, (name, w) => near * (largest(w) + 0.05 * most) + 40 * difference(noisy.losses.get(name)?.data ?? [], w)));
      const floor = 0.05 * steepest(wanted);
      if (gradients !== undefined) found.push(...apart(`${what}, step ${step}, gradient`, await gradients(), wanted.grads, (name, w) => near * (largest(w) + floor) + 40 * difference(noisy.grads.get(name) ?? [], w)));
      const weights = new Map([...await engine.exportState()].filter(([name]) => !name.startsWith("optimizer.")));
      found.push(...apart(`${what}, after step ${step}`, weights, after, (name, w) => near * (largest(w) + 0.05) + 40 * difference(noisyAfter.get(name) ?? [], w)));
      known = new Map([...after].map(([name, x]) => [name, Float32Array.from(x)]));
      other = new Map([...noisyAfter].map(([name, x]) => [name, Float32Array.from(x)]));
    }
  } finally {
    engine.dispose();
  }
  return found;
}
