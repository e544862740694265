/**
 * A flat ONNX graph while it is made: nodes, constants, and sizes that are only known when the model runs.
 *
 * Owns unique names, the sharing of equal constants, and the translation of dimensions: a number becomes a constant, a
 * multiple of the batch is computed from the input's shape. What an op becomes is lowering.ts, the walk over functions emit.ts.
 */
import type { Dim } from "../../types/dim.js";
import { constantOf, printDim } from "../../types/dim.js";
import type { OnnxAttribute, OnnxNode, OnnxTensor } from "./proto.js";

/** What ONNX at this opset cannot say; becomes a message to the user, never an exception that leaves the target. */
export class NotInOnnx extends Error {
  override readonly name = "NotInOnnx";
}

/** Attributes in short: a number is an integer unless wrapped by `real`. */
export type ShortAttributes = Readonly<Record<string, number | readonly number[] | { readonly real: number }>>;

/** The symbol of the batch in encoders. */
export const batchSymbol = "B";

/** A graph being made. */
export class OnnxGraph {
  readonly nodes: OnnxNode[] = [];
  readonly tensors: OnnxTensor[] = [];
  readonly #names = new Set<string>();
  readonly #constants = new Map<string, string>();
  #batch: string | undefined;

  /** `image` is the input whose first axis is the batch. */
  constructor(private readonly image: string) {
    this.#names.add(image);
  }

  /** A name that nothing else has, as near to `hint` as possible. */
  unique(hint: string): string {
    let name = hint;
    for (let n = 2; this.#names.has(name); n++) name = `${hint}_${n}`;
    this.#names.add(name);
    return name;
  }

  /** Adds a node with one result; `hint` names it. */
  op(op: string, inputs: readonly string[], attributes: ShortAttributes = {}, hint = op.toLowerCase()): string {
    const output = this.unique(hint);
    this.nodes.push({ op, name: output, inputs, outputs: [output], attributes: Object.fromEntries(Object.entries(attributes).map(([k, v]) => [k, long(v)])) });
    return output;
  }

  /** A stored tensor under its own name: a parameter. */
  parameter(name: string, dims: readonly number[], data: Float32Array): string {
    const unique = this.unique(name);
    this.tensors.push({ name: unique, dims, data });
    return unique;
  }

  /** A float constant of any shape, filled with one value. */
  fill(value: number, dims: readonly number[] = []): string {
    return this.#constant(`f${value}:${dims.join()}`, `constant_${dims.length === 0 ? "" : `${dims.join("x")}_`}${String(value)}`, dims, () => new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(value));
  }

  /** A list of integers. */
  ints(values: readonly number[]): string {
    return this.#constant(`i${values.join()}`, `ints_${values.join("_")}`, [values.length], () => BigInt64Array.from(values, BigInt));
  }

  #constant(key: string, hint: string, dims: readonly number[], make: () => OnnxTensor["data"]): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.unique(hint);
    this.#constants.set(key, name);
    this.tensors.push({ name, dims, data: make() });
    return name;
  }

  /** A dimension as a list of one integer. @throws NotInOnnx for one that is not a number or a multiple of the batch. */
  dim(d: Dim): string {
    const constant = constantOf(d);
    if (constant !== undefined) return this.ints([constant]);
    const [term] = d.terms;
    const isBatch = d.terms.length === 1 && term?.powers.length === 1 && term.powers[0]?.[0] === batchSymbol && term.powers[0][1] === 1;
    if (!isBatch || term === undefined) throw new NotInOnnx(`a size of ${printDim(d)}, which is no multiple of the batch`);
    this.#batch ??= this.op("Slice", [this.op("Shape", [this.image]), this.ints([0]), this.ints([1])], {}, "batch");
    return term.coefficient === 1 ? this.#batch : this.op("Mul", [this.#batch, this.ints([term.coefficient])]);
  }

  /** A shape as a list of integers; at most one axis is left open for a Reshape. */
  shape(dims: readonly Dim[], open = false): string {
    const constants = dims.map(constantOf);
    if (constants.filter((c) => c === undefined).length <= (open ? 1 : 0)) return this.ints(constants.map((c) => c ?? -1));
    return this.op("Concat", dims.map((d) => this.dim(d)), { axis: 0 }, "shape");
  }
}

function long(value: ShortAttributes[string]): OnnxAttribute {
  if (typeof value === "number") return { kind: "int", value };
  return "real" in value ? { kind: "float", value: value.real } : { kind: "ints", value };
}
