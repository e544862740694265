/**
 * The plan: from a step program and its manifest to buffers, kernels and dispatches as plain data.
 *
 * Owns the order of stages (trace, fuse, write, pack), the list of buffers and the translation of tensors and polynomials
 * into the contract's `WgslPlan`. Everything a run needs is decided here; the engine only makes buffers and pipelines and
 * walks the list. Sizes are upper bounds for the program's batch and masks, so nothing is allocated later.
 */
import type { Manifest, PlanBuffer, PlanDispatch, PlanKernel, PlanOutput, PlanParameter, PlanProgram, PlanRef, PlanTile, SizeExpr, WgslPlan } from "../../../runtime/abi.js";
import { mostPositions } from "../../masks/longest.js";
import { IrError, funcOf, typeOf } from "../../tensor/ir.js";
import { constantDim, constantOf, product, symbolsOf } from "../../types/dim.js";
import { partsIn } from "../parts.js";
import type { StepProgram } from "../step.js";
import type { Shard, Slot } from "./arenas.js";
import { layOut } from "./arenas.js";
import { bytesMoved } from "./cost.js";
import { draftsOf } from "./emit-ops.js";
import { fuse } from "./fuse.js";
import type { Tensor } from "./graph.js";
import type { Bound, Draft, Size } from "./kernel.js";
import { elementBytes, upperBound } from "./kernel.js";
import type { Packing } from "./memory.js";
import { TooLarge, aligned, nameOf, pack, valueLimit } from "./memory.js";
import { slotsOf } from "./kernels/optimizer.js";
import type { GradientPlace } from "./kernels/sums.js";
import { recomputeBlocks } from "./recompute.js";
import type { ScalerRules } from "./kernels/scaler.js";
import { SCALER_COUNT, scalerRules } from "./kernels/scaler.js";
import { toHalf } from "./precision.js";
import { TileBook } from "./tile-book.js";
import { traceEncoder, traceStep, withoutDead } from "./trace.js";
import type { Traced } from "./trace.js";
import { totalOf, updatesOf } from "./updates.js";

/** What a device must be able to hold; the defaults are WebGPU's own. */
export interface PlanLimits {
  /** The profile that was chosen; not there where a device was asked. */
  readonly profile?: "portable" | "large" | "software";
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  /** Tiles that were measured on it; products that are not among them get the default. */
  readonly tiles?: readonly PlanTile[];
  /** Whether a processor stands in for a GPU: then kernels do without barriers and workgroup memory. */
  readonly software?: boolean;
  /** Whether its threads have some 250 registers each, as those of NVIDIA and AMD: then each makes more of a product. */
  readonly ample?: boolean;
  /** All buffers together, where that is known. */
  readonly memoryBytes?: number;
}

/** What values within a step and copies of weights are stored as. */
export interface Precision {
  readonly storage: "f32" | "f16";
  /** How the loss scale of f16 moves; PyTorch's numbers unless said. */
  readonly scaler?: ScalerRules;
}

/** The portable profile. */
export const portable: PlanLimits = { profile: "portable", bindingBytes: 128 * 1024 * 1024, bufferBytes: 256 * 1024 * 1024 };

/** Drivers that compute on a processor, such as lavapipe and SwiftShader. */
export const software: PlanLimits = { ...portable, profile: "software", software: true };

/** What most graphics cards take with drivers of their own. */
export const large: PlanLimits = { profile: "large", bindingBytes: 2 ** 31 - 4, bufferBytes: 2 ** 32 - 4, ample: true };

/** A plan with what readers of the kernels want to know. */
export interface Planned {
  readonly plan: WgslPlan;
  readonly drafts: readonly Draft[];
  readonly kernels: readonly { readonly kernel: PlanKernel; readonly draft: Draft; readonly uses: readonly Draft[] }[];
}

interface Unit {
  readonly traced: Traced;
  readonly drafts: readonly Draft[];
  readonly packing: Packing;
}

/** A program traced and fused, which its batch has no part in. */
export interface Prepared {
  readonly program: StepProgram;
  readonly step: Traced;
  readonly encoders: readonly (readonly [string, Traced])[];
  /** Parameters that are read as f16 copies, and how the loss is scaled, where there is f16. */
  readonly halves: ReadonlySet<string>;
  readonly rules: ScalerRules | undefined;
}

/** Traces and fuses; `recompute` says whether blocks are made again in the backward pass. */
export function prepareStep(program: StepProgram, recompute: boolean, { storage, scaler = scalerRules }: Precision = { storage: "f32" }): Prepared {
  const half = storage === "f16";
  const stored = (t: Traced): ReturnType<typeof toHalf> => (half ? toHalf(t) : { traced: t, halves: new Set() });
  const fused = fuse(withoutDead(traceStep(program, half)));
  const step = stored(recompute ? recomputeBlocks(fused) : fused);
  const encoders = program.encoders.map((e) => ({ name: e.name, ...stored(fuse(withoutDead(traceEncoder(program, e.func)))) }));
  const halves = new Set([step, ...encoders].flatMap((p) => [...p.halves]));
  return { program, step: step.traced, encoders: encoders.map((e): [string, Traced] => [e.name, e.traced]), halves, rules: half ? scaler : undefined };
}

/** Makes the plan. @throws TooLarge where something does not fit the limits. */
export function planStep(program: StepProgram, manifest: Manifest, limits: PlanLimits = portable, precision?: Precision): Planned {
  return planPrepared(prepareStep(program, manifest.train.recompute === "blocks", precision), manifest, limits);
}

/** Makes the plan of a prepared program. @throws TooLarge where something does not fit the limits. */
export function planPrepared(prepared: Prepared, manifest: Manifest, limits: PlanLimits): Planned {
  const { program, step: traced, rules } = prepared;
  const parts = partsIn(manifest);
  const bounds = boundsOf(program, manifest);
  const book = new TileBook(limits.tiles, limits.software, limits.ample);
  const bytesOf = bytesBy(bounds);
  const shards = layOut(manifest, new Set(traced.grads), limits.bindingBytes, prepared.halves);
  const buffers = new Buffers();
  addParameters(buffers, shards, slotsOf(manifest.train.optimizer), parts);
  const updates = updatesOf(manifest, shards, traced.state, rules, { software: limits.software === true });
  if (rules !== undefined) buffers.add("scaler", "scaler", SCALER_COUNT * 4);
  for (const [name, count] of updates.scratch) buffers.add(name, "scratch", count * 4);
  // Before kernels add what they keep for themselves, which depends on the batch.
  const own = valuesOf.has(prepared) ? undefined : new Set(traced.graph.tensors);
  const stepDrafts = draftsOf(traced, bounds, book, gradientPlaces(shards));
  if (own !== undefined) valuesOf.set(prepared, heldIn(stepDrafts, own));
  const pinned = new Set([...traced.losses, ...traced.watches, ...traced.state].map((n) => n.tensor));
  const step: Unit = { traced, drafts: stepDrafts, packing: pack([...stepDrafts, ...updates.update], bytesOf, pinned, limits) };
  const encoders = prepared.encoders.map(([name, own]): [string, Unit] => {
    const drafts = draftsOf(own, bounds, book);
    return [name, { traced: own, drafts, packing: pack(drafts, bytesOf, new Set(own.result === undefined ? [] : [own.result]), limits) }];
  });
  const units = [step, ...encoders.map(([, u]) => u)];
  const arenas = Math.max(...units.map((u) => u.packing.arenas.length));
  for (let a = 0; a < arenas; a++) buffers.add(`work_${a}`, "work", Math.max(...units.map((u) => u.packing.arenas[a] ?? 0)));
  const inputs = addInputs(buffers, units, bytesOf, program, parts);
  const writer = new PlanWriter(buffers, shards, bytesOf, totalOf(parts));
  const named = (u: Unit, list: Traced["losses"]): PlanOutput[] => list.map(({ name, tensor }) => ({ name, ref: writer.ref(u, tensor), count: sizeExpr(product(tensor.shape)) }));
  const none: Unit = { traced, drafts: [], packing: step.packing };
  const plan: WgslPlan = {
    format: 1,
    bounds: Object.fromEntries(bounds),
    buffers: buffers.list,
    inputs,
    parameters: shards.flatMap((s) => s.slots.map((slot) => writer.parameter(s, slot, manifest))),
    step: writer.program(step, step.drafts, named(step, traced.losses)),
    watches: named(step, traced.watches),
    held: heldSteps(inputs),
    ...(parts === 1 ? {} : { accumulate: { parts, first: writer.program(none, updates.first, []), rest: writer.program(none, updates.rest, []) } }),
    norms: writer.program(none, updates.norms, updates.groups.map(({ group, ref }) => ({ name: group, ref: writer.bound(none, ref), count: ref.count }))),
    update: writer.program(step, updates.update, []),
    ...(updates.prepare.length === 0 ? {} : { prepare: writer.program(none, updates.prepare, []) }),
    ...(rules === undefined ? {} : { scaler: { ref: { buffer: buffers.at("scaler"), at: 0, bytes: SCALER_COUNT * 4 }, initial: [rules.initial, 0, 0, 0, 0, 0, rules.initial, 0] }, features: ["shader-f16"] }),
    hyper: updates.hyperNames,
    encoders: Object.fromEntries(encoders.map(([name, u]) => [name, writer.program(u, u.drafts, u.traced.result === undefined ? [] : named(u, [{ name, tensor: u.traced.result }]))])),
    kernels: [],
    tiles: book.used(),
    memory: { total: 0, work: 0, lowerBound: 0 },
  };
  addHostBuffers(buffers, plan);
  const kernels = writer.kernels();
  const bytes = (kinds: readonly PlanBuffer["kind"][]): number => buffers.list.reduce((n, b) => n + (kinds.length === 0 || kinds.includes(b.kind) ? b.bytes : 0), 0);
  const memory = { total: bytes([]), work: bytes(["work"]), lowerBound: Math.max(...units.map((u) => u.packing.lowerBound)) };
  checkFits(units, bytesOf, memory.total, limits);
  return { plan: { ...plan, memory, kernels: kernels.map((k) => k.kernel) }, drafts: [...stepDrafts, ...updates.update], kernels };
}

/** The step's own values that some kernel is given, by the prepared program: which they are does not depend on the batch. */
const valuesOf = new WeakMap<Prepared, readonly Tensor[]>();

/** The values among `own` that drafts bind, in the order of their first use. */
function heldIn(drafts: readonly Draft[], own: ReadonlySet<Tensor>): readonly Tensor[] {
  return [...new Set(drafts.flatMap((d) => d.binds.flatMap((b) => ("kind" in b || b.home.kind !== "work" || !own.has(b) ? [] : [b]))))];
}

/**
 * The largest of the step's values, of those as large the first, as packing has them, where it is too large: known without kernels,
 * once the program has been planned for any batch.
 */
export function valueTooLarge(prepared: Prepared, manifest: Manifest, limits: PlanLimits): TooLarge | undefined {
  const bytesOf = bytesBy(boundsOf(prepared.program, manifest));
  const most = valueLimit(limits);
  const [largest] = (valuesOf.get(prepared) ?? []).map((tensor) => ({ tensor, bytes: bytesOf(tensor) })).sort((a, b) => b.bytes - a.bytes);
  return largest === undefined || largest.bytes <= most.limit ? undefined : new TooLarge(nameOf(largest.tensor), largest.bytes, most.kind, most.limit);
}

/** Bytes of a tensor at the bounds. A binding is a multiple of 4 bytes, whatever it holds. */
function bytesBy(bounds: ReadonlyMap<string, number>): (t: Tensor) => number {
  return (t) => Math.ceil(Math.max(1, upperBound(product(t.shape), bounds)) * elementBytes(t.dtype) / 4) * 4;
}

/** Where the gradient of a parameter lies. */
function gradientPlaces(shards: readonly Shard[]): (parameter: string) => GradientPlace {
  const places = new Map(shards.flatMap((s) => s.slots.map(({ parameter, at }): [string, GradientPlace] => [parameter.name, { whole: { kind: "buffer", buffer: `${s.name}.grad`, at: 0, count: s.updated, arena: "grad" }, at }])));
  return (parameter) => places.get(parameter) ?? unknownParameter(parameter);
}

function unknownParameter(name: string): never {
  throw new IrError(`wgsl target: there is no parameter ${name}.`);
}

/** Every tensor is bound whole, and all buffers lie on the device at once. @throws TooLarge */
function checkFits(units: readonly Unit[], bytesOf: (t: Tensor) => number, total: number, limits: PlanLimits): void {
  for (const { drafts } of units) {
    for (const bound of drafts.flatMap((d) => d.binds)) {
      if (!("kind" in bound) && bytesOf(bound) > limits.bindingBytes) throw new TooLarge(nameOf(bound), bytesOf(bound), "binding", limits.bindingBytes);
    }
  }
  if (limits.memoryBytes !== undefined && total > limits.memoryBytes) throw new TooLarge("the sum of all buffers", total, "memory", limits.memoryBytes);
}

/** Upper bounds of the symbols: the batch, and for each mask the most positions that a draw can keep. */
export function boundsOf(program: StepProgram, manifest: Pick<Manifest, "masks" | "train">): Map<string, number> {
  const bounds = new Map([["B", Math.ceil(manifest.train.batch / partsIn(manifest))]]);
  const forward = funcOf(program.module, program.forward);
  for (const input of forward.inputs) {
    if (input.role !== "index") continue;
    const length = typeOf(forward, input.value).shape[1];
    const mask = manifest.masks.find((m) => m.name === input.path);
    const [symbol] = length === undefined ? [] : symbolsOf(length);
    if (symbol !== undefined && mask !== undefined) bounds.set(symbol, mostPositions(mask, manifest.masks));
  }
  return bounds;
}

/** A polynomial as data. */
export function sizeExpr(size: Size): SizeExpr {
  if (size.kind === "up") {
    const of = sizeExpr(size.of);
    return typeof of === "number" ? Math.ceil(of / size.by) * size.times : { up: of, by: size.by, times: size.times };
  }
  const known = constantOf(size);
  if (known !== undefined) return known;
  return { terms: size.terms.map((t): readonly [number, ...string[]] => [t.coefficient, ...t.powers.flatMap(([s, p]) => Array.from({ length: p }, () => s))]) };
}

/** Buffers by name. */
class Buffers {
  readonly list: PlanBuffer[] = [];
  readonly #index = new Map<string, number>();

  add(name: string, kind: PlanBuffer["kind"], bytes: number): void {
    this.#index.set(name, this.list.length);
    this.list.push({ name, kind, bytes: aligned(bytes) });
  }

  at(name: string): number {
    const at = this.#index.get(name);
    if (at === undefined) throw new IrError(`wgsl target: there is no buffer ${name}.`);
    return at;
  }
}

function addParameters(buffers: Buffers, shards: readonly Shard[], slots: readonly string[], parts: number): void {
  for (const s of shards) {
    buffers.add(s.name, "parameter", s.count * 4);
    if (s.half) buffers.add(`${s.name}.half`, "half", s.count * 2);
  }
  for (const s of shards) {
    if (s.updated === 0 || !s.slots.some((x) => x.parameter.role === "trained")) continue;
    buffers.add(`${s.name}.grad`, "gradient", s.updated * 4);
    if (parts > 1) buffers.add(`${s.name}.${totalOf(parts)}`, "gradient", s.updated * 4);
    for (const slot of slots) buffers.add(`${s.name}.${slot}`, "slot", s.updated * 4);
  }
}

function addInputs(buffers: Buffers, units: readonly Unit[], bytesOf: (t: Tensor) => number, program: StepProgram, parts: number): WgslPlan["inputs"] {
  const found = new Map<string, { bytes: number; tensor: Tensor }>();
  for (const { traced } of units) {
    for (const t of traced.graph.tensors) if (t.home.kind === "input") found.set(t.home.name, { bytes: Math.max(bytesOf(t), found.get(t.home.name)?.bytes ?? 0), tensor: t });
  }
  const forward = funcOf(program.module, program.forward);
  const lengths = new Map(forward.inputs.flatMap((i): [string, string][] => {
    const [symbol] = i.role === "index" ? symbolsOf(typeOf(forward, i.value).shape[1] ?? constantDim(1)) : [];
    return symbol === undefined ? [] : [[i.path, symbol]];
  }));
  return [...found].map(([name, { bytes }]) => {
    buffers.add(`input ${name}`, "input", parts * aligned(bytes));
    const symbol = lengths.get(name);
    return { name, ref: { buffer: buffers.at(`input ${name}`), at: 0, bytes }, ...(symbol === undefined ? {} : { symbol }) };
  });
}

/** Bytes of inputs that may wait for a device while steps run ahead. */
const INPUTS_IN_FLIGHT = 64 * 1024 * 1024;

/** Steps whose losses come back together: as many as inputs of twice that number may lie about, at most eight. */
function heldSteps(inputs: WgslPlan["inputs"]): number {
  const bytes = inputs.reduce((n, i) => n + i.ref.bytes, 0);
  return Math.max(1, Math.min(8, Math.floor(INPUTS_IN_FLIGHT / 2 / Math.max(1, bytes))));
}

/** What the host writes and reads: sizes, hyperparameters, and staging for everything that comes back. */
function addHostBuffers(buffers: Buffers, plan: WgslPlan): void {
  const { accumulate } = plan;
  const programs = [plan.step, ...(accumulate === undefined ? [] : [accumulate.first, accumulate.rest]), plan.norms, plan.update, ...(plan.prepare === undefined ? [] : [plan.prepare]), ...Object.values(plan.encoders)];
  const parts = accumulate?.parts ?? 1;
  const bytes = (outputs: readonly PlanOutput[]): number => outputs.reduce((n, o) => n + aligned(o.ref.bytes), 0);
  buffers.add("sizes", "uniform", programs.reduce((n, p) => n + (p === plan.step ? parts : 1) * p.dispatches.length * blockBytes(p), 0));
  buffers.add("hyper", "uniform", plan.hyper.length * 4);
  for (const i of [0, 1]) buffers.add(`read losses ${i}`, "staging", plan.held * parts * bytes(plan.step.outputs));
  if (plan.watches.length > 0) buffers.add("read watches", "staging", parts * bytes(plan.watches));
  if (plan.norms.outputs.length > 0) buffers.add("read norms", "staging", bytes(plan.norms.outputs));
  const features = Math.max(0, ...Object.values(plan.encoders).map((p) => bytes(p.outputs)));
  if (features > 0) buffers.add("read features", "staging", features);
}

/** Bytes of a dispatch's block of sizes, of all in a program alike: a multiple of where uniform bindings may begin. */
function blockBytes({ dispatches }: WgslPlan["step"]): number {
  return 256 * Math.max(1, ...dispatches.map((d) => Math.ceil(d.sizes.length / 64)));
}

/** Turns drafts into dispatches, and collects kernels. */
class PlanWriter {
  readonly #byText = new Map<string, { draft: Draft; uses: Draft[]; index: number }>();
  readonly #slots: ReadonlyMap<string, { shard: Shard; slot: Slot }>;

  constructor(readonly buffers: Buffers, shards: readonly Shard[], readonly bytesOf: (t: Tensor) => number, readonly total: "grad" | "total") {
    this.#slots = new Map(shards.flatMap((shard) => shard.slots.map((slot) => [slot.parameter.name, { shard, slot }])));
  }

  program(unit: Unit, drafts: readonly Draft[], outputs: readonly PlanOutput[]): PlanProgram {
    return { dispatches: drafts.map((d) => this.#dispatch(unit, d)), outputs };
  }

  #dispatch(unit: Unit, draft: Draft): PlanDispatch {
    // Forms count too: sizes that are multiples of 4 have one portable text, and those of 8 another one by matrices.
    const texts = [draft.text, ...draft.forms.map((f) => f.text)].join("\n");
    const known = this.#byText.get(texts) ?? { draft, uses: [], index: this.#byText.size };
    known.uses.push(draft);
    this.#byText.set(texts, known);
    const [x, y, z] = draft.groups;
    const groups = y === undefined || z === undefined ? [sizeExpr(x)] as const : [sizeExpr(x), sizeExpr(y), sizeExpr(z)] as const;
    const cost = { ...(draft.flops === undefined ? {} : { flops: sizeExpr(draft.flops) }), bytes: sizeExpr(bytesMoved(draft)) };
    return { kernel: known.index, bind: draft.binds.map((b) => this.bound(unit, b)), sizes: draft.sizes.map(sizeExpr), groups, cost };
  }

  /** Where something bound lies. */
  bound(unit: Unit, b: Bound): PlanRef {
    return "kind" in b ? { buffer: this.buffers.at(b.buffer), at: b.at * elementBytes(b.dtype), bytes: Math.ceil(b.count * elementBytes(b.dtype) / 4) * 4 } : this.ref(unit, b);
  }

  /** Where a tensor lies. */
  ref(unit: Unit, t: Tensor): PlanRef {
    const { home } = t;
    if (home.kind === "input") return { buffer: this.buffers.at(`input ${home.name}`), at: 0, bytes: this.bytesOf(t) };
    if (home.kind === "work") {
      const place = unit.packing.places.get(t);
      if (place === undefined) throw new IrError(`wgsl target: a tensor has no place (${t.name ?? t.id}).`);
      return { buffer: this.buffers.at(`work_${place.arena}`), at: place.at, bytes: place.bytes };
    }
    if (home.kind === "scaler") return { buffer: this.buffers.at("scaler"), at: 0, bytes: SCALER_COUNT * 4 };
    const found = this.#slots.get(home.name);
    if (found === undefined) return unknownParameter(home.name);
    if (home.kind === "half") return { buffer: this.buffers.at(`${found.shard.name}.half`), at: found.slot.at * 2, bytes: Math.ceil(found.slot.count / 2) * 4 };
    return this.#slotRef(home.kind === "grad" ? `${found.shard.name}.grad` : found.shard.name, found.slot);
  }

  #slotRef(buffer: string, slot: Slot): PlanRef {
    return { buffer: this.buffers.at(buffer), at: slot.at * 4, bytes: slot.count * 4 };
  }

  parameter(shard: Shard, slot: Slot, manifest: Manifest): PlanParameter {
    const trained = slot.parameter.role === "trained" && slot.at < shard.updated;
    const ref = this.#slotRef(shard.name, slot);
    if (!trained) return { name: slot.parameter.name, ref, slots: {} };
    const slots = Object.fromEntries(slotsOf(manifest.train.optimizer).map((s) => [s, this.#slotRef(`${shard.name}.${s}`, slot)]));
    return { name: slot.parameter.name, ref, grad: this.#slotRef(`${shard.name}.${this.total}`, slot), slots };
  }

  /** Kernels in the order of their numbers, with names of their own. */
  kernels(): Planned["kernels"] {
    const counts = new Map<string, number>();
    return [...this.#byText.values()].map(({ draft, uses }) => {
      const n = (counts.get(draft.name) ?? 0) + 1;
      counts.set(draft.name, n);
      const name = n === 1 ? draft.name : `${draft.name}_v${n}`;
      const forms = draft.forms.map(({ needs }) => ({ file: `${name}.${needs === "subgroups" ? "subgroups" : "matrix"}.wgsl`, needs }));
      return { kernel: { name, file: `${name}.wgsl`, writes: draft.writes, hyper: draft.hyper, ...(forms.length === 0 ? {} : { forms }) }, draft, uses };
    });
  }
}
