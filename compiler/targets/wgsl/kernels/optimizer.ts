/**
 * What happens to parameters after the backward pass: norms, clipping, optimizers, moving averages, running state.
 *
 * Over arenas, not tensors: one dispatch updates a whole group and the moving average that follows it. Weight decay applies
 * to the first part of an arena, so no flags are read. AdamW is PyTorch's (decoupled decay, eps outside the bias
 * correction); SGD has coupled decay; LARS scales each tensor by its trust ratio first. Fixed orders of summation.
 */
import type { TrainConfig } from "../../../../runtime/abi.js";
import { constantDim } from "../../../types/dim.js";
import type { Tensor } from "../graph.js";
import type { BufferRef, Draft, Limits } from "../kernel.js";
import { KernelWriter, linearEntry, rowEntry, rowThreads, up } from "../kernel.js";
import { literal } from "../lowering.js";
import { IrError } from "../../../tensor/ir.js";
import { SCALER } from "./scaler.js";

/** Partial sums of squares for each buffer of gradients. */
export const NORM_PARTS = 256;

type Optimizer = TrainConfig["optimizer"];

/** One arena to update. */
export interface Update {
  readonly value: BufferRef;
  readonly grad: BufferRef;
  readonly slots: readonly BufferRef[];
  /** Elements from 0 that decay, that have gradients, and that are followed. */
  readonly decayed: number;
  readonly updated: number;
  readonly followed: number;
  /** What follows it, with the field of its momentum. */
  readonly follower: { readonly value: BufferRef; readonly momentum: string; readonly half: BufferRef | undefined } | undefined;
  /** The factor of clipping. */
  readonly clip: BufferRef | undefined;
  /** The f16 copy of the arena, which is written with it. */
  readonly half: BufferRef | undefined;
  /** The state of the loss scale, where there is one: it says whether to skip, and what to multiply gradients with. */
  readonly scaler: BufferRef | undefined;
}

/** The block of hyperparameters. */
export interface HyperBlock {
  readonly fields: readonly string[];
}

/** Slots that an optimizer keeps, as they are called in checkpoints. */
export function slotsOf(optimizer: Optimizer): readonly string[] {
  return optimizer.kind === "adamw" ? ["adam_m", "adam_v"] : ["sgd_momentum"];
}

/** The gradients of one part of a batch into the mean over all parts; the first part sets it. */
export function accumulateDraft(grad: BufferRef, sum: BufferRef, parts: number, first: boolean): Draft {
  const w = new KernelWriter(first ? "accumulate_first" : "accumulate", `${first ? "Sets the mean of gradients to the share" : "Adds the share"} of one part of the batch${first ? "" : " to the mean of gradients"}.`);
  const share = `${w.read("x", grad)("i")} / f32(${w.size("parts", constantDim(parts))})`;
  const total = w.update("y", sum);
  const code = `${linearEntry(w.size("n", constantDim(grad.count)))}
  ${total.set("i", first ? share : `${total.get("i")} + ${share}`)}
}`;
  return w.finish(code, [up(constantDim(grad.count), 256)], undefined, `[${grad.count}]`);
}

/** Squares of gradients in 256 parts; with a loss scale, of the gradients without it. */
export function normDraft(cx: Pick<Limits, "software">, grad: BufferRef, out: BufferRef, scaler: BufferRef | undefined): Draft {
  const threads = rowThreads(cx, 256);
  const w = new KernelWriter("squares", `Sum of squares of an arena of gradients, in parts${scaler === undefined ? "" : "; the loss scale is taken out, and a gradient that is not finite makes its part so"}.`);
  const unscaled = scaler === undefined ? "" : ` / ${w.read("scaler", scaler)(`${SCALER.scale}u`)}`;
  const code = `${w.fold("sum", threads, (a, b) => `${a} + ${b}`)}

${rowEntry(`${NORM_PARTS}u`, threads)}
  let chunk = (${w.size("n", constantDim(grad.count))} + ${NORM_PARTS - 1}u) / ${NORM_PARTS}u;
  let begin = row * chunk;
  let end = min(begin + chunk, p.n);
  var total = 0f;
  for (var j = begin + thread; j < end; j += ${threads}u) { let x_j = ${w.read("x", grad)("j")}${unscaled}; total += x_j * x_j; }
  let result = all_sum(thread, total);
  if (thread == 0u) { ${w.write("y", out)("row", "result")} }
}`;
  return w.finish(code, [constantDim(NORM_PARTS)], undefined, `[${grad.count}]`);
}

/** The factor by which gradients are scaled: min(1, limit / norm). */
export function clipDraft(norms: BufferRef, out: BufferRef, limit: number): Draft {
  const w = new KernelWriter("clip", `The factor that brings the norm of all gradients down to ${limit} where it is above.`);
  const code = `${w.fold("sum", 256, (a, b) => `${a} + ${b}`)}

${rowEntry("1u", 256)}
  var total = 0f;
  for (var j = thread; j < ${w.size("n", constantDim(norms.count))}; j += 256u) { total += ${w.read("x", norms)("j")}; }
  let norm = sqrt(all_sum(thread, total));
  if (thread == 0u) { ${w.write("y", out)("0", `${literal(limit)} / max(norm, ${literal(limit)})`)} }
}`;
  return w.finish(code, [constantDim(1)], undefined, "[1]");
}

/** AdamW or SGD over an arena, and the moving average that follows it; their f16 copies in the same sweep. */
export function updateDraft(u: Update, optimizer: Optimizer, hyper: HyperBlock): Draft {
  const adam = optimizer.kind === "adamw";
  const w = new KernelWriter(`${adam ? "adamw" : "sgd"}${u.follower === undefined ? "" : "_ema"}`, `${adam ? "AdamW" : "Gradient descent with momentum"} over an arena of parameters${u.follower === undefined ? "" : ", and the moving average that follows it"}${u.scaler === undefined ? "" : "; nothing where the loss scale says to skip"}.`);
  w.hyper(hyper.fields);
  const value = w.update("value", u.value);
  const grad = `${w.read("grad", u.grad)("i")}${factorOf(w, u)}`;
  const slots = u.slots.map((s, i) => w.update(adam ? (i === 0 ? "m" : "v") : "momentum", s));
  const decay = `select(0f, h.weight_decay, i < ${w.size("decayed", constantDim(u.decayed))})`;
  const step = optimizer.kind === "adamw" ? adamLines(w, u, optimizer, slots, grad, decay) : sgdLines(optimizer, slots, grad, decay);
  const count = constantDim(Math.max(u.updated, u.follower === undefined ? 0 : u.followed));
  const follower = u.follower === undefined ? undefined : w.update("follower", u.follower.value);
  const follow = u.follower === undefined || follower === undefined ? "" : `
  if (i < ${w.size("followed", constantDim(u.followed))}) {
    let momentum = h.${u.follower.momentum};
    let mean = momentum * ${follower.get("i")} + (1f - momentum) * x;
    ${follower.set("i", "mean")}${u.follower.half === undefined ? "" : `\n    ${w.write("follower_half", u.follower.half)("i", "mean")}`}
  }`;
  const code = `${linearEntry(w.size("n", count))}${skipLine(w, u.scaler)}
  var x = ${value.get("i")};
  if (i < ${w.size("updated", constantDim(u.updated))}) {
${step}
    ${value.set("i", "x")}${u.half === undefined ? "" : `\n    ${w.write("half", u.half)("i", "x")}`}
  }${follow}
}`;
  return w.finish(code, [up(count, 256)], undefined, `[${u.updated}]`);
}

type Slots = readonly ReturnType<KernelWriter["update"]>[];

function slotAt(slots: Slots, i: number): Slots[number] {
  const slot = slots[i];
  if (slot === undefined) throw new IrError("wgsl target: an optimizer has its slots.");
  return slot;
}

/** What a gradient is multiplied with: 1 / scale and clipping in one number, or clipping alone. */
function factorOf(w: KernelWriter, u: Update): string {
  if (u.scaler !== undefined) return ` * ${w.read("scaler", u.scaler)(`${SCALER.factor}u`)}`;
  return u.clip === undefined ? "" : ` * ${w.read("clip", u.clip)("0")}`;
}

function skipLine(w: KernelWriter, scaler: BufferRef | undefined): string {
  return scaler === undefined ? "" : `\n  if (${w.read("scaler", scaler)(`${SCALER.skip}u`)} != 0f) { return; }`;
}

function adamLines(w: KernelWriter, u: Update, o: Extract<Optimizer, { kind: "adamw" }>, slots: Slots, grad: string, decay: string): string {
  const [m, v] = [slotAt(slots, 0), slotAt(slots, 1)];
  const scaler = u.scaler === undefined ? undefined : w.read("scaler", u.scaler);
  const [bias1, root] = scaler === undefined ? ["h.bias1", "h.bias2_root"] : [scaler(`${SCALER.bias1}u`), `sqrt(${scaler(`${SCALER.bias2}u`)})`];
  return `    let g = ${grad};
    let first = ${literal(o.beta1)} * ${m.get("i")} + ${literal(1 - o.beta1)} * g;
    let second = ${literal(o.beta2)} * ${v.get("i")} + ${literal(1 - o.beta2)} * g * g;
    ${m.set("i", "first")}
    ${v.set("i", "second")}
    x = x * (1f - h.learning_rate * ${decay});
    x = x - h.learning_rate / ${bias1} * first / (sqrt(second) / ${root} + ${literal(o.eps)});`;
}

function sgdLines(o: { readonly momentum: number }, slots: Slots, grad: string, decay: string): string {
  const slot = slotAt(slots, 0);
  return `    let g = ${grad} + ${decay} * x;
    let moving = ${literal(o.momentum)} * ${slot.get("i")} + g;
    ${slot.set("i", "moving")}
    x = x - h.learning_rate * moving;`;
}

/** LARS for one tensor: its trust ratio, then momentum with the scaled gradient. */
export function larsDrafts(u: Update, optimizer: Extract<Optimizer, { kind: "lars" }>, decays: boolean, ratio: BufferRef, hyper: HyperBlock): Draft[] {
  const size = new KernelWriter("lars_ratio", "The trust ratio of a tensor: trust * |w| / |g + decay * w| where both norms are above 0, else 1.");
  size.hyper(hyper.fields);
  const code = `${size.fold("sum", 256, (a, b) => `${a} + ${b}`)}

${rowEntry("1u", 256)}
  var own = 0f;
  var slope = 0f;
  for (var j = thread; j < ${size.size("n", constantDim(u.updated))}; j += 256u) {
    let x = ${size.read("value", u.value)("j")};
    let g = ${size.read("grad", u.grad)("j")}${factorOf(size, u)} + h.weight_decay * x;
    own += x * x;
    slope += g * g;
  }
  let norm = sqrt(all_sum(thread, own));
  let slope_norm = sqrt(all_sum(thread, slope));
  if (thread == 0u) { ${size.write("y", ratio)("0", `select(1f, ${literal(optimizer.trust)} * norm / max(slope_norm, 1e-30f), norm > 0f && slope_norm > 0f)`)} }
}`;
  const w = new KernelWriter(decays ? "lars" : "lars_plain", `Gradient descent with momentum for one tensor${decays ? ", its gradient scaled by the trust ratio" : ""}.`);
  w.hyper(hyper.fields);
  const n = w.size("n", constantDim(u.updated));
  const grad = `${w.read("grad", u.grad)("i")}${factorOf(w, u)}`;
  const scaled = decays ? `(${grad} + h.weight_decay * x) * ${w.read("ratio", ratio)("0")}` : grad;
  const value = w.update("value", u.value);
  const momentum = w.update("momentum", u.slots[0] ?? u.grad);
  const main = `${linearEntry(n)}${skipLine(w, u.scaler)}
  let x = ${value.get("i")};
  let moving = ${literal(optimizer.momentum)} * ${momentum.get("i")} + ${scaled};
  let next = x - h.learning_rate * moving;
  ${momentum.set("i", "moving")}
  ${value.set("i", "next")}${u.half === undefined ? "" : `\n  ${w.write("half", u.half)("i", "next")}`}
}`;
  const step = w.finish(main, [up(constantDim(u.updated), 256)], undefined, `[${u.updated}]`);
  return decays ? [size.finish(code, [constantDim(1)], undefined, `[${u.updated}]`), step] : [step];
}

/** What else a dispatch writes and asks in f16. */
export interface Mixed {
  readonly half: BufferRef | undefined;
  readonly scaler: BufferRef | undefined;
}

/** A moving average by itself. */
export function emaDraft(target: BufferRef, source: BufferRef, momentum: string, hyper: HyperBlock, mixed: Mixed): Draft {
  const w = new KernelWriter("ema", "target = momentum * target + (1 - momentum) * source.");
  w.hyper(hyper.fields);
  const value = w.update("target_value", target);
  const code = `${linearEntry(w.size("n", constantDim(target.count)))}${skipLine(w, mixed.scaler)}
  let mean = h.${momentum} * ${value.get("i")} + (1f - h.${momentum}) * ${w.read("source", source)("i")};
  ${value.set("i", "mean")}${mixed.half === undefined ? "" : `\n  ${w.write("half", mixed.half)("i", "mean")}`}
}`;
  return w.finish(code, [up(constantDim(target.count), 256)], undefined, `[${target.count}]`);
}

/** Running state takes its new value. */
export function stateDraft(target: BufferRef, source: Tensor, mixed: Mixed): Draft {
  const w = new KernelWriter("set_state", "A running state takes its new value.");
  const code = `${linearEntry(w.size("n", constantDim(target.count)))}${skipLine(w, mixed.scaler)}
  let next = ${w.read("x", source)("i")};
  ${w.write("y", target)("i", "next")}${mixed.half === undefined ? "" : `\n  ${w.write("half", mixed.half)("i", "next")}`}
}`;
  return w.finish(code, [up(constantDim(target.count), 256)], undefined, `[${target.count}]`);
}
