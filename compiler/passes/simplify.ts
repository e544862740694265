/**
 * simplify: local rules that leave fewer or cheaper ops.
 *
 * Why: autodiff is built from general rules; what they leave (padded slices added up, products with 1, views of views) is
 * put right here once, instead of in every rule.
 * Requires: verified IR.
 * Ensures: values up to rounding; every rule makes the function smaller or an op cheaper, so repeating ends.
 * Example: `add(pad(a, 0, 4), pad(b, 4, 0))` -> `concat(a, b)`; `add(x, neg(y))` -> `sub(x, y)`; `mul(x, fill 3)` -> `scale(x, 3)`.
 * Rules are local: they look at a node and the makers of its operands, keep no state, and never at who uses it. `x * 0` is
 * left alone: it is not 0 where x is not finite.
 */
import type { FuncBuilder } from "../tensor/build.js";
import type { Node, NodeOf, ValueId } from "../tensor/ir.js";
import type { OpName } from "../tensor/ops.js";
import { broadcastShapes } from "../tensor/shapes.js";
import { rewriteFunc } from "../tensor/visit.js";
import type { Dim } from "../types/dim.js";
import { add, constantDim, constantOf, equal, equalShapes } from "../types/dim.js";
import { splatOf } from "./fold.js";
import { perFunction } from "./pass.js";

export const simplify = perFunction("simplify", "local rules that leave fewer or cheaper ops", (module, func) =>
  rewriteFunc(module, func, (b, node, args) => {
    const better = rule(b, node, args);
    return better === undefined ? b.copy(node, args) : [better];
  }),
);

const zero = constantDim(0);

/** What stands for the node's only result, or undefined where no rule applies. */
function rule(b: FuncBuilder, node: Node, args: readonly ValueId[]): ValueId | undefined {
  const [x, y] = args;
  if (x === undefined) return undefined;
  switch (node.op) {
    case "neg":
      return through(b, x, "neg", (inner) => inner.args[0]);
    case "scale":
      return through(b, x, "scale", (inner) => b.op("scale", [inner.args[0] ?? x], { by: inner.attrs.by * node.attrs.by }));
    case "shift":
      return through(b, x, "shift", (inner) => b.op("shift", [inner.args[0] ?? x], { by: inner.attrs.by + node.attrs.by }));
    case "reshape":
      return through(b, x, "reshape", (inner) => b.op("reshape", [inner.args[0] ?? x], node.attrs));
    case "broadcast":
      return through(b, x, "broadcast", (inner) => b.op("broadcast", [inner.args[0] ?? x], node.attrs));
    case "transpose":
      return through(b, x, "transpose", (inner) =>
        b.op("transpose", [inner.args[0] ?? x], { perm: node.attrs.perm.map((p) => inner.attrs.perm[p] ?? 0) }),
      );
    case "slice":
      return slice(b, node.attrs, x);
    case "pad":
      return equal(node.attrs.before, zero) && equal(node.attrs.after, zero) ? x : undefined;
    case "sum_leading":
      return b.shapeOf(x).length === 1 ? x : undefined;
    case "sum":
    case "mean":
      return emptyReduction(b, node, x);
    case "add":
    case "sub":
    case "mul":
    case "div":
      return y === undefined ? undefined : arithmetic(b, node.op, x, y) ?? plainOperands(b, node, args);
    case "max":
    case "min":
    case "less":
    case "select":
      return plainOperands(b, node, args);
    default:
      return undefined;
  }
}

/** Applies `then` where the operand is made by `op`. */
function through<O extends OpName>(b: FuncBuilder, x: ValueId, op: O, then: (inner: Extract<Node, { op: O }>) => ValueId | undefined): ValueId | undefined {
  const inner = b.producerOf(x);
  return isMadeBy(inner, op) ? then(inner) : undefined;
}

function isMadeBy<O extends OpName>(node: Node | undefined, op: O): node is Extract<Node, { op: O }> {
  return node?.op === op;
}

function slice(b: FuncBuilder, attrs: NodeOf<"slice">["attrs"], x: ValueId): ValueId | undefined {
  const whole = b.shapeOf(x)[attrs.axis];
  if (whole !== undefined && equal(attrs.start, zero) && equal(attrs.size, whole)) return x;
  return through(b, x, "slice", (inner) => {
    if (inner.attrs.axis !== attrs.axis) return undefined;
    return b.op("slice", [inner.args[0] ?? x], { ...attrs, start: add(inner.attrs.start, attrs.start) });
  });
}

/** Over axes of size 1 a sum or mean is a reshape. */
function emptyReduction(b: FuncBuilder, node: NodeOf<"sum"> | NodeOf<"mean">, x: ValueId): ValueId | undefined {
  const shape = b.shapeOf(x);
  const { axes, keep } = node.attrs;
  if (!axes.every((axis) => constantOf(shape[axis] ?? zero) === 1)) return undefined;
  return b.op("reshape", [x], { shape: keep ? shape : shape.filter((_, i) => !axes.includes(i)) });
}

function arithmetic(b: FuncBuilder, op: "add" | "sub" | "mul" | "div", x: ValueId, y: ValueId): ValueId | undefined {
  const right = withConstant(b, op, x, y);
  if (right !== undefined) return right;
  const commutes = op === "add" || op === "mul";
  const left = commutes ? withConstant(b, op, y, x) : undefined;
  if (left !== undefined) return left;
  if (op === "mul") return x === y ? b.op("square", [x]) : undefined;
  if (op === "sub") return through(b, y, "neg", (inner) => b.op("add", [x, inner.args[0] ?? y]));
  if (op === "div") return undefined;
  return (
    through(b, y, "neg", (inner) => b.op("sub", [x, inner.args[0] ?? y])) ??
    through(b, x, "neg", (inner) => b.op("sub", [y, inner.args[0] ?? x])) ??
    joinPads(b, x, y) ??
    joinPads(b, y, x) ??
    addSequences(b, x, y)
  );
}

/** x op constant, where the constant does not widen x. */
function withConstant(b: FuncBuilder, op: "add" | "sub" | "mul" | "div", x: ValueId, y: ValueId): ValueId | undefined {
  const c = splatOf(b, y);
  const [own, other] = [b.shapeOf(x), b.shapeOf(y)];
  if (c === undefined || b.typeOf(x).stack.length !== b.typeOf(y).stack.length) return undefined;
  const joined = broadcastShapes(own, other);
  if (joined === undefined || !equalShapes(joined, own)) return undefined;
  if (op === "add") return b.op("shift", [x], { by: c });
  if (op === "sub") return b.op("shift", [x], { by: -c });
  if (op === "mul") return b.op("scale", [x], { by: c });
  return c === 0 ? undefined : b.op("scale", [x], { by: 1 / c });
}

/** Two padded pieces that lie side by side are one padded piece: how the gradient of a split becomes a concat. */
function joinPads(b: FuncBuilder, x: ValueId, y: ValueId): ValueId | undefined {
  return through(b, x, "pad", (left) =>
    through(b, y, "pad", (right) => {
      const [p, q] = [left.args[0], right.args[0]];
      if (p === undefined || q === undefined || left.attrs.axis !== right.attrs.axis) return undefined;
      const { axis } = left.attrs;
      const end: Dim = add(left.attrs.before, b.shapeOf(p)[axis] ?? zero);
      if (!equal(end, right.attrs.before)) return undefined;
      const joined = b.op("concat", [...pieces(b, p, axis), ...pieces(b, q, axis)], { axis });
      return b.op("pad", [joined], { axis, before: left.attrs.before, after: right.attrs.after });
    }),
  );
}

/** Two sequences put together the same way are added part by part: how the gradients of both ends of one become one. */
function addSequences(b: FuncBuilder, x: ValueId, y: ValueId): ValueId | undefined {
  return through(b, x, "stack_join", (left) =>
    through(b, y, "stack_join", (right) =>
      left.args.length === right.args.length ? b.op("stack_join", left.args.map((a, i) => sum(b, a, right.args[i] ?? a))) : undefined,
    ),
  );
}

function sum(b: FuncBuilder, x: ValueId, y: ValueId): ValueId {
  return arithmetic(b, "add", x, y) ?? b.op("add", [x, y]);
}

/** The operands of a concat along the axis, or the value itself. */
function pieces(b: FuncBuilder, x: ValueId, axis: number): readonly ValueId[] {
  const node = b.producerOf(x);
  return node?.op === "concat" && node.attrs.axis === axis ? node.args : [x];
}

/** Operands without the broadcast (or the axes of size 1 in front) that the op would give them anyway. */
function plainOperands(b: FuncBuilder, node: Node, args: readonly ValueId[]): ValueId | undefined {
  const plain = args.map((a) => {
    const inner = b.producerOf(a);
    const [x] = inner?.args ?? [];
    const isPlain = inner?.op === "broadcast" || (inner?.op === "reshape" && x !== undefined && onlyAddsLeadingOnes(b, x, a));
    return isPlain ? (x ?? a) : a;
  });
  const wanted = joinAll(b, args);
  for (let i = 0; i < args.length; i++) {
    const trial = args.map((a, j) => (j === i ? (plain[j] ?? a) : a));
    const shape = joinAll(b, trial);
    if (plain[i] !== args[i] && shape !== undefined && wanted !== undefined && equalShapes(shape, wanted)) return b.copy(node, trial)[0];
  }
  return undefined;
}

function onlyAddsLeadingOnes(b: FuncBuilder, x: ValueId, reshaped: ValueId): boolean {
  const [inner, outer] = [b.shapeOf(x), b.shapeOf(reshaped)];
  const added = outer.length - inner.length;
  return added > 0 && outer.slice(0, added).every((d) => constantOf(d) === 1) && equalShapes(outer.slice(added), inner);
}

function joinAll(b: FuncBuilder, args: readonly ValueId[]): readonly Dim[] | undefined {
  return args.map((a) => b.shapeOf(a)).reduce<readonly Dim[] | undefined>((s, t) => s && broadcastShapes(s, t), []);
}
