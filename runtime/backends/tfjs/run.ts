/**
 * A compiled tfjs module as an engine: parameters, one step in the order of the paper, features, state.
 *
 * Owns the order inside a step (I-JEPA facts, section 5): forward and backward by the module, gradient clipping, optimizer,
 * moving averages with the updated weights, running state. The module computes, the parameter store updates in place, and
 * this file owns every tensor in between: after a step exactly as many are alive as before it. Batches, schedules and
 * files are for the training loop.
 */
import { own } from "../../base/own.js";
import type { Engine, Hyper, Manifest, Parameter, StepBatch, StepResult, StepWants, TfjsInputs, TfjsModule, TfjsStep, Tree } from "../../abi.js";
import { checkPictures, encoderPicture } from "../../base/encoder-input.js";
import { HostError } from "../../base/errors.js";
import { joined, joinWatch, partCount, partOf } from "../parts.js";
import { checkWhole, LOSS_SCALE } from "../state.js";
import { clipGradients, groupNorms, larsUpdates } from "./gradients.js";
import { makeKernels } from "./kernels.js";
import type { Kernels } from "./kernels.js";
import { createParamStore, slots } from "./params.js";
import type { ParamStore } from "./params.js";
import type { Tensor, Tf } from "./tf.js";
import { buildTree, leafAt } from "./tree.js";

/** A loaded tfjs (see engine.ts) and the values to start from. */
export interface TfjsHost {
  readonly tf: Tf;
  /** Whether TensorFlow ops can be run by name. */
  readonly raw: boolean;
  readonly name: string;
  readonly version: string;
  /** Values of every parameter of the manifest, by name. */
  readonly initial: ReadonlyMap<string, Float32Array>;
  /**
   * Where other processes hold the rest of each batch: takes this one's gradients, one after the other in the order of the
   * manifest, and puts the mean over all processes in their place, the same bits in each. Called once in every step.
   */
  readonly allReduce?: (values: Float32Array) => Promise<void>;
}

/**
 * The engine of a compiled module. Throws `HostError` "mismatch" when initial values are missing or the module lacks an
 * encoder that the manifest names.
 */
export async function createTfjsEngine(manifest: Manifest, module: TfjsModule<Tensor, Kernels>, host: TfjsHost): Promise<Engine> {
  for (const { name } of manifest.encoders) {
    if (own(module.encoders, name) === undefined) throw new HostError("mismatch", `the compiled module has no encoder ${name}, its manifest does`, "compile the program again: module and manifest are of different versions");
  }
  const run = openRun(manifest, module, host);
  let disposed = false;
  const alive = (): Run => {
    if (disposed) throw new HostError("closed", "the engine was disposed", "make another one with createEngine or createTfjsEngine");
    return run;
  };
  return {
    name: host.name,
    version: host.version,
    step: async (batch, hyper, want) => step(alive(), batch, hyper, want),
    encode: async (encoder, images, n) => encode(alive(), encoder, images, n),
    exportState: async () => exportState(alive()),
    importState: async (state) => importState(alive(), state),
    memory: () => ({ tensors: host.tf.memory().numTensors, bytes: host.tf.memory().numBytes }),
    dispose() {
      if (disposed) return;
      disposed = true;
      for (const tensor of run.state.values()) tensor.dispose();
      run.store.dispose();
      run.k.dispose();
    },
  };
}

interface Run {
  readonly manifest: Manifest;
  readonly module: TfjsModule<Tensor, Kernels>;
  readonly tf: Tf;
  readonly k: Kernels;
  readonly store: ParamStore;
  /** Parameters of role "state": set by the module itself, so kept beside the store. */
  readonly state: Map<string, Tensor>;
  readonly trained: readonly Parameter[];
  /** Losses whose weight changes over training. */
  readonly changing: readonly string[];
  /** Pairs [target, source] of every moving average, by target module. */
  readonly averages: ReadonlyMap<string, readonly (readonly [string, string])[]>;
  readonly allReduce: TfjsHost["allReduce"];
  /** Room for all gradients on the host, where they go through `allReduce`: made once, so that a step leaves little to collect. */
  readonly flat: Float32Array;
}

/** Images run through an encoder at once. */
const ENCODE_CHUNK = 128;

function openRun(manifest: Manifest, module: TfjsModule<Tensor, Kernels>, host: TfjsHost): Run {
  const { tf, raw } = host;
  const initial = new Map<string, Float32Array>();
  const state = new Map<string, Tensor>();
  for (const parameter of manifest.parameters) {
    const values = host.initial.get(parameter.name);
    if (values === undefined) throw new HostError("mismatch", `there is no initial value for ${parameter.name}`, "compile the program again");
    if (parameter.role === "state") state.set(parameter.name, tf.tensor(values, [...parameter.shape]));
    else initial.set(parameter.name, values);
  }
  const stored = manifest.parameters.filter((parameter) => parameter.role !== "state");
  const store = createParamStore(tf, { raw }, stored.map(({ name, shape, group, decay, role }) => ({ name, shape, group, decay, trainable: role === "trained" })), initial);
  const averages = new Map(manifest.ema.map((edge) => [edge.target, pairsOf(manifest, edge.target)]));
  const trained = manifest.parameters.filter((parameter) => parameter.role === "trained");
  const flat = new Float32Array(host.allReduce === undefined ? 0 : trained.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0));
  return { manifest, module, tf, k: makeKernels(tf, { raw }), store, state, trained, changing: manifest.losses.filter((loss) => loss.course !== undefined).map(({ name }) => name), averages, allReduce: host.allReduce, flat };
}

function pairsOf(manifest: Manifest, target: string): [string, string][] {
  return manifest.parameters.flatMap(({ name, group, role, follows }): [string, string][] => (group === target && role === "ema" && follows !== undefined ? [[name, follows]] : []));
}

async function step(run: Run, batch: StepBatch, hyper: Hyper, want: StepWants): Promise<StepResult> {
  const { k, manifest } = run;
  const parts = partCount(manifest, batch.size);
  const outs: TfjsStep<Tensor>[] = [];
  let grads = new Map<string, Tensor>();
  for (let part = 0; part < parts; part++) {
    const out = forwardAndBackward(run, partOf(batch, part, parts), hyper);
    outs.push(out);
    const own = gradientsByName(run, out);
    grads = parts === 1 ? own : withShare(run, grads, own, parts);
  }
  if (run.allReduce !== undefined) grads = await overProcesses(run, grads, run.allReduce);
  const norms = want.gradientNorm ? groupNorms(k, grads, run.trained) : undefined;
  update(run, grads, hyper);
  for (const [target, pairs] of run.averages) run.store.ema(pairs, momentumOf(hyper, target));
  for (const [name, value] of Object.entries(outs.at(-1)?.state ?? {})) replaceState(run, name, value);
  const losses = await Promise.all(outs.map(lossesOf));
  const mean = (read: (values: Losses) => number): number => losses.reduce((n, values) => n + read(values), 0) / parts;
  const watches = want.watch ? await Promise.all(outs.map((out) => readWatches(manifest, out))) : [];
  const result: StepResult = {
    loss: mean((values) => values.loss),
    losses: Object.fromEntries(Object.keys(losses[0]?.terms ?? {}).map((name) => [name, mean((values) => values.terms[name] ?? Number.NaN)])),
    watch: Object.fromEntries(manifest.watches.filter(({ name }) => watches[0]?.[name] !== undefined).map(({ name, over }) => [name, joinWatch(over, watches.flatMap((w) => w[name] ?? []))])),
    gradientNorm: norms === undefined ? {} : await readNorms(norms),
  };
  free(k, [...outs.flatMap((out) => [out.loss, ...Object.values(out.losses), ...Object.values(out.watch)]), ...(norms?.values() ?? [])]);
  return result;
}

function forwardAndBackward(run: Run, batch: StepBatch, hyper: Hyper): TfjsStep<Tensor> {
  const inputs = upload(run, batch, hyper);
  const out = run.module.step(run.k, parameterTree(run), inputs);
  free(run.k, [...Object.values(inputs.images), ...Object.values(inputs.numbers ?? {}), ...Object.values(inputs.masks), ...Object.values(inputs.draws), ...Object.values(inputs.weights ?? {})]);
  return out;
}

interface Losses {
  readonly loss: number;
  readonly terms: Readonly<Record<string, number>>;
}

async function lossesOf(out: TfjsStep<Tensor>): Promise<Losses> {
  const names = Object.keys(out.losses);
  const terms = await Promise.all(names.map((name) => scalarOf(out.losses[name])));
  return { loss: await scalarOf(out.loss), terms: Object.fromEntries(names.map((name, at) => [name, terms[at] ?? Number.NaN])) };
}

/** Gradients so far with the share of one more part; what went in is freed. */
function withShare({ tf, k }: Run, sums: ReadonlyMap<string, Tensor>, grads: ReadonlyMap<string, Tensor>, parts: number): Map<string, Tensor> {
  const next = new Map([...grads].map(([name, grad]): [string, Tensor] => [name, tf.tidy(() => {
    const share = tf.mul(grad, 1 / parts);
    const sum = sums.get(name);
    return sum === undefined ? share : tf.add(sum, share);
  })]));
  free(k, [...sums.values(), ...grads.values()]);
  return next;
}

/** The mean of gradients over all processes that share a batch; what went in is freed. */
async function overProcesses({ tf, k, flat }: Run, grads: ReadonlyMap<string, Tensor>, allReduce: NonNullable<TfjsHost["allReduce"]>): Promise<Map<string, Tensor>> {
  const places = [...grads].reduce<{ readonly name: string; readonly grad: Tensor; readonly from: number; readonly to: number }[]>((before, [name, grad]) => {
    const from = before.at(-1)?.to ?? 0;
    return [...before, { name, grad, from, to: from + grad.size }];
  }, []);
  for (const { grad, from } of places) flat.set(await grad.data(), from);
  await allReduce(flat.subarray(0, places.at(-1)?.to ?? 0));
  free(k, [...grads.values()]);
  // Views of the room, not copies: the optimizer has read them before the next step writes there.
  return new Map(places.map(({ name, grad, from, to }): [string, Tensor] => [name, tf.tensor(flat.subarray(from, to), grad.shape)]));
}

function upload(run: Run, batch: StepBatch, hyper: Hyper): TfjsInputs<Tensor> {
  const { tf, manifest } = run;
  const images = manifest.views.map((view): [string, Tensor] => {
    const pixels = own(batch.images, view.name);
    const channels = manifest.inputs.find((input) => input.name === view.input)?.channels ?? 3;
    if (pixels === undefined) throw new HostError("mismatch", `the batch has no view ${view.name}`, "report this: loader and manifest disagree");
    return [view.name, tf.tensor(pixels, [batch.size, ...(view.frames === undefined ? [] : [view.frames]), view.height, view.width, channels])];
  });
  const numbers = (manifest.numbers ?? []).map(({ name, shape }): [string, Tensor] => {
    const values = own(batch.numbers ?? {}, name);
    if (values === undefined) throw new HostError("mismatch", `the batch has no ${name}`, "report this: loader and manifest disagree");
    return [name, tf.tensor(values, [batch.size, ...shape])];
  });
  const unread = new Set(manifest.masks.filter((mask) => mask.unread === true).map(({ name }) => name));
  const masks = Object.entries(batch.masks).filter(([name]) => !unread.has(name)).map(([name, mask]): [string, Tensor] => [name, tf.tensor(mask.indices, [mask.count * batch.size, mask.length], "int32")]);
  const draws = manifest.draws.map((draw): [string, Tensor] => [draw.name, tf.tensor(own(batch.draws, draw.name) ?? new Float32Array(0), [...draw.shape])]);
  const weights = run.changing.map((loss): [string, Tensor] => [loss, tf.scalar(weightOf(hyper, loss))]);
  return { images: Object.fromEntries(images), numbers: Object.fromEntries(numbers), masks: Object.fromEntries(masks), draws: Object.fromEntries(draws), weights: Object.fromEntries(weights) };
}

/** All parameters as the tree that generated code reads; the tensors are borrowed. */
function parameterTree(run: Run): Tree<Tensor> {
  return buildTree([...Object.entries(run.store.read()), ...run.state]);
}

function gradientsByName(run: Run, out: TfjsStep<Tensor>): Map<string, Tensor> {
  const isTensor = (value: Tree<Tensor>): value is Tensor => value instanceof run.tf.Tensor;
  const grads = new Map<string, Tensor>();
  for (const { name, shape } of run.trained) {
    const grad = leafAt(out.grads, name, isTensor);
    if (grad === undefined) continue;
    if (grad.size !== shape.reduce((product, side) => product * side, 1)) throw new HostError("mismatch", `the gradient of ${name} has shape [${grad.shape.join(", ")}], the parameter [${shape.join(", ")}]`, "report this: it is a mistake of the compiler");
    grads.set(name, grad);
  }
  return grads;
}

/** Clips, applies the optimizer, and frees the gradients. */
function update(run: Run, raw: ReadonlyMap<string, Tensor>, hyper: Hyper): void {
  const { k, store, manifest, tf } = run;
  const { optimizer, gradientClip } = manifest.train;
  const { learningRate: lr, weightDecay } = hyper;
  const grads = gradientClip === undefined ? raw : clipGradients(tf, raw, gradientClip);
  const record = Object.fromEntries(grads);
  if (optimizer.kind === "adamw") {
    store.adamw(record, { lr, weightDecay, beta1: optimizer.beta1, beta2: optimizer.beta2, eps: optimizer.eps, t: hyper.step });
  } else if (optimizer.kind === "sgd") {
    store.sgd(record, { lr, momentum: optimizer.momentum, weightDecay });
  } else {
    const updates = larsUpdates(tf, grads, store.read(), run.trained, { trust: optimizer.trust, weightDecay });
    store.sgd(Object.fromEntries(updates), { lr, momentum: optimizer.momentum, weightDecay: 0 });
    free(k, [...updates.values()]);
  }
  free(k, [...raw.values(), ...grads.values()]);
}

/** The weight of a loss whose weight changes over training. */
function weightOf(hyper: Hyper, loss: string): number {
  const weight = own(hyper.weights ?? {}, loss);
  if (weight === undefined) throw new HostError("mismatch", `step ${hyper.step} has no weight for the loss ${loss}`, "report this: schedules and manifest disagree");
  return weight;
}

function momentumOf(hyper: Hyper, target: string): number {
  const momentum = own(hyper.momentum, target);
  if (momentum === undefined) throw new HostError("mismatch", `step ${hyper.step} has no momentum for ${target}`, "report this: schedules and manifest disagree");
  return momentum;
}

function replaceState(run: Run, name: string, value: Tensor): void {
  const old = run.state.get(name);
  if (old === undefined) throw new HostError("mismatch", `the module sets ${name}, which is no running state of the manifest`, "compile the program again");
  if (old === value) return;
  run.state.set(name, value);
  old.dispose();
}

async function readWatches(manifest: Manifest, out: TfjsStep<Tensor>): Promise<Record<string, Float32Array>> {
  const watches: [string, Float32Array][] = [];
  for (const { name } of manifest.watches) {
    const tensor = own(out.watch, name);
    if (tensor !== undefined) watches.push([name, await floats(tensor)]);
  }
  return Object.fromEntries(watches);
}

async function readNorms(norms: ReadonlyMap<string, Tensor>): Promise<Record<string, number>> {
  const values: [string, number][] = [];
  for (const [group, norm] of norms) values.push([group, await scalarOf(norm)]);
  return Object.fromEntries(values);
}

async function encode(run: Run, name: string, images: Float32Array, n: number): Promise<Float32Array> {
  const encoder = own(run.module.encoders, name);
  const info = run.manifest.encoders.find((candidate) => candidate.name === name);
  if (encoder === undefined || info === undefined) throw new HostError("mismatch", `there is no encoder ${name}`, `encoders: ${run.manifest.encoders.map((candidate) => candidate.name).join(", ")}`);
  checkPictures(run.manifest, info, images.length, n);
  const pixels = n === 0 ? 0 : images.length / n;
  const picture = encoderPicture(run.manifest, info);
  const shape = picture === undefined ? [] : [...(picture.frames === undefined ? [] : [picture.frames]), picture.height, picture.width, picture.channels];
  const parts: Float32Array[] = [];
  for (let from = 0; from < n; from += ENCODE_CHUNK) {
    const to = Math.min(n, from + ENCODE_CHUNK);
    const image = run.tf.tensor(images.subarray(from * pixels, to * pixels), [to - from, ...shape]);
    const features = encoder(run.k, parameterTree(run), image);
    image.dispose();
    parts.push(await floats(features));
    features.dispose();
  }
  return joined(parts);
}

async function exportState(run: Run): Promise<Map<string, Float32Array>> {
  const parameters = await run.store.export();
  const out = new Map<string, Float32Array>();
  for (const { name, role } of run.manifest.parameters) {
    const state = run.state.get(name);
    const values = role === "state" && state !== undefined ? await floats(state) : parameters.get(name);
    if (values !== undefined) out.set(name, values);
  }
  for (const [key, values] of await run.store.exportOptimizer()) out.set(stateName(key), values);
  return out;
}

async function importState(run: Run, from: ReadonlyMap<string, Float32Array>): Promise<void> {
  const parameters = new Map<string, Float32Array>();
  const optimizer = new Map<string, Float32Array>();
  const statistics: [Parameter, Float32Array][] = [];
  const known = new Map(run.manifest.parameters.map((parameter) => [parameter.name, parameter]));
  for (const [name, values] of from) {
    const parameter = known.get(name);
    if (name === LOSS_SCALE) continue;
    if (parameter === undefined) optimizer.set(slotKey(name), values);
    else if (parameter.role === "state") statistics.push([parameter, values]);
    else parameters.set(name, values);
  }
  // All is looked at before anything is replaced.
  checkWhole(known.keys(), from);
  for (const [{ name, shape }, values] of statistics) {
    const wanted = shape.reduce((a, b) => a * b, 1);
    if (values.length !== wanted) throw new HostError("mismatch", `${name} has ${values.length} values in the state, ${wanted} in the program`, "it was made from another version of the program");
  }
  run.store.import(parameters);
  for (const [{ name, shape }, values] of statistics) replaceState(run, name, run.tf.tensor(values, [...shape]));
  run.store.importOptimizer(optimizer);
}

/** The store's `adam.m/student.weight` under the contract's name, `optimizer.adam_m.student.weight`. */
function stateName(key: string): string {
  const at = key.indexOf("/");
  return `optimizer.${key.slice(0, at).replace(".", "_")}.${key.slice(at + 1)}`;
}

/** The way back. Throws `HostError` "mismatch" for a name that is neither a parameter nor an optimizer slot. */
function slotKey(name: string): string {
  for (const slot of slots) {
    const prefix = `optimizer.${slot.replace(".", "_")}.`;
    if (name.startsWith(prefix)) return `${slot}/${name.slice(prefix.length)}`;
  }
  throw new HostError("mismatch", `the state holds ${name}, which is no parameter of this program`, "it was made from another version of the program");
}

/** Disposes tensors, each once: a program with one loss hands out the same scalar twice. */
function free(k: Kernels, tensors: readonly Tensor[]): void {
  k.free([...new Set(tensors)].filter((tensor) => !tensor.isDisposed));
}

async function scalarOf(tensor: Tensor | undefined): Promise<number> {
  return tensor === undefined ? Number.NaN : ((await tensor.data())[0] ?? Number.NaN);
}

/** The values of a tensor in memory of their own. */
async function floats(tensor: Tensor): Promise<Float32Array> {
  return Float32Array.from(await tensor.data());
}
