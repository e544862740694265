/**
 * Result types of model-level ops.
 *
 * Owns the rule that gives each op's type from its operands' types, for `build.ts`, which makes nodes with it, and
 * `verify.ts`, which compares nodes with it. The checker has the same rules with diagnostics for people; these speak to
 * developers, so a broken rule is one line of text. Sources (`input`, `param`, `constant`) declare their types. The space
 * of a value is the checker's judgment (it depends on the objective) and is only carried along here.
 */
import type { Dim } from "../types/dim.js";
import { constantDim, constantOf, divide, equal, equalShapes, mul, printShape, substitute, symbolDim, total } from "../types/dim.js";
import type { Axis, Grid, Positions, ValueType } from "../types/value-type.js";
import { anySpace, isPairwise, namedAxes, noPositions, placesOf, samePositions, sidesOf, valuesOf } from "../types/value-type.js";
import type { Attrs, Func, Mask, ModelOp } from "./ir.js";

/** What rules look up. */
export interface RuleContext {
  readonly func: (name: string) => Func | undefined;
  readonly mask: (name: string) => Mask | undefined;
}

/** A type, or `declared` where the node itself decides, or what is wrong. */
export type Inferred =
  | { readonly kind: "type"; readonly type: ValueType }
  | { readonly kind: "declared" }
  | { readonly kind: "problem"; readonly message: string };

/** The type of a scalar, such as a loss. */
const scalarType: ValueType = { shape: [], axes: [], positions: noPositions, space: { kind: "scalar" }, dtype: "f32", pending: undefined };

const ok = (type: ValueType): Inferred => ({ kind: "type", type });
const wrong = (message: string): Inferred => ({ kind: "problem", message });

/** The type that an op gives for these operands. */
export function inferType(cx: RuleContext, op: ModelOp, args: readonly ValueType[], attrs: Attrs): Inferred {
  const [a, b] = args;
  switch (op) {
    case "input": case "param": case "constant": case "result": return { kind: "declared" };
    case "loss": return ok(scalarType);
    case "call": case "repeat": return callType(cx, args, attrs, 0);
    default: break;
  }
  if (a === undefined) return wrong("it has no operand");
  switch (op) {
    case "patches": return patchesType(a, attrs);
    case "at": return atType(cx, a, attrs);
    case "table_at": return tableType(cx, a, attrs);
    case "expand_at": return expandType(cx, a, attrs);
    case "concat": return concatType(args);
    case "slice_features": return sliceType(a, attrs);
    case "slice_time": return momentsType(a, attrs);
    case "slice_batch": return partType(a, attrs);
    case "union": return joinType(args, 0);
    case "join_features": return joinType(args, a.shape.length - 1);
    case "transpose": return a.shape.length === 2 ? ok({ ...a, shape: a.shape.toReversed() }) : wrong("its operand is not a matrix");
    case "replace_at": return replaceType(cx, a, b, attrs);
    case "assign": return b?.shape[0] === undefined ? wrong("it has no codebook") : ok({ ...a, shape: [...a.shape.slice(0, -1), b.shape[0]], space: { kind: "logits" } });
    case "affine": case "matmul": return b === undefined ? wrong("it has no second operand") : productType(a, b, args[2]);
    case "rotate": return rotateType(a, b, attrs);
    case "attend": return attendType(args, attrs);
    case "similarities": return b === undefined ? wrong("it has no second operand") : similarityType(a, b);
    case "second_moments": return b === undefined ? wrong("it has no second operand") : momentType(a, b);
    case "diagonal": return isSquare(a) ? ok({ ...a, shape: a.shape.slice(0, 1), axes: a.axes.slice(0, 1) }) : wrong("its operand is not a square matrix of pairs");
    case "off_diagonal": return isSquare(a) ? ok(a) : wrong("its operand is not a square matrix of pairs");
    case "add": case "sub": case "mul": case "div": return b === undefined ? wrong("it has no second operand") : broadcastType(a, b);
    case "softmax": case "log_softmax": case "sinkhorn": return ok({ ...a, space: { kind: "logits" } });
    case "mean": case "sum": return reduceType(a, attrs);
    case "flatten": return flattenType(a);
    case "neg": case "exp": case "log": case "sqrt": case "square": case "abs": case "relu": case "gelu": case "tanh": case "sigmoid":
    case "scale": case "shift": case "stop_gradient": return ok(a);
    case "nearest": return isVectors(a) ? ok(a) : wrong("its operand has not one vector for each image");
    case "normalize": case "l2_normalize": case "batch_normalize": case "batch_norm": case "center": case "whiten": return ok(a);
  }
}

/** The type of result `index` of a call or loop. */
export function callType(cx: RuleContext, args: readonly ValueType[], attrs: Attrs, index: number): Inferred {
  const func = cx.func(attrs.func ?? "");
  if (func === undefined) return wrong(`there is no function \`${attrs.func ?? ""}\` before this`);
  if (func.body.inputs.length !== args.length) return wrong(`\`${func.name}\` has ${func.body.inputs.length} inputs and gets ${args.length} operands`);
  const dims = new Map(Object.entries(attrs.dims ?? {}));
  for (const [i, id] of func.body.inputs.entries()) {
    const formal = func.body.nodes[id]?.type;
    const arg = args[i];
    if (formal === undefined || arg === undefined) return wrong(`input ${i} of \`${func.name}\` is not a node of it`);
    const shape = formal.shape.map((d) => substitute(d, dims));
    if (!equalShapes(shape, arg.shape)) return wrong(`input ${i} of \`${func.name}\` is ${printShape(shape)} and gets ${printShape(arg.shape)}`);
  }
  const result = func.body.nodes[func.body.results[index] ?? -1];
  if (result === undefined) return wrong(`\`${func.name}\` has no result ${index}`);
  return ok({ ...result.type, shape: result.type.shape.map((d) => substitute(d, dims)), positions: place(result.type.positions, dims, opaqueArgs(func, args)) });
}

/** What each opaque position fact of a function is at this call. */
function opaqueArgs(func: Func, args: readonly ValueType[]): ReadonlyMap<string, Positions> {
  const map = new Map<string, Positions>();
  func.body.inputs.forEach((id, i) => {
    const node = func.body.nodes[id];
    const arg = args[i];
    if (node === undefined || arg === undefined) return;
    if (node.type.positions.kind === "opaque" && !map.has(node.type.positions.of)) map.set(node.type.positions.of, arg.positions);
    if (node.attrs.path !== undefined && !map.has(node.attrs.path)) map.set(node.attrs.path, arg.positions);
  });
  return map;
}

function place(p: Positions, dims: ReadonlyMap<string, Dim>, opaque: ReadonlyMap<string, Positions>): Positions {
  if (p.kind === "opaque") return opaque.get(p.of) ?? p;
  if (p.kind !== "concat") return p;
  return { kind: "concat", parts: p.parts.map((x) => ({ positions: place(x.positions, dims, opaque), length: substitute(x.length, dims) })) };
}

function patchesType(image: ValueType, attrs: Attrs): Inferred {
  const timed = image.axes.includes("time");
  const [rows, ...sizes] = image.shape;
  const [height, width, channels] = (timed ? sizes.slice(1) : sizes).map(constantOf);
  const { grid, patch, size } = attrs;
  if (rows === undefined || height === undefined || width === undefined || channels === undefined || !image.axes.includes("height")) return wrong("its operand is not an image");
  if (grid === undefined || patch === undefined) return wrong("it lacks a grid");
  const [high, wide] = sidesOf(grid);
  if (high !== patch || grid.rows * high !== height || grid.cols * wide !== width || grid.channels !== channels) return wrong("its grid does not tile the image");
  const values = constantDim(valuesOf(grid));
  const common = { positions: { kind: "all", grid }, space: { kind: "pixels" }, dtype: "f32", pending: undefined } as const;
  const [moments] = sizes;
  if (!timed || moments === undefined) return ok({ ...common, shape: [rows, constantDim(placesOf(grid)), values], axes: ["batch", "token", "feature"] });
  if (size === undefined) return ok({ ...common, shape: [rows, moments, constantDim(placesOf(grid)), values], axes: ["batch", "time", "token", "feature"] });
  if (grid.tube !== size || constantOf(moments) !== size * (grid.frames ?? 0)) return wrong("its tubes do not tile the video");
  return ok({ ...common, shape: [rows, constantDim(placesOf(grid)), values], axes: ["batch", "token", "feature"] });
}

function atType(cx: RuleContext, x: ValueType, attrs: Attrs): Inferred {
  const mask = attrs.mask ?? "";
  if (x.axes.includes("height")) return ok({ ...x, pending: mask });
  if (attrs.select !== undefined) return selectType(x, mask, attrs.select);
  const { grid } = attrs;
  if (x.positions.kind !== "all" || grid === undefined) return wrong("it picks positions from a value that does not have all of them");
  const copies = constantDim(cx.mask(mask)?.count ?? 1);
  const shape = x.shape.map((d, i) => (i === 0 ? mul(d, copies) : x.axes[i] === "token" ? maskLength(mask) : d));
  return ok({ ...x, shape, positions: { kind: "mask", mask, grid }, pending: undefined });
}

function replaceType(cx: RuleContext, x: ValueType, vector: ValueType | undefined, attrs: Attrs): Inferred {
  if (x.positions.kind !== "all" || (cx.mask(attrs.mask ?? "")?.count ?? 1) !== 1) return wrong("it replaces tokens of a value that does not have all of them once");
  return vector !== undefined && isVector(vector) ? ok(x) : wrong("what it puts in is not a vector of features");
}

/** One vector of features; leading axes of size 1 are allowed, as in a mask token `[1, 1, width]`. */
function isVector(type: ValueType): boolean {
  return !type.axes.includes("batch") && type.axes.at(-1) === "feature" && type.shape.slice(0, -1).every((d) => constantOf(d) === 1);
}

/** One value after the other along an axis, the others being equal. */
function joinType(args: readonly ValueType[], axis: number): Inferred {
  const first = args[0];
  if (first === undefined) return wrong("it joins nothing");
  const rest = (t: ValueType): readonly Dim[] => t.shape.filter((_, i) => i !== axis);
  if (args.some((t) => t.axes.join() !== first.axes.join() || !equalShapes(rest(t), rest(first)) || !samePositions(t.positions, first.positions))) return wrong("its operands do not fit");
  return ok({ ...first, shape: first.shape.map((d, i) => (i === axis ? total(args.map((t) => t.shape[i] ?? constantDim(0))) : d)) });
}

function partType(x: ValueType, attrs: Attrs): Inferred {
  const { count = 0, index = 0 } = attrs;
  const rows = count < 1 || index >= count ? undefined : divide(x.shape[0] ?? constantDim(1), constantDim(count));
  return rows === undefined || x.axes[0] !== "batch" ? wrong("its operand is not a union of so many batches") : ok({ ...x, shape: [rows, ...x.shape.slice(1)] });
}

function momentsType(x: ValueType, attrs: Attrs): Inferred {
  const axis = x.axes.indexOf("time");
  const length = constantOf(x.shape[axis] ?? constantDim(0)) ?? 0;
  const { start = 0, size = 0 } = attrs;
  if (axis < 0 || start < 0 || size < 1 || start + size > length) return wrong(`it takes moments ${start} to ${start + size} of ${length}`);
  return ok({ ...x, shape: x.shape.map((d, i) => (i === axis ? constantDim(size) : d)) });
}

function selectType(x: ValueType, mask: string, select: NonNullable<Attrs["select"]>): Inferred {
  if (x.positions.kind !== "concat") return wrong("it selects a run from a value that has none");
  let start: Dim = constantDim(0);
  for (const part of x.positions.parts) {
    if (equal(start, select.start) && equal(part.length, select.length)) {
      if (part.positions.kind !== "mask" || part.positions.mask !== mask) break;
      return ok({ ...x, shape: x.shape.map((d, i) => (i === 1 ? part.length : d)), positions: part.positions });
    }
    start = total([start, part.length]);
  }
  return wrong(`it selects a run that is not at \`${mask}\``);
}

function tableType(cx: RuleContext, table: ValueType, attrs: Attrs): Inferred {
  const { grid, mask, size } = attrs;
  const width = table.shape.at(-1);
  const timed = table.axes.join() === "time,token,feature";
  if (grid === undefined || width === undefined || (table.shape.length !== 2 && !timed) || (timed && size !== undefined)) return wrong("its operand is not a table");
  if (mask === undefined) return ok(table);
  const at = tokensAt(cx, mask, grid, width);
  const moments = timed ? table.shape[0] : size === undefined ? undefined : constantDim(size);
  return ok(moments === undefined ? at : { ...at, shape: [...at.shape.slice(0, 1), moments, ...at.shape.slice(1)], axes: ["batch", "time", "token", "feature"] });
}

function expandType(cx: RuleContext, vector: ValueType, attrs: Attrs): Inferred {
  const { grid, mask } = attrs;
  const width = vector.shape.at(-1);
  if (grid === undefined || width === undefined || !(isVector(vector) || isTable(vector, grid, mask))) return wrong("its operand is not a vector of features");
  if (mask !== undefined) return ok(tokensAt(cx, mask, grid, width));
  return ok({ ...tokensAt(cx, "", grid, width), shape: [symbolDim("B"), constantDim(placesOf(grid)), width], positions: { kind: "all", grid } });
}

/** A row for every position of the grid, which stands once for each image. */
function isTable({ axes, shape }: ValueType, grid: Grid, mask: string | undefined): boolean {
  return mask === undefined && axes.join() === "token,feature" && constantOf(shape[0] ?? constantDim(0)) === placesOf(grid);
}

function tokensAt(cx: RuleContext, mask: string, grid: Grid, width: Dim): ValueType {
  const rows = mul(symbolDim("B"), constantDim(cx.mask(mask)?.count ?? 1));
  return { shape: [rows, maskLength(mask), width], axes: ["batch", "token", "feature"], positions: { kind: "mask", mask, grid }, space: anySpace, dtype: "f32", pending: undefined };
}

/** The dim that stands for how many positions a mask keeps. */
function maskLength(mask: string): Dim {
  return symbolDim(`K_${mask}`);
}

function concatType(args: readonly ValueType[]): Inferred {
  const first = args[0];
  const features = first?.shape[2];
  if (first === undefined || features === undefined) return wrong("it joins no tokens");
  if (args.some((x) => x.axes.join() !== "batch,token,feature" || !equal(x.shape[2] ?? constantDim(-1), features))) return wrong("its operands are not tokens of one width");
  const rows = args.map((x) => x.shape[0] ?? constantDim(1)).reduce((best, d) => (divide(d, best) !== undefined ? d : best));
  if (args.some((x) => divide(rows, x.shape[0] ?? constantDim(1)) === undefined)) return wrong("its operands have rows that do not repeat to fit");
  const parts = args.flatMap((x) => (x.positions.kind === "concat" ? x.positions.parts : [{ positions: x.positions, length: x.shape[1] ?? constantDim(0) }]));
  return ok({ ...first, shape: [rows, total(args.map((x) => x.shape[1] ?? constantDim(0))), features], positions: { kind: "concat", parts } });
}

function sliceType(x: ValueType, attrs: Attrs): Inferred {
  const width = constantOf(x.shape.at(-1) ?? constantDim(0)) ?? 0;
  const { start = 0, size = 0 } = attrs;
  if (start < 0 || size < 1 || start + size > width) return wrong(`it takes features ${start} to ${start + size} of ${width}`);
  return ok({ ...x, shape: [...x.shape.slice(0, -1), constantDim(size)] });
}

function productType(a: ValueType, b: ValueType, bias: ValueType | undefined): Inferred {
  const [from, to] = b.shape;
  const inner = a.shape.at(-1);
  if (from === undefined || to === undefined || inner === undefined || b.shape.length !== 2 || !equal(from, inner)) return wrong(`${printShape(a.shape)} does not meet ${printShape(b.shape)}`);
  if (bias !== undefined && !equalShapes(bias.shape, [to])) return wrong(`its bias is ${printShape(bias.shape)}`);
  return ok({ ...a, shape: [...a.shape.slice(0, -1), to], ...mixedRows(a, b) });
}

/** A matrix of pairs of images mixes the rows of a batch: what comes out has the batch's features. */
export function mixedRows(a: ValueType, b: ValueType): Partial<Pick<ValueType, "axes" | "space">> {
  const [rows, last] = b.axes;
  return rows !== "batch" || last === undefined ? {} : { axes: [...a.axes.slice(0, -1), last], space: b.space };
}

/** Whether a value is a square matrix of pairs: what has a diagonal. */
export function isSquare(type: ValueType): boolean {
  const [rows, columns] = type.shape;
  return isPairwise(type) && rows !== undefined && columns !== undefined && equal(rows, columns);
}

/** Whether a value is one vector of features for each image. */
export function isVectors(type: ValueType): boolean {
  return type.axes.join() === "batch,feature";
}

function similarityType(a: ValueType, b: ValueType): Inferred {
  const [rows, width] = a.shape;
  const [columns, other] = b.shape;
  if (!isVectors(a) || !isVectors(b) || rows === undefined || columns === undefined || width === undefined || other === undefined || !equal(width, other)) return wrong(`${printShape(a.shape)} does not meet ${printShape(b.shape)}`);
  return ok({ ...a, shape: [rows, columns], axes: ["batch", "batch"], space: anySpace });
}

function momentType(a: ValueType, b: ValueType): Inferred {
  const [rows, width] = a.shape;
  const [others, columns] = b.shape;
  if (!isVectors(a) || !isVectors(b) || rows === undefined || others === undefined || width === undefined || columns === undefined || !equal(rows, others)) return wrong(`${printShape(a.shape)} does not meet ${printShape(b.shape)}`);
  return ok({ ...a, shape: [width, columns], axes: ["feature", "feature"], space: anySpace });
}

function rotateType(x: ValueType, turns: ValueType | undefined, attrs: Attrs): Inferred {
  const width = constantOf(x.shape.at(-1) ?? constantDim(0)) ?? 0;
  const size = constantOf(turns?.shape.at(-1) ?? constantDim(0)) ?? 0;
  const heads = attrs.heads ?? 0;
  if (heads < 1 || width % heads !== 0) return wrong(`${heads} heads do not divide a width of ${width}`);
  if (turns === undefined || size < 2 || size % 2 !== 0 || size > width / heads) return wrong(`it turns ${size} of ${width / heads} features of a head`);
  return ok(x);
}

/** How many tokens each moment of a value has, where it has moments one after the other: an axis of them, or all tubes of a grid. */
export function momentOf({ axes, shape, positions }: ValueType): number | undefined {
  if (axes.join() === "batch,time,feature") return 1;
  if (axes.join() === "batch,time,token,feature") return constantOf(shape[2] ?? constantDim(0));
  return axes.join() === "batch,token,feature" && positions.kind === "all" && positions.grid.frames !== undefined ? positions.grid.rows * positions.grid.cols : undefined;
}

function attendType(args: readonly ValueType[], attrs: Attrs): Inferred {
  const [q] = args;
  const width = constantOf(q?.shape.at(-1) ?? constantDim(0)) ?? 0;
  const heads = attrs.heads ?? 0;
  if (q === undefined || heads < 1 || width % heads !== 0) return wrong(`${heads} heads do not divide a width of ${width}`);
  if (attrs.block !== undefined && (attrs.block !== momentOf(q) || args.some((x) => !equalShapes(x.shape, q.shape) || !samePositions(x.positions, q.positions)))) return wrong(`it hides later moments of ${attrs.block} tokens, which these are not`);
  return ok(q);
}

function broadcastType(a: ValueType, b: ValueType): Inferred {
  const long = a.shape.length >= b.shape.length ? a : b;
  const short = long === a ? b : a;
  const offset = long.shape.length - short.shape.length;
  const shape: Dim[] = [];
  for (const [i, x] of long.shape.entries()) {
    const y = i >= offset ? short.shape[i - offset] : undefined;
    if (y === undefined || equal(x, y) || constantOf(y) === 1) shape.push(x);
    else if (constantOf(x) === 1) shape.push(y);
    else return wrong(`${printShape(a.shape)} does not meet ${printShape(b.shape)}`);
  }
  const positions = meet(a, b);
  if (positions === undefined) return wrong("its operands sit at different positions");
  return ok({ ...long, shape, positions, space: a.space.kind === "any" ? b.space : a.space });
}

function meet(a: ValueType, b: ValueType): Positions | undefined {
  const token: Axis = "token";
  if (!a.axes.includes(token)) return b.positions;
  if (!b.axes.includes(token) || samePositions(a.positions, b.positions)) return a.positions;
  if (a.positions.kind === "none") return b.positions;
  return b.positions.kind === "none" ? a.positions : undefined;
}

function reduceType(x: ValueType, attrs: Attrs): Inferred {
  const over = attrs.over ?? [];
  const unknown = over.find((name) => !namedAxes(x.axes, [name]).includes(true));
  if (unknown !== undefined) return wrong(`its operand has no ${unknown} axis`);
  const keep = namedAxes(x.axes, over).map((gone) => !gone);
  const axes = x.axes.filter((_, i) => keep[i]);
  return ok({
    ...x, shape: x.shape.filter((_, i) => keep[i]), axes,
    positions: axes.includes("token") ? x.positions : noPositions, space: axes.length === 0 ? { kind: "scalar" } : x.space,
  });
}

function flattenType(x: ValueType): Inferred {
  const [rows, ...rest] = x.shape;
  const size = rest.reduce((n, d) => n * (constantOf(d) ?? NaN), 1);
  if (rows === undefined || !Number.isInteger(size)) return wrong("its operand does not have a fixed shape");
  return ok({ ...x, shape: [rows, constantDim(size)], axes: ["batch", "feature"], positions: noPositions, pending: undefined });
}
