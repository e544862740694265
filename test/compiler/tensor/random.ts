/**
 * Random well-formed modules: functions over small tensors with calls and repeats, for tests that hold for every graph.
 *
 * Nodes are drawn from the ops that a transformer and its backward are made of, operands by shape; results are squashed
 * by tanh so that comparisons of two evaluations mean something. The same seed makes the same module.
 */
import { buildFunc } from "../../../compiler/tensor/build.js";
import type { FuncBuilder } from "../../../compiler/tensor/build.js";
import type { Func, Module, ValueId } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32, funcOf, typeOf, withFunc } from "../../../compiler/tensor/ir.js";
import type { NdArray } from "../../../compiler/tensor/ndarray.js";
import type { Dim } from "../../../compiler/types/dim.js";
import { dim, dims, equalShapes, evaluate } from "../../../compiler/types/dim.js";
import { draw, seeded } from "./support.js";

/** Values of the symbols of a random module. */
export const randomEnv: ReadonlyMap<string, number> = new Map([["B", 2], ["K", 3]]);

const full = dims(["B", "K", 4]);
const row = dims([4]);

/** A module of `leaf`, `middle` (calls and repeats `leaf`) and `main` (calls `middle` twice). */
export function randomModule(seed: number): Module {
  const random = seeded(seed);
  const leaf = withFunc(emptyModule, randomLeaf(random));
  const middle = withFunc(leaf, randomMiddle(leaf, random));
  return withFunc(middle, randomMain(middle, random));
}

/** Arguments for a function of a random module. */
export function randomArgs(module: Module, fn: string, seed: number): NdArray[] {
  const random = seeded(seed);
  const func = funcOf(module, fn);
  return func.inputs.map((input) => {
    const type = typeOf(func, input.value);
    return draw(random, { shape: [...type.stack, ...type.shape.map((d) => evaluate(d, randomEnv) ?? NaN)], domain: "any" });
  });
}

/** (x, s, bias) -> (x', total). */
function randomLeaf(random: () => number): Func {
  const b = start(emptyModule, "leaf");
  const pool = new Pool(b, random, [b.input("x", f32(full), "data"), b.input("s", f32([]), "scalar"), b.input("bias", f32(row), "param")]);
  pool.grow(12);
  return finish(b, pool);
}

/** (x, s, biases) -> (x', total): a call of leaf, then a repeat of it over the stacked biases. */
function randomMiddle(module: Module, random: () => number): Func {
  const b = start(module, "middle");
  const biases = b.input("biases", f32(row, [2]), "param");
  const pool = new Pool(b, random, [b.input("x", f32(full), "data"), b.input("s", f32([]), "scalar"), b.input("bias", f32(row), "param")]);
  pool.grow(5);
  pool.add(b.call("leaf", [pool.pick(full), pool.pick([]), pool.pick(row)]));
  const { carries } = b.repeat(
    "leaf",
    { carries: [pool.pick(full)], consts: [pool.pick([])], stacked: [b.op("tanh", [biases])] },
    { count: 2, reverse: random() < 0.5 },
  );
  pool.add(carries);
  pool.grow(5);
  return finish(b, pool);
}

function randomMain(module: Module, random: () => number): Func {
  const b = start(module, "main");
  const biases = b.input("biases", f32(row, [2]), "param");
  const pool = new Pool(b, random, [b.input("x", f32(full), "data"), b.input("s", f32([]), "scalar"), b.input("bias", f32(row), "param")]);
  for (let i = 0; i < 2; i++) {
    pool.grow(4);
    pool.add(b.call("middle", [biases, pool.pick(full), pool.pick([]), pool.pick(row)]));
  }
  return finish(b, pool);
}

function start(module: Module, name: string): FuncBuilder {
  return buildFunc(module, { name, dims: ["B", "K"], doc: "Drawn at random.", origin: { file: "random.jepa", start: 3, end: 9 } });
}

function finish(b: FuncBuilder, pool: Pool): Func {
  b.output("x", b.op("tanh", [pool.blend()]));
  b.output("total", b.op("mean", [b.op("tanh", [pool.blend()])], { axes: [0, 1, 2], keep: false }), "loss");
  return b.finish();
}

/** The values made so far, and a way to make more. */
class Pool {
  readonly #ids: ValueId[];

  constructor(private readonly b: FuncBuilder, private readonly random: () => number, ids: readonly ValueId[]) {
    this.#ids = [...ids, b.fill(full, 1), b.fill(row, 0), b.fill([], 2)];
  }

  add(ids: readonly ValueId[]): void {
    this.#ids.push(...ids);
  }

  /** A value of that shape; younger ones are likelier. */
  pick(shape: readonly Dim[]): ValueId {
    const fitting = this.#ids.filter((id) => equalShapes(this.b.shapeOf(id), shape) && this.b.typeOf(id).stack.length === 0);
    const at = Math.floor(Math.sqrt(this.random()) * fitting.length);
    return fitting[at] ?? -1;
  }

  /** A sum over most of the values, so that most of the graph is alive. */
  blend(): ValueId {
    const { b } = this;
    const some = this.#ids.filter((id) => b.typeOf(id).stack.length === 0 && this.random() < 0.7);
    return some.reduce((sum, id) => b.op("add", [sum, b.op("sin", [id])]), this.pick(full));
  }

  grow(n: number): void {
    for (let i = 0; i < n; i++) this.add(this.#draw());
  }

  #draw(): readonly ValueId[] {
    const { b } = this;
    const [x, y, r, s] = [this.pick(full), this.pick(full), this.pick(row), this.pick([])];
    const choices: readonly (() => readonly ValueId[])[] = [
      () => [b.op("add", [x, y])],
      () => [b.op("mul", [b.op("tanh", [x]), r])],
      () => [b.op("sub", [x, b.op("neg", [y])])],
      () => [b.op("div", [x, b.fill(full, 4)])],
      () => [b.op("add", [x, b.op("broadcast", [r], { shape: full })])],
      () => [b.op("mul", [b.op("sigmoid", [x]), s])],
      () => [b.op("scale", [b.op("scale", [x], { by: 0.5 })], { by: -1 })],
      () => [b.op("transpose", [b.op("transpose", [x], { perm: [1, 0, 2] })], { perm: [1, 0, 2] })],
      () => [b.op("reshape", [b.op("reshape", [x], { shape: dims(["B*K", 4]) })], { shape: full })],
      () => this.#halves(x),
      () => [b.op("gelu", [x]), b.op("gelu", [x])],
      () => b.multi("normalize", [x], { eps: 0.1 }).slice(0, 1),
      () => b.multi("sdpa", [x, y, y], { heads: 2 }).slice(0, 1),
      () => [b.op("mean", [b.op("square", [b.op("tanh", [x])])], { axes: [0, 1, 2], keep: false })],
      () => [b.op("sum_leading", [b.op("tanh", [x])])],
      () => [b.op("stop_gradient", [b.op("sin", [x])])],
      () => [b.op("max", [x, s]), b.op("select", [b.op("less", [x, y]), x, r])],
      () => [b.op("scale_dim", [r], { num: dim(3), den: dim(4) }), b.op("scale_dim", [r], { num: dim(1), den: dim("K") })],
    ];
    return choices[Math.floor(this.random() * choices.length)]?.() ?? [];
  }

  /** The halves of x along its last axis in the other order, by padding and adding: what the gradient of a split looks like. */
  #halves(x: ValueId): readonly ValueId[] {
    const { b } = this;
    const [left = -1, right = -1] = b.split(x, 2, [2, 2]);
    const padded = [b.op("pad", [right], { axis: 2, before: dim(0), after: dim(2) }), b.op("pad", [left], { axis: 2, before: dim(2), after: dim(0) })];
    return [b.op("add", padded)];
  }
}
