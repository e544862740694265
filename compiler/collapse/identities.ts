/**
 * Identities of operations: the same value by other means, so that a constant shows behind what hides it.
 *
 * What is normalized does not tell its length, a softmax not its offset, `relu(x) - relu(-x)` is `x`, and a mean of a sum is the sum
 * of means. Each op here gives its value as a sum of parts whose arguments are written one way out of all that come to the same. Most
 * hold to rounding. Those of lengths hold up to the `eps` of the normalization, which is no more than rounding for vectors of
 * length 1 (`l2_normalize`), and for deviations is what only a loss of directions can see: these are for `nearly` alone. Measured:
 * `normalize(v) - normalize(2 * v)` trains nothing under a distance in 300 steps, and is told apart by its direction under a cosine.
 * Owns the identities; what forms are, and what is done with constants, is `fold.ts`'s.
 */
import type { Node } from "../model/ir.js";
import { constantOf as sizeOf } from "../types/dim.js";
import type { Form } from "./forms.js";
import { multiple, number, sum, unit, withRest } from "./forms.js";

/** A part: the op that made it, of which value, and by which attributes. */
export interface Made {
  readonly op: Node["op"];
  readonly of: Form | undefined;
  readonly besides: string;
  /** Axes that it may vary over, where it was first met. */
  readonly axes: readonly string[];
}

/** How values are named. */
export interface Maker {
  /** A part of its own: an op of values, told apart from others by `besides`. */
  readonly part: (node: Node, op: Node["op"], of: readonly Form[], besides: string) => Form;
  readonly made: (part: number) => Made | undefined;
  /** What tells a node apart besides its op and operands. */
  readonly besides: (node: Node) => string;
  /** Lengths that an `eps` lets through by less than a distance sees count for nothing. */
  readonly nearly: boolean;
}

/** The value of an op by identities; undefined where none applies. */
export function identical(node: Node, args: readonly Form[], maker: Maker): Form | undefined {
  const [a, b] = args;
  if (a === undefined || a.parts.size === 0) return undefined;
  const own = (op: Node["op"], of: Form): Form => maker.part(node, op, [of], "");
  switch (node.op) {
    case "relu": return scaledBy(a, (u, turned) => folded(own("relu", u), u, turned));
    case "abs": return scaledBy(a, (u) => sum(multiple(own("relu", u), 2), u, -1));
    case "gelu": return lead(a) < 0 ? sum(own("gelu", multiple(a, -1)), a, 1) : undefined;
    case "tanh": return lead(a) < 0 ? multiple(own("tanh", multiple(a, -1)), -1) : undefined;
    case "sigmoid": return lead(a) < 0 ? sum(number(1), own("sigmoid", multiple(a, -1)), -1) : undefined;
    case "square": return product(node, a, a, maker);
    case "mul": return b === undefined || b.parts.size === 0 ? undefined : product(node, a, b, maker);
    case "exp": return exponential(node, a, maker);
    case "log": return logarithm(node, a, maker);
    case "sqrt": return root(node, a, maker);
    case "softmax": case "log_softmax": case "sinkhorn": return distribution(node, a, maker);
    // In training, statistics of the batch count and none that run.
    case "normalize": case "batch_normalize": case "batch_norm": case "whiten": return normalized(node, withRest(a, 0), maker);
    case "l2_normalize": return normalized(node, a, maker);
    case "mean": case "sum": case "at": case "slice_features": case "slice_batch": case "slice_time": case "transpose": case "flatten": case "patches": return linear(node, a, maker);
    default: return undefined;
  }
}

/** How often a value holds the first of its parts. */
function lead(form: Form): number {
  return form.parts.get(Math.min(...form.parts.keys())) ?? 1;
}

/** A value as a length times another one that begins with one part, or with minus one. */
function scaledBy(form: Form, make: (unit: Form, turned: boolean) => Form): Form {
  const by = lead(form);
  return multiple(make(multiple(form, 1 / by), by < 0), Math.abs(by));
}

/** `relu(-u)` is `relu(u) - u`. */
function folded(made: Form, u: Form, turned: boolean): Form {
  return turned ? sum(made, u, -1) : made;
}

/** A product of sums as the sum of products. */
function product(node: Node, a: Form, b: Form, maker: Maker): Form | undefined {
  if (a.parts.size * b.parts.size > mostProducts) return undefined;
  let out = number(a.rest * b.rest);
  for (const [p, times] of a.parts) {
    out = sum(out, multiple(unit(p), times * b.rest), 1);
    for (const [q, by] of b.parts) out = sum(out, multiple(maker.part(node, "mul", [unit(Math.min(p, q)), unit(Math.max(p, q))], p === q ? squared : ""), times * by), 1);
  }
  for (const [q, by] of b.parts) out = sum(out, multiple(unit(q), by * a.rest), 1);
  return out;
}

/** Longer products stay products. */
const mostProducts = 4;

/** The part that a value is some times, and nothing else. */
function single(form: Form, maker: Maker): { readonly made: Made; readonly by: number } | undefined {
  const [[part, by] = [-1, 0]] = form.parts;
  const made = form.parts.size === 1 && form.rest === 0 ? maker.made(part) : undefined;
  return made === undefined ? undefined : { made, by };
}

function exponential(node: Node, a: Form, maker: Maker): Form {
  const inner = single(a, maker);
  if (inner?.made.op === "log_softmax" && inner.made.of !== undefined && inner.by === 1) return maker.part(node, "softmax", [inner.made.of], inner.made.besides);
  return multiple(maker.part(node, "exp", [withRest(a, 0)], ""), Math.exp(a.rest));
}

function logarithm(node: Node, a: Form, maker: Maker): Form | undefined {
  const inner = single(a, maker);
  const of = inner?.made.of;
  if (inner === undefined || of === undefined || inner.by <= 0 || (inner.made.op !== "exp" && inner.made.op !== "softmax")) return undefined;
  const value = inner.made.op === "exp" ? of : maker.part(node, "log_softmax", [of], inner.made.besides);
  return withRest(value, value.rest + Math.log(inner.by));
}

/** The root of a square. */
function root(node: Node, a: Form, maker: Maker): Form | undefined {
  const inner = single(a, maker);
  const of = inner?.made.op === "mul" ? inner.made.of : undefined;
  if (inner === undefined || of === undefined || inner.by <= 0 || inner.made.besides !== squared) return undefined;
  return multiple(sum(multiple(maker.part(node, "relu", [of], ""), 2), of, -1), Math.sqrt(inner.by));
}

/** What is said of a product of a part with itself. */
const squared = "^2";

/** An offset leaves a distribution what it is, and a factor is a temperature. */
function distribution(node: Node, a: Form, maker: Maker): Form {
  const { temperature = node.op === "sinkhorn" ? 0.05 : 1, ...attrs } = node.attrs;
  const plain = { ...node, attrs } as Node;
  return maker.part(node, node.op, [withRest(multiple(a, 1 / temperature), 0)], maker.besides(plain));
}

const usualEps: Readonly<Record<string, number>> = { normalize: 1e-5, batch_normalize: 1e-5, batch_norm: 1e-5, whiten: 1e-3, l2_normalize: 1e-12 };

/**
 * What is normalized keeps its sign, and of a length what the `eps` lets through. A first part of length (deviation) 1 is taken for
 * the scale of things, as everywhere in the analysis. Whitening shrinks towards the identity by so much that it tells lengths.
 */
function normalized(written: Node, a: Form, maker: Maker): Form {
  // By the batch's own statistics: which states remember them, and how, tells nothing.
  const node: Node = written.op === "batch_norm" ? { ...written, op: "batch_normalize", attrs: { eps: written.attrs.eps ?? usualEps["batch_norm"] } } : written;
  const { op } = node;
  const eps = node.attrs.eps ?? usualEps[op] ?? 1;
  const besides = maker.besides(node);
  const inner = single(a, maker);
  const isLong = (length: number): boolean => (op === "l2_normalize" ? length ** 2 >= 1e7 * eps : maker.nearly && op !== "whiten" && length ** 2 >= 100 * eps);
  const width = widthOf(node);
  // One feature is its own mean.
  if (op === "normalize" && width === 1) return number(0);
  // The length of the operand is known, and so is what becomes of it.
  if (inner !== undefined && inner.made.op === op && inner.made.besides === besides && isLong(inner.by)) return unitOf(a, Math.sign(inner.by));
  if (op === "normalize" && inner?.made.op === "l2_normalize" && inner.made.of !== undefined && width !== undefined && isLong(inner.by / Math.sqrt(width))) {
    const of = withRest(inner.made.of, 0);
    return multiple(normalized(node, multiple(of, 1 / Math.abs(lead(of))), maker), Math.sign(inner.by));
  }
  if (op === "l2_normalize" && maker.nearly && inner?.made.op === "normalize" && width !== undefined && isLong(inner.by)) return unitOf(a, Math.sign(inner.by) / Math.sqrt(width));
  const by = lead(a);
  return isLong(by) ? multiple(maker.part(node, op, [multiple(a, 1 / by)], besides), Math.sign(by)) : multiple(maker.part(node, op, [multiple(a, Math.sign(by))], besides), Math.sign(by));
}

/** The one part of a value, so many times. */
function unitOf(a: Form, by: number): Form {
  return { parts: new Map([...a.parts].map(([part]) => [part, by])), rest: 0 };
}

/** A linear op of a sum is the sum of what it makes of the parts; of some parts that is known. */
function linear(node: Node, a: Form, maker: Maker): Form | undefined {
  if (node.op === "sum" && a.rest !== 0) return undefined;
  const besides = maker.besides(node);
  const alone = a.parts.size === 1 && a.rest === 0 && [...a.parts.values()][0] === 1;
  let out = number(a.rest);
  for (const [part, count] of a.parts) {
    const known = reduced(node, maker.made(part), part);
    if (alone && known === undefined) return undefined;
    out = sum(out, multiple(known ?? maker.part(node, node.op, [unit(part)], besides), count), 1);
  }
  return out;
}

/** What a mean or a sum makes of a part whose statistics are known. */
function reduced({ op, attrs, type }: Node, made: Made | undefined, part: number): Form | undefined {
  const over = attrs.over ?? [];
  if ((op !== "mean" && op !== "sum") || made === undefined || over.length === 0 || over.includes("column")) return undefined;
  const features = over.length === 1 && over[0] === "feature";
  // A mean over what it does not vary over; `sum` counts that, and how often is not known here.
  if (op === "mean" && type.axes.length > 0 && over.every((axis) => !made.axes.includes(axis))) return unit(part);
  if (features && made.op === "normalize") return number(0);
  if (features && made.op === "softmax" && made.besides.includes('"feature"') && !made.besides.includes('"batch"')) return op === "sum" ? number(1) : undefined;
  const rows = made.axes.filter((axis) => axis !== "feature");
  return (made.op === "batch_normalize" || made.op === "whiten") && rows.every((axis) => over.includes(axis)) && !over.includes("feature") ? number(0) : undefined;
}

function widthOf({ type }: Node): number | undefined {
  const last = type.shape.at(-1);
  return last === undefined ? undefined : sizeOf(last);
}
