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
import type { BufferRef, Draft } from "../kernel.js";
import { KernelWriter, foldFunction, linearEntry, rowEntry, up } from "../kernel.js";
import { literal } from "../lowering.js";

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
  readonly follower: { readonly value: BufferRef; readonly momentum: string } | undefined;
  /** The factor of clipping. */
  readonly clip: BufferRef | undefined;
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
  const share = `${w.read("x", grad)}[i] / f32(${w.size("parts", constantDim(parts))})`;
  const code = `${linearEntry(w.size("n", constantDim(grad.count)))}
  ${w.write("y", sum)}[i] ${first ? "=" : "+="} ${share};
}`;
  return w.finish(code, [up(constantDim(grad.count), 256)], undefined, `[${grad.count}]`);
}

/** Squares of gradients in 256 parts. */
export function normDraft(grad: BufferRef, out: BufferRef): Draft {
  const w = new KernelWriter("squares", "Sum of squares of an arena of gradients, in parts.");
  const code = `${foldFunction("sum", 256, (a, b) => `${a} + ${b}`)}

${rowEntry(`${NORM_PARTS}u`, 256)}
  let chunk = (${w.size("n", constantDim(grad.count))} + ${NORM_PARTS - 1}u) / ${NORM_PARTS}u;
  let begin = row * chunk;
  let end = min(begin + chunk, p.n);
  var total = 0f;
  for (var j = begin + thread; j < end; j += 256u) { total += ${w.read("x", grad)}[j] * x[j]; }
  let result = all_sum(thread, total);
  if (thread == 0u) { ${w.write("y", out)}[row] = result; }
}`;
  return w.finish(code, [constantDim(NORM_PARTS)], undefined, `[${grad.count}]`);
}

/** The factor by which gradients are scaled: min(1, limit / norm). */
export function clipDraft(norms: BufferRef, out: BufferRef, limit: number): Draft {
  const w = new KernelWriter("clip", `The factor that brings the norm of all gradients down to ${limit} where it is above.`);
  const code = `${foldFunction("sum", 256, (a, b) => `${a} + ${b}`)}

${rowEntry("1u", 256)}
  var total = 0f;
  for (var j = thread; j < ${w.size("n", constantDim(norms.count))}; j += 256u) { total += ${w.read("x", norms)}[j]; }
  let norm = sqrt(all_sum(thread, total));
  if (thread == 0u) { ${w.write("y", out)}[0] = ${literal(limit)} / max(norm, ${literal(limit)}); }
}`;
  return w.finish(code, [constantDim(1)], undefined, "[1]");
}

/** AdamW or SGD over an arena, and the moving average that follows it. */
export function updateDraft(u: Update, optimizer: Optimizer, hyper: HyperBlock): Draft {
  const adam = optimizer.kind === "adamw";
  const w = new KernelWriter(`${adam ? "adamw" : "sgd"}${u.follower === undefined ? "" : "_ema"}`, `${adam ? "AdamW" : "Gradient descent with momentum"} over an arena of parameters${u.follower === undefined ? "" : ", and the moving average that follows it"}.`);
  w.hyper(hyper.fields);
  const [value, grad] = [w.write("value", u.value), w.read("grad", u.grad)];
  const slots = u.slots.map((s, i) => w.write(adam ? (i === 0 ? "m" : "v") : "momentum", s));
  const scale = u.clip === undefined ? "" : ` * ${w.read("clip", u.clip)}[0]`;
  const decay = `select(0f, h.weight_decay, i < ${w.size("decayed", constantDim(u.decayed))})`;
  const step = adam ? adamLines(optimizer, slots, grad, scale, decay) : sgdLines(optimizer, slots[0] ?? "momentum", `${grad}[i]${scale}`, decay);
  const n = w.size("n", constantDim(Math.max(u.updated, u.follower === undefined ? 0 : u.followed)));
  const follow = u.follower === undefined ? "" : `
  if (i < ${w.size("followed", constantDim(u.followed))}) {
    let momentum = h.${u.follower.momentum};
    ${w.write("follower", u.follower.value)}[i] = momentum * follower[i] + (1f - momentum) * x;
  }`;
  const code = `${linearEntry(n)}
  var x = ${value}[i];
  if (i < ${w.size("updated", constantDim(u.updated))}) {
${step}
    ${value}[i] = x;
  }${follow}
}`;
  return w.finish(code, [up(constantDim(Math.max(u.updated, u.follower === undefined ? 0 : u.followed)), 256)], undefined, `[${u.updated}]`);
}

function adamLines(o: Extract<Optimizer, { kind: "adamw" }>, slots: readonly string[], grad: string, scale: string, decay: string): string {
  const [m, v] = slots;
  return `    let g = ${grad}[i]${scale};
    let first = ${literal(o.beta1)} * ${m}[i] + ${literal(1 - o.beta1)} * g;
    let second = ${literal(o.beta2)} * ${v}[i] + ${literal(1 - o.beta2)} * g * g;
    ${m}[i] = first;
    ${v}[i] = second;
    x = x * (1f - h.learning_rate * ${decay});
    x = x - h.learning_rate / h.bias1 * first / (sqrt(second) / h.bias2_root + ${literal(o.eps)});`;
}

function sgdLines(o: { readonly momentum: number }, slot: string, grad: string, decay: string): string {
  return `    let g = ${grad} + ${decay} * x;
    let moving = ${literal(o.momentum)} * ${slot}[i] + g;
    ${slot}[i] = moving;
    x = x - h.learning_rate * moving;`;
}

/** LARS for one tensor: its trust ratio, then momentum with the scaled gradient. */
export function larsDrafts(u: Update, optimizer: Extract<Optimizer, { kind: "lars" }>, decays: boolean, ratio: BufferRef, hyper: HyperBlock): Draft[] {
  const size = new KernelWriter("lars_ratio", "The trust ratio of a tensor: trust * |w| / |g + decay * w| where both norms are above 0, else 1.");
  size.hyper(hyper.fields);
  const scaleOf = (w: KernelWriter): string => (u.clip === undefined ? "" : ` * ${w.read("clip", u.clip)}[0]`);
  const code = `${foldFunction("sum", 256, (a, b) => `${a} + ${b}`)}

${rowEntry("1u", 256)}
  var own = 0f;
  var slope = 0f;
  for (var j = thread; j < ${size.size("n", constantDim(u.updated))}; j += 256u) {
    let x = ${size.read("value", u.value)}[j];
    let g = ${size.read("grad", u.grad)}[j]${scaleOf(size)} + h.weight_decay * x;
    own += x * x;
    slope += g * g;
  }
  let norm = sqrt(all_sum(thread, own));
  let slope_norm = sqrt(all_sum(thread, slope));
  if (thread == 0u) { ${size.write("y", ratio)}[0] = select(1f, ${literal(optimizer.trust)} * norm / max(slope_norm, 1e-30f), norm > 0f && slope_norm > 0f); }
}`;
  const w = new KernelWriter(decays ? "lars" : "lars_plain", `Gradient descent with momentum for one tensor${decays ? ", its gradient scaled by the trust ratio" : ""}.`);
  w.hyper(hyper.fields);
  const n = w.size("n", constantDim(u.updated));
  const grad = `${w.read("grad", u.grad)}[i]${scaleOf(w)}`;
  const scaled = decays ? `(${grad} + h.weight_decay * x) * ${w.read("ratio", ratio)}[0]` : grad;
  const main = `${linearEntry(n)}
  let x = ${w.write("value", u.value)}[i];
  let moving = ${literal(optimizer.momentum)} * ${w.write("momentum", u.slots[0] ?? u.grad)}[i] + ${scaled};
  momentum[i] = moving;
  value[i] = x - h.learning_rate * moving;
}`;
  const step = w.finish(main, [up(constantDim(u.updated), 256)], undefined, `[${u.updated}]`);
  return decays ? [size.finish(code, [constantDim(1)], undefined, `[${u.updated}]`), step] : [step];
}

/** A moving average by itself. */
export function emaDraft(target: BufferRef, source: BufferRef, momentum: string, hyper: HyperBlock): Draft {
  const w = new KernelWriter("ema", "target = momentum * target + (1 - momentum) * source.");
  w.hyper(hyper.fields);
  const code = `${linearEntry(w.size("n", constantDim(target.count)))}
  ${w.write("target_value", target)}[i] = h.${momentum} * target_value[i] + (1f - h.${momentum}) * ${w.read("source", source)}[i];
}`;
  return w.finish(code, [up(constantDim(target.count), 256)], undefined, `[${target.count}]`);
}

/** Running state takes its new value. */
export function stateDraft(target: BufferRef, source: Tensor): Draft {
  const w = new KernelWriter("set_state", "A running state takes its new value.");
  const code = `${linearEntry(w.size("n", constantDim(target.count)))}
  ${w.write("y", target)}[i] = ${w.read("x", source)}[i];
}`;
  return w.finish(code, [up(constantDim(target.count), 256)], undefined, `[${target.count}]`);
}
