/**
 * One encoder as an ONNX model: a flat graph with its weights.
 *
 * Owns the walk: calls are followed, loops unrolled (each turn has its own weights), parameters become stored tensors under
 * their names. The picture comes in as other libraries feed it, `pixel_values` [batch, channels, height, width], and the
 * batch stays open. Weights beyond what one file may hold (2 GB) go into a file beside it. What an op becomes is
 * lowering.ts; what cannot be said is returned as sentences, not thrown.
 */
import { runPasses } from "../../passes/pass.js";
import { beforeAutodiff, cleanup } from "../../passes/pipelines.js";
import type { Func, Module, Node, TensorType, ValueId } from "../../tensor/ir.js";
import { funcOf, IrError, typeOf } from "../../tensor/ir.js";
import type { PrimitiveName } from "../../tensor/ops.js";
import { substituteType } from "../../tensor/shapes.js";
import { reachable, substituteNode, useCounts } from "../../tensor/visit.js";
import type { Dim } from "../../types/dim.js";
import { constantOf, substitute, symbolDim } from "../../types/dim.js";
import { encoderFunction } from "../encoders.js";
import { trainingForms } from "../tfjs/passes.js";
import { batchSymbol, NotInOnnx, OnnxGraph } from "./graph.js";
import type { OnnxCall, OnnxRow } from "./lowering.js";
import { onnxRows } from "./lowering.js";
import { encodeModel } from "./proto.js";

/** The version of the standard operator set that models are written for. */
export const onnxOpset = 17;

/** What to export. */
export interface OnnxJob {
  /** Functions of encoders, see targets/encoders.ts. */
  readonly module: Module;
  readonly encoder: string;
  /** Parameter values by absolute name. */
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly program: string;
  readonly compiler: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Most bytes of weights inside of the model's own file. */
  readonly mostBytes?: number;
}

/** The model, or why there is none. `data` belongs into the file `<name>.data` beside the model, when it is not empty. */
export type OnnxResult =
  | { readonly kind: "model"; readonly model: Uint8Array; readonly data: Uint8Array; readonly nodes: number; readonly output: string }
  | { readonly kind: "refused"; readonly problems: readonly string[] };

/** A value of the walk: a tensor of the graph, or one for each turn of a loop. */
type Held = { readonly kind: "one"; readonly name: string } | { readonly kind: "many"; readonly items: readonly Held[] };

interface Walk {
  readonly module: Module;
  readonly g: OnnxGraph;
}

/** Makes the model of an encoder; `name` is that of its file. */
export function emitOnnx(job: OnnxJob, name: string): OnnxResult {
  const root = encoderFunction(job.encoder);
  const { module } = runPasses(job.module, [...beforeAutodiff, trainingForms, cleanup], { roots: [root] });
  const problems = unsupported(module, root);
  if (problems.length > 0) return { kind: "refused", problems };
  try {
    return emit(job, module, funcOf(module, root), name);
  } catch (error) {
    if (error instanceof NotInOnnx) return { kind: "refused", problems: [error.message] };
    throw error;
  }
}

/** Every op that an encoder uses and ONNX models of encoders do not have, once each. */
function unsupported(module: Module, root: string): string[] {
  const found = new Map<string, string>();
  const rows: { readonly [O in PrimitiveName]: OnnxRow<O> } = onnxRows;
  for (const name of reachable(module, [root])) {
    for (const node of funcOf(module, name).nodes) {
      if (node.op === "call" || node.op === "repeat") continue;
      const row = rows[node.op];
      if ("why" in row) found.set(node.op, `\`${node.op}\` in \`${name}\`: ${row.why}`);
    }
  }
  return [...found.values()];
}

function emit(job: OnnxJob, module: Module, func: Func, name: string): OnnxResult {
  const [picture, second] = func.inputs.filter((i) => i.role === "data");
  const output = func.outputs.find((o) => o.role === "data");
  if (picture === undefined || second !== undefined || output === undefined) throw new IrError(`\`${func.name}\` is not an encoder`);
  const imageShape = typeOf(func, picture.value).shape;
  if (imageShape.length !== 4) throw new NotInOnnx("it takes clips, and what is exported takes pictures");
  const [, height = 0, width = 0, channels = 0] = imageShape.map((d) => constantOf(d) ?? 0);
  const g = new OnnxGraph("pixel_values");
  const image: Held = { kind: "one", name: g.op("Transpose", ["pixel_values"], { perm: [0, 2, 3, 1] }, "image") };
  const args = func.inputs.map((input) => (input === picture ? image : parameter(job, g, input.path, typeOf(func, input.value))));
  const [result] = runFunc({ module, g }, func, args, new Map([[batchSymbol, symbolDim(batchSymbol)]]));
  if (result?.kind !== "one") throw new IrError(`\`${func.name}\` has no single result`);
  const outputShape = typeOf(func, output.value).shape;
  const outputName = outputShape.length === 3 ? "last_hidden_state" : "features";
  g.nodes.push({ op: "Identity", name: g.unique(outputName), inputs: [result.name], outputs: [outputName], attributes: {} });
  const bytes = g.tensors.reduce((n, t) => n + t.data.byteLength, 0);
  const encoded = encodeModel({
    name: job.program.replace(/[^\w-]/g, "_"),
    doc: `The encoder ${job.encoder} of ${job.program}: pixel_values [batch, ${channels}, ${height}, ${width}], normalized as in training.`,
    producer: "jepac", version: job.compiler, opset: onnxOpset, metadata: job.metadata,
    inputs: [{ name: "pixel_values", dims: ["batch", channels, height, width] }],
    outputs: [{ name: outputName, dims: ["batch", ...outputShape.slice(1).map((d) => constantOf(d) ?? "size")] }],
    nodes: g.nodes, tensors: g.tensors,
    ...(bytes > (job.mostBytes ?? 1.9e9) ? { external: `${name}.data` } : {}),
  });
  return { kind: "model", ...encoded, nodes: g.nodes.length, output: outputName };
}

/** A parameter, or one for each turn of the loops that it belongs to. */
function parameter(job: OnnxJob, g: OnnxGraph, path: string, type: TensorType): Held {
  const [count, ...rest] = type.stack;
  if (count !== undefined) return { kind: "many", items: Array.from({ length: count }, (_, i) => parameter(job, g, path.replace("*", String(i)), { ...type, stack: rest })) };
  const values = job.values.get(path);
  const dims = type.shape.map((d) => constantOf(d) ?? 0);
  if (values === undefined || values.length !== dims.reduce((a, b) => a * b, 1)) throw new NotInOnnx(`${path}, of which the checkpoint has no values that fit`);
  return { kind: "one", name: g.parameter(path, dims, values) };
}

function runFunc(walk: Walk, func: Func, args: readonly Held[], env: ReadonlyMap<string, Dim>): readonly Held[] {
  const held = new Map<ValueId, Held>(func.inputs.flatMap((input, i) => { const arg = args[i]; return arg === undefined ? [] : [[input.value, arg]]; }));
  const uses = useCounts(func);
  const read = (id: ValueId): Held => {
    const value = held.get(id);
    if (value === undefined) throw new IrError(`In \`${func.name}\`: %${id} has no value.`);
    return value;
  };
  for (const node of func.nodes) {
    const results = runNode(walk, func, node, node.args.map(read), env, (i) => (uses[node.results[i] ?? -1] ?? 0) > 0);
    node.results.forEach((r, i) => { const value = results[i]; if (value !== undefined) held.set(r, value); });
  }
  return func.outputs.map((o) => read(o.value));
}

function runNode(walk: Walk, func: Func, node: Node, args: readonly Held[], env: ReadonlyMap<string, Dim>, used: (i: number) => boolean): readonly Held[] {
  if (node.op === "call") return runFunc(walk, funcOf(walk.module, node.attrs.fn), args, bound(node.attrs.dims, env));
  if (node.op === "repeat") return runLoop(walk, node, args, env);
  const types = node.args.map((a) => substituteType(typeOf(func, a), env));
  return primitive(walk, substituteNode(node, env), args, types, used);
}

/** Applies an op; where operands are sequences (elementwise ops under a loop's stack), to each element. */
function primitive(walk: Walk, node: Node, args: readonly Held[], types: readonly TensorType[], used: (i: number) => boolean): readonly Held[] {
  const many = args.find((a) => a.kind === "many");
  if (many?.kind === "many") {
    const inner = types.map((t) => ({ ...t, stack: t.stack.slice(1) }));
    const each = many.items.map((_, i) => primitive(walk, node, args.map((a) => (a.kind === "many" ? a.items[i] ?? a : a)), inner, used));
    return node.results.map((_, r) => ({ kind: "many", items: each.flatMap((results) => results[r] ?? []) }));
  }
  const names = args.map((a) => (a.kind === "one" ? a.name : ""));
  return apply(node, { g: walk.g, args: names, types, used }).map((name) => ({ kind: "one", name }));
}

function apply(node: Node, call: Omit<OnnxCall<PrimitiveName>, "attrs">): readonly string[] {
  if (node.op === "call" || node.op === "repeat") throw new IrError("control is no primitive");
  return applyRow<PrimitiveName>(node.op, { ...call, attrs: node.attrs });
}

function applyRow<O extends PrimitiveName>(op: O, call: OnnxCall<O>): readonly string[] {
  const rows: { readonly [P in PrimitiveName]: OnnxRow<P> } = onnxRows;
  const row: OnnxRow<O> = rows[op];
  if ("why" in row) throw new NotInOnnx(`\`${op}\`: ${row.why}`);
  return row(call);
}

function bound(bindings: Readonly<Record<string, Dim>>, env: ReadonlyMap<string, Dim>): Map<string, Dim> {
  return new Map(Object.entries(bindings).map(([symbol, d]) => [symbol, substitute(d, env)]));
}

function runLoop(walk: Walk, node: Extract<Node, { op: "repeat" }>, args: readonly Held[], env: ReadonlyMap<string, Dim>): readonly Held[] {
  const { fn, dims, count, reverse, carries, consts } = node.attrs;
  const func = funcOf(walk.module, fn);
  const inner = bound(dims, env);
  let state = args.slice(0, carries);
  const made: (readonly Held[])[] = [];
  for (let turn = 0; turn < count; turn++) {
    const at = reverse ? count - 1 - turn : turn;
    const stacked = args.slice(carries + consts).map((s) => (s.kind === "many" ? s.items[at] ?? s : s));
    const results = runFunc(walk, func, [...state, ...args.slice(carries, carries + consts), ...stacked], inner);
    state = results.slice(0, carries);
    made[at] = results.slice(carries);
  }
  const extra = node.results.length - carries;
  return [...state, ...Array.from({ length: extra }, (_, i): Held => ({ kind: "many", items: made.flatMap((m) => m[i] ?? []) }))];
}
