/**
 * Passes of the tfjs target that join linear maps with what stands around them: where they apply, where they must not, and
 * that the step's losses and gradients stay those of the float64 interpreter either way.
 */
import { expect, test, vi } from "vitest";
import type { FuncBuilder } from "../../../compiler/tensor/build.js";
import { defineFunc } from "../../../compiler/tensor/build.js";
import type { Module, ValueId } from "../../../compiler/tensor/ir.js";
import { emptyModule, f32 } from "../../../compiler/tensor/ir.js";
import type { DimLike } from "../../../compiler/types/dim.js";
import { dims } from "../../../compiler/types/dim.js";
import { compare, engines, stepOf, textOf } from "./harness.js";
import type { Source } from "./harness.js";

vi.setConfig({ testTimeout: 120_000 });

const fill = { dims: { B: 3, T: 5 }, indexBelow: 1 };

/** A body under construction, with what the cases below are made of. */
interface Kit {
  readonly b: FuncBuilder;
  readonly x: ValueId;
  param(path: string, ...shape: DimLike[]): ValueId;
  linear(x: ValueId, name: string, from: number, to: number): ValueId;
}

function kit(b: FuncBuilder, x: ValueId): Kit {
  const param = (path: string, ...shape: DimLike[]): ValueId => b.input(path, f32(dims(shape)), "param");
  return { b, x, param, linear: (v, name, from, to) => b.op("linear", [v, param(`${name}.weight`, from, to), param(`${name}.bias`, to)]) };
}

function square(b: FuncBuilder, x: ValueId): ValueId {
  return b.op("mean", [b.op("square", [x])], { axes: b.shapeOf(x).map((_, i) => i), keep: false });
}

/** A program over tokens [B, T, 4]; the body gives the values whose squares are its losses, summed. */
function program(body: (k: Kit) => readonly ValueId[]): Source {
  const module = defineFunc(emptyModule, { name: "main", dims: ["B", "T"] }, (b) => {
    const x = b.input("x", f32(dims(["B", "T", 4])), "data");
    // A first map of x, so that a gradient has somewhere to go.
    const first = kit(b, x);
    const losses = body(kit(b, b.op("tanh", [first.linear(x, "first", 4, 4)]))).map((y) => square(b, y));
    b.output("total", losses.reduce((sum, y) => b.op("add", [sum, y])), "loss");
  });
  return { module, main: "main" };
}

interface Case {
  readonly applies: boolean;
  readonly source: () => Source;
}

const feedForward: Readonly<Record<string, Case>> = {
  "linear, gelu, linear": { applies: true, source: () => program((k) => [k.linear(k.b.op("gelu", [k.linear(k.x, "a", 4, 6)]), "c", 6, 4)]) },
  "three maps in a row": { applies: true, source: () => program((k) => [k.linear(k.b.op("gelu", [k.linear(k.b.op("gelu", [k.linear(k.x, "a", 4, 6)]), "c", 6, 5)]), "d", 5, 4)]) },
  "rows without tokens": { applies: true, source: () => program((k) => [k.linear(k.b.op("gelu", [k.linear(k.b.op("mean", [k.x], { axes: [1], keep: false }), "a", 4, 6)]), "c", 6, 2)]) },
  "weights that nothing trains": { applies: true, source: () => program((k) => [k.linear(k.b.op("gelu", [k.linear(k.x, "frozen.a", 4, 6)]), "frozen.c", 6, 4)]) },
  "one weight that nothing trains": { applies: true, source: () => program((k) => [k.linear(k.b.op("gelu", [k.linear(k.x, "frozen.a", 4, 6)]), "c", 6, 4)]) },
  "no gradient at all": { applies: true, source: () => program((k) => [k.b.op("stop_gradient", [k.linear(k.b.op("gelu", [k.linear(k.x, "a", 4, 6)]), "c", 6, 4)]), k.x]) },
  "weights used twice": {
    applies: true, source: () => program((k) => {
      const [w, u, b, c] = [k.param("w", 4, 6), k.param("u", 6, 4), k.param("b", 6), k.param("c", 4)];
      const once = (x: ValueId): ValueId => k.b.op("linear", [k.b.op("gelu", [k.b.op("linear", [x, w, b])]), u, c]);
      return [once(once(k.x))];
    }),
  },
  "weights that a penalty reads": {
    applies: true, source: () => program((k) => {
      const [w, u, b, c] = [k.param("w", 4, 6), k.param("u", 6, 4), k.param("b", 6), k.param("c", 4)];
      return [k.b.op("linear", [k.b.op("gelu", [k.b.op("linear", [k.x, w, b])]), u, c]), w, u];
    }),
  },
  "a block repeated": { applies: true, source: repeated },
  "gelu's output read twice": {
    applies: false, source: () => program((k) => {
      const a = k.b.op("gelu", [k.linear(k.x, "a", 4, 4)]);
      return [k.b.op("add", [k.linear(a, "c", 4, 4), a])];
    }),
  },
  "the hidden value read twice": {
    applies: false, source: () => program((k) => {
      const h = k.linear(k.x, "a", 4, 4);
      return [k.b.op("add", [k.linear(k.b.op("gelu", [h]), "c", 4, 4), h])];
    }),
  },
  "a stop-gradient between": { applies: false, source: () => program((k) => [k.linear(k.b.op("stop_gradient", [k.b.op("gelu", [k.linear(k.x, "a", 4, 6)])]), "c", 6, 4), k.x]) },
  "another function between": { applies: false, source: () => program((k) => [k.linear(k.b.op("tanh", [k.linear(k.x, "a", 4, 6)]), "c", 6, 4)]) },
};

/** A norm with scale and offset of its own, and the value behind it. */
function norm(k: Kit, x: ValueId, name: string): ValueId {
  const [y = -1] = k.b.multi("normalize", [x], { eps: 1e-5 });
  return k.b.op("add", [k.b.op("mul", [y, k.param(`${name}.weight`, 4)]), k.param(`${name}.bias`, 4)]);
}

const norms: Readonly<Record<string, Case>> = {
  "before a linear map": { applies: true, source: () => program((k) => [k.linear(norm(k, k.x, "n"), "a", 4, 6)]) },
  "before a feed-forward block": { applies: true, source: () => program((k) => [k.linear(k.b.op("gelu", [k.linear(norm(k, k.x, "n"), "a", 4, 6)]), "c", 6, 4)]) },
  "with a scale that nothing trains": { applies: true, source: () => program((k) => [k.linear(norm(k, k.x, "frozen.n"), "a", 4, 6)]) },
  "before a weight that nothing trains": { applies: true, source: () => program((k) => [k.linear(norm(k, k.x, "n"), "frozen.a", 4, 6)]) },
  "with a scale and before a weight that a penalty reads": {
    applies: true, source: () => program((k) => {
      const [s, o, w, b] = [k.param("s", 4), k.param("o", 4), k.param("w", 4, 6), k.param("b", 6)];
      const [y = -1] = k.b.multi("normalize", [k.x], { eps: 1e-5 });
      return [k.b.op("linear", [k.b.op("add", [k.b.op("mul", [y, s]), o]), w, b]), s, w];
    }),
  },
  "one norm for two inputs, one map for both": {
    applies: true, source: () => program((k) => {
      const [s, o, w, b] = [k.param("s", 4), k.param("o", 4), k.param("w", 4, 6), k.param("b", 6)];
      const once = (x: ValueId): ValueId => {
        const [y = -1] = k.b.multi("normalize", [x], { eps: 1e-5 });
        return k.b.op("linear", [k.b.op("add", [k.b.op("mul", [y, s]), o]), w, b]);
      };
      return [once(k.x), once(k.b.op("sin", [k.x]))];
    }),
  },
  "read by two maps": {
    applies: false, source: () => program((k) => {
      const h = norm(k, k.x, "n");
      return [k.linear(h, "a", 4, 6), k.linear(h, "c", 4, 2)];
    }),
  },
  "read by a residual path too": {
    applies: false, source: () => program((k) => {
      const h = norm(k, k.x, "n");
      return [k.b.op("add", [h, k.linear(h, "a", 4, 4)])];
    }),
  },
  "before a stop-gradient": { applies: false, source: () => program((k) => [k.linear(k.b.op("stop_gradient", [norm(k, k.x, "n")]), "a", 4, 4), k.x]) },
  "of rows without tokens": { applies: false, source: () => program((k) => [k.linear(norm(k, k.b.op("mean", [k.x], { axes: [1], keep: false }), "n"), "a", 4, 6)]) },
  "without a map behind it": { applies: false, source: () => program((k) => [norm(k, k.x, "n")]) },
};

/** Attention of two heads over the thirds of qkv. */
function attend(k: Kit, qkv: ValueId): ValueId {
  return k.b.multi("sdpa", k.b.split(qkv, 2, [4, 4, 4]), { heads: 2 })[0] ?? -1;
}

const attentions: Readonly<Record<string, Case>> = {
  "one map for q, k and v": { applies: true, source: () => program((k) => [k.linear(attend(k, k.linear(k.x, "qkv", 4, 12)), "proj", 4, 4)]) },
  "behind a norm": { applies: true, source: () => program((k) => [attend(k, k.linear(norm(k, k.x, "n"), "qkv", 4, 12))]) },
  "a map that nothing trains": { applies: true, source: () => program((k) => [attend(k, k.linear(k.x, "frozen.qkv", 4, 12))]) },
  "no gradient at all": { applies: true, source: () => program((k) => [k.b.op("stop_gradient", [attend(k, k.linear(k.x, "qkv", 4, 12))]), k.x]) },
  "qkv read by a penalty": {
    applies: false, source: () => program((k) => {
      const qkv = k.linear(k.x, "qkv", 4, 12);
      return [attend(k, qkv), qkv];
    }),
  },
  "a stop-gradient between": { applies: false, source: () => program((k) => [attend(k, k.b.op("stop_gradient", [k.linear(k.x, "qkv", 4, 12)])), k.x]) },
  "queries of their own": {
    applies: false, source: () => program((k) => {
      const [key = -1, value = -1] = k.b.split(k.linear(k.x, "kv", 4, 8), 2, [4, 4]);
      return [k.b.multi("sdpa", [k.linear(k.x, "q", 4, 4), key, value], { heads: 2 })[0] ?? -1];
    }),
  },
};

/** Three residual blocks of one body, its parameters a stack. */
function repeated(): Source {
  let module: Module = defineFunc(emptyModule, { name: "block", dims: ["B", "T"] }, (b) => {
    const k = kit(b, b.input("x", f32(dims(["B", "T", 4])), "data"));
    b.output("x", b.op("add", [k.x, k.linear(b.op("gelu", [k.linear(k.x, "a", 4, 6)]), "c", 6, 4)]));
  });
  const stack = (...shape: number[]): ReturnType<typeof f32> => ({ ...f32(dims(shape)), stack: [3] });
  module = defineFunc(module, { name: "main", dims: ["B", "T"] }, (b) => {
    const x = b.input("x", f32(dims(["B", "T", 4])), "data");
    const stacked = [
      b.input("blocks.*.a.weight", stack(4, 6), "param"), b.input("blocks.*.a.bias", stack(6), "param"),
      b.input("blocks.*.c.weight", stack(6, 4), "param"), b.input("blocks.*.c.bias", stack(4), "param"),
    ];
    const { carries } = b.repeat("block", { carries: [x], stacked }, { count: 3 });
    b.output("total", square(b, carries[0] ?? -1), "loss");
  });
  return { module, main: "main" };
}

test.each(Object.entries(feedForward))("a feed-forward block: %s", async (_, { applies, source }) => {
  const built = source();
  expect(/k\.feedForward\w*\(/.test(textOf(stepOf(built)))).toBe(applies);
  for (const engine of await engines()) await compare(built, fill, engine);
});

test.each(Object.entries(norms))("a norm folded into the map behind it: %s", async (_, { applies, source }) => {
  const built = source();
  expect(/k\.scaleRows\(/.test(textOf(stepOf(built)))).toBe(applies);
  for (const engine of await engines()) await compare(built, fill, engine);
});

test.each(Object.entries(attentions))("attention with its map: %s", async (_, { applies, source }) => {
  const built = source();
  expect(/k\.qkvAttention\w*\(/.test(textOf(stepOf(built)))).toBe(applies);
  for (const engine of await engines()) await compare(built, fill, engine);
});
