/**
 * SIMD kernels for the wasm engine, working in place on its heap.
 *
 * tfjs's wasm backend has one good matrix product (two dims, nothing transposed) and good plain arithmetic. Batched
 * products, erf, column sums and transposes run scalar code. These kernels replace exactly those. Each takes byte
 * addresses; strides are in bytes, so heads are addressed inside [B, N, 3D] without splitting them first.
 *
 * Tails: a vector loop over full groups of four, then the same body with one value splatted in all lanes and lane 0
 * stored. Sums run in four lanes and are added in lane order, so that results do not depend on anything but the input.
 */
import { assemble, define, f32, f4, i32, loop } from "./wasm-asm.js";
import type { Body, Code, Local, WasmFunction } from "./wasm-asm.js";

/** The module's functions as JavaScript sees them: numbers in, nothing out. */
export type SimdKernels = {
  /** C = alpha * A B. A is addressed by (row, k) strides, B and C by row strides with unit columns. */
  gemm(a: number, aRow: number, aK: number, b: number, bRow: number, c: number, cRow: number, m: number, n: number, k: number, alpha: number): void;
  /** out[j][i] = in[i][j]. */
  transpose(input: number, inputRow: number, output: number, outputRow: number, rows: number, columns: number): void;
  gelu(x: number, y: number, count: number): void;
  geluPair(x: number, y: number, slope: number, count: number): void;
  softmax(x: number, y: number, rows: number, columns: number): void;
  /** dx = scale * y * (dy - sum(y * dy)); dx may be dy. */
  softmaxGrad(y: number, dy: number, dx: number, rows: number, columns: number, scale: number): void;
  normalize(x: number, y: number, rstd: number, rows: number, columns: number, eps: number): void;
  normalizeGrad(y: number, rstd: number, dy: number, dx: number, rows: number, columns: number): void;
  /** normalizeGrad of dout * scale, which is never stored. */
  layerNormGrad(y: number, rstd: number, scale: number, dout: number, dx: number, rows: number, columns: number): void;
  /** out += x, `count` values. */
  accumulate(x: number, out: number, count: number): void;
  /** AdamW (see params.ts): `to` takes the moved parameter, m and v change in place; rest1 is 1 - beta1. */
  adamw(p: number, to: number, g: number, m: number, v: number, count: number, rest1: number, rest2: number, stepSize: number, rootCorrection: number, eps: number, keep: number): void;
  /** velocity = momentum * velocity + g + decay * p; to = p - lr * velocity. */
  momentum(p: number, to: number, g: number, velocity: number, count: number, lr: number, momentum: number, decay: number): void;
  /** to = m * target + rest * source. */
  average(target: number, source: number, to: number, count: number, m: number, rest: number): void;
};

/** Reads and writes of one width: four values, or one in all lanes. */
type Width = { readonly step: number; load(address: Code): Code; store(address: Code, value: Code): Code; inSum(value: Code): Code };
const lane0 = [0xfd, 0x0c, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const four: Width = { step: 16, load: (a) => f4.load(a), store: (a, v) => f4.store(a, v), inSum: (v) => v };
const single: Width = { step: 4, load: (a) => f4.loadSplat(a), store: (a, v) => f4.storeLane0(a, v), inSum: (v) => f4.and(v, lane0) };

const at = (base: Local, offset: Local): Code => i32.add(base.get, offset.get);

/** Runs `body` over `bytes` bytes: groups of four, then one by one. `offset` counts bytes. */
function sweep(offset: Local, bytes: Local, body: (width: Width) => Code[]): Code[] {
  return [
    offset.set(i32.const(0)),
    loop(offset, i32.and(bytes.get, i32.const(-16)), 16, body(four)),
    loop(offset, bytes.get, 4, body(single)),
  ];
}

const sumLanes = (x: Local): Code => f32.add(f32.add(f4.lane(x.get, 0), f4.lane(x.get, 1)), f32.add(f4.lane(x.get, 2), f4.lane(x.get, 3)));
const maxLanes = (x: Local): Code => f32.max(f32.max(f4.lane(x.get, 0), f4.lane(x.get, 1)), f32.max(f4.lane(x.get, 2), f4.lane(x.get, 3)));

const horner = (x: Local, coefficients: readonly number[]): Code =>
  coefficients.slice(1).reduce<Code>((sum, c) => f4.add(f4.mul(sum, x.get), f4.const(c)), f4.const(coefficients[0] ?? 0));

/**
 * exp, relative error 2e-7: n = round(x / ln 2), a polynomial (Cephes expf) on the rest, times 2^n. Adding 1.5 * 2^23 rounds
 * and leaves n in the low bits of the sum, which shifted into the exponent's place are 2^n but for the bias.
 */
function expInto(body: Body): (out: Local, x: Code) => Code[] {
  const sum = body.local("v128");
  const n = body.local("v128");
  const r = body.local("v128");
  const magic = f4.const(1.5 * 2 ** 23);
  return (out, x) => [
    r.set(f4.min(f4.max(x, f4.const(-87.3)), f4.const(88.3))),
    sum.set(f4.add(f4.mul(r.get, f4.const(Math.LOG2E)), magic)),
    n.set(f4.sub(sum.get, magic)),
    r.set(f4.sub(f4.sub(r.get, f4.mul(n.get, f4.const(0.693359375))), f4.mul(n.get, f4.const(-2.12194440e-4)))),
    out.set(f4.add(f4.add(f4.mul(f4.mul(horner(r, [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]), r.get), r.get), r.get), f4.const(1))),
    out.set(f4.mul(out.get, f4.shiftAdd(sum.get, 23, 0x3f800000))),
  ];
}

/**
 * Phi(x) and phi(x). Phi is 1/2 erfc(-x / sqrt 2) with Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7): the tail
 * T = 1/2 poly(t) exp(-z^2), t = 1 / (1 + p |z|), is Phi itself left of zero and 1 - T right of it.
 */
function normal(body: Body): (x: Local, cdf: Local, density: Local) => Code[] {
  const exp = expInto(body);
  const t = body.local("v128");
  return (x, cdf, density) => [
    ...exp(density, f4.mul(f4.mul(x.get, x.get), f4.const(-0.5))),
    t.set(f4.div(f4.const(1), f4.add(f4.const(1), f4.mul(f4.abs(x.get), f4.const(0.3275911 * Math.SQRT1_2))))),
    cdf.set(f4.mul(f4.mul(f4.mul(horner(t, [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]), t.get), density.get), f4.const(0.5))),
    cdf.set(f4.select(f4.sub(f4.const(1), cdf.get), cdf.get, f4.gt(x.get, f4.const(0)))),
    density.set(f4.mul(density.get, f4.const(1 / Math.sqrt(2 * Math.PI)))),
  ];
}

/**
 * Blocks of 4 rows by 8 columns held in registers; then narrower ones for what is left. Each value is a sum over k in
 * order, whichever block it falls in.
 */
const gemm = define("gemm", {
  a: "i32", aRow: "i32", aK: "i32", b: "i32", bRow: "i32", c: "i32", cRow: "i32", m: "i32", n: "i32", k: "i32", alpha: "f32",
}, (p, body) => {
  const i = body.local("i32");
  const j = body.local("i32");
  const l = body.local("i32");
  const aShift = body.local("i32");
  const bAt = body.local("i32");
  const columns = body.local("i32");
  const left = body.local("v128");
  const scale = body.local("v128");
  const lines = [0, 1, 2, 3].map(() => ({ from: body.local("i32"), to: body.local("i32"), sums: [body.local("v128"), body.local("v128")] }));
  const right = [body.local("v128"), body.local("v128")];

  const tile = (height: number, vectors: number, width: Width): Code[] => {
    const rows = lines.slice(0, height);
    const across = right.slice(0, vectors);
    const cells = rows.flatMap(({ from, to, sums }) => sums.slice(0, vectors).map((sum, v) => ({ from, to, sum, v })));
    return [
      ...cells.map(({ sum }) => sum.set(f4.const(0))),
      bAt.set(i32.add(p.b.get, j.get)),
      aShift.set(i32.const(0)),
      l.set(i32.const(0)),
      loop(l, p.k.get, 1, [
        ...across.map((column, v) => column.set(width.load(i32.add(bAt.get, i32.const(16 * v))))),
        ...rows.flatMap(({ from, sums }) => [
          left.set(f4.loadSplat(i32.add(from.get, aShift.get))),
          ...across.map((column, v) => {
            const sum = sums[v] ?? left;
            return sum.set(f4.add(sum.get, f4.mul(left.get, column.get)));
          }),
        ]),
        bAt.set(i32.add(bAt.get, p.bRow.get)),
        aShift.set(i32.add(aShift.get, p.aK.get)),
      ]),
      ...cells.map(({ to, sum, v }) => width.store(i32.add(i32.add(to.get, j.get), i32.const(16 * v)), f4.mul(sum.get, scale.get))),
    ];
  };
  const strip = (height: number): Code[] => [
    ...lines.slice(0, height).flatMap(({ from, to }, r) => [
      from.set(i32.add(p.a.get, i32.mul(i32.add(i.get, i32.const(r)), p.aRow.get))),
      to.set(i32.add(p.c.get, i32.mul(i32.add(i.get, i32.const(r)), p.cRow.get))),
    ]),
    j.set(i32.const(0)),
    loop(j, i32.and(columns.get, i32.const(-32)), 32, tile(height, 2, four)),
    loop(j, i32.and(columns.get, i32.const(-16)), 16, tile(height, 1, four)),
    loop(j, columns.get, 4, tile(height, 1, single)),
  ];
  return [
    scale.set(f4.splat(p.alpha.get)),
    columns.set(i32.shl(p.n.get, i32.const(2))),
    i.set(i32.const(0)),
    loop(i, i32.and(p.m.get, i32.const(-4)), 4, strip(4)),
    loop(i, p.m.get, 1, strip(1)),
  ];
});

const transpose = define("transpose", { input: "i32", inputRow: "i32", output: "i32", outputRow: "i32", rows: "i32", columns: "i32" }, (p, body) => {
  const i = body.local("i32");
  const j = body.local("i32");
  const from = body.local("i32");
  const to = body.local("i32");
  const lines = [0, 1, 2, 3].map(() => body.local("v128"));
  const pairs = [0, 1, 2, 3].map(() => body.local("v128"));
  const [l0, l1, l2, l3] = lines.map((line) => line.get);
  const [p0, p1, p2, p3] = pairs.map((pair) => pair.get);
  const cell = (): Code => i32.store(i32.add(i32.add(p.output.get, i32.mul(j.get, p.outputRow.get)), i32.shl(i.get, i32.const(2))),
    i32.load(i32.add(i32.add(p.input.get, i32.mul(i.get, p.inputRow.get)), i32.shl(j.get, i32.const(2)))));
  if (l0 === undefined || l1 === undefined || l2 === undefined || l3 === undefined) return [];
  if (p0 === undefined || p1 === undefined || p2 === undefined || p3 === undefined) return [];
  const block: Code[] = [
    from.set(i32.add(i32.add(p.input.get, i32.mul(i.get, p.inputRow.get)), i32.shl(j.get, i32.const(2)))),
    ...lines.map((line, r) => line.set(f4.load(i32.add(from.get, i32.mul(p.inputRow.get, i32.const(r)))))),
    ...pairs.map((pair, r) => pair.set(r < 2 ? f4.shuffle(l0, l1, r === 0 ? [0, 4, 1, 5] : [2, 6, 3, 7]) : f4.shuffle(l2, l3, r === 2 ? [0, 4, 1, 5] : [2, 6, 3, 7]))),
    to.set(i32.add(i32.add(p.output.get, i32.mul(j.get, p.outputRow.get)), i32.shl(i.get, i32.const(2)))),
    ...[[p0, p2, 0], [p0, p2, 1], [p1, p3, 0], [p1, p3, 1]].map(([a, b, half], r) =>
      f4.store(i32.add(to.get, i32.mul(p.outputRow.get, i32.const(r))), f4.shuffle(codeOf(a), codeOf(b), half === 0 ? [0, 1, 4, 5] : [2, 3, 6, 7]))),
  ];
  const whole = (count: Local): Code => i32.and(count.get, i32.const(-4));
  return [
    i.set(i32.const(0)),
    loop(i, whole(p.rows), 4, [
      j.set(i32.const(0)),
      loop(j, whole(p.columns), 4, block),
    ]),
    i.set(i32.const(0)),
    loop(i, whole(p.rows), 1, [j.set(whole(p.columns)), loop(j, p.columns.get, 1, [cell()])]),
    i.set(whole(p.rows)),
    loop(i, p.rows.get, 1, [j.set(i32.const(0)), loop(j, p.columns.get, 1, [cell()])]),
  ];
});

const codeOf = (value: Code | number | undefined): Code => typeof value === "object" ? value : [];

const gelu = define("gelu", { x: "i32", y: "i32", count: "i32" }, (p, body) => {
  const [o, bytes, x, cdf, density] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128"), body.local("v128")] as const;
  const both = normal(body);
  return [bytes.set(i32.shl(p.count.get, i32.const(2))), ...sweep(o, bytes, (w) => [
    x.set(w.load(at(p.x, o))), ...both(x, cdf, density), w.store(at(p.y, o), f4.mul(x.get, cdf.get)),
  ])];
});

const geluPair = define("geluPair", { x: "i32", y: "i32", slope: "i32", count: "i32" }, (p, body) => {
  const [o, bytes, x, cdf, density] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128"), body.local("v128")] as const;
  const both = normal(body);
  return [bytes.set(i32.shl(p.count.get, i32.const(2))), ...sweep(o, bytes, (w) => [
    x.set(w.load(at(p.x, o))), ...both(x, cdf, density),
    w.store(at(p.y, o), f4.mul(x.get, cdf.get)),
    w.store(at(p.slope, o), f4.add(cdf.get, f4.mul(x.get, density.get))),
  ])];
});

/** A loop over rows: `pointers` step by a row of `columns`, `body` sees them at the row's begin. */
function eachRow(body: Body, rows: Local, bytes: Local, pointers: readonly Local[], inside: Code[]): Code[] {
  const row = body.local("i32");
  return [
    row.set(i32.const(0)),
    loop(row, rows.get, 1, [...inside, ...pointers.map((pointer) => pointer.set(i32.add(pointer.get, bytes.get)))]),
  ];
}

const softmax = define("softmax", { x: "i32", y: "i32", rows: "i32", columns: "i32" }, (p, body) => {
  const [o, bytes, top, value, sum] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128"), body.local("v128")] as const;
  const exp = expInto(body);
  return [bytes.set(i32.shl(p.columns.get, i32.const(2))), ...eachRow(body, p.rows, bytes, [p.x, p.y], [
    top.set(f4.const(-3.4e38)),
    ...sweep(o, bytes, (w) => [top.set(f4.max(top.get, w.load(at(p.x, o))))]),
    top.set(f4.splat(maxLanes(top))),
    sum.set(f4.const(0)),
    ...sweep(o, bytes, (w) => [
      ...exp(value, f4.sub(w.load(at(p.x, o)), top.get)),
      sum.set(f4.add(sum.get, w.inSum(value.get))),
      w.store(at(p.y, o), value.get),
    ]),
    sum.set(f4.splat(f32.div(f32.const(1), sumLanes(sum)))),
    ...sweep(o, bytes, (w) => [w.store(at(p.y, o), f4.mul(w.load(at(p.y, o)), sum.get))]),
  ])];
});

const softmaxGrad = define("softmaxGrad", { y: "i32", dy: "i32", dx: "i32", rows: "i32", columns: "i32", scale: "f32" }, (p, body) => {
  const [o, bytes, sum, scale] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128")] as const;
  return [bytes.set(i32.shl(p.columns.get, i32.const(2))), scale.set(f4.splat(p.scale.get)), ...eachRow(body, p.rows, bytes, [p.y, p.dy, p.dx], [
    sum.set(f4.const(0)),
    ...sweep(o, bytes, (w) => [sum.set(f4.add(sum.get, w.inSum(f4.mul(w.load(at(p.y, o)), w.load(at(p.dy, o))))))]),
    sum.set(f4.splat(sumLanes(sum))),
    ...sweep(o, bytes, (w) => [w.store(at(p.dx, o), f4.mul(f4.mul(f4.sub(w.load(at(p.dy, o)), sum.get), w.load(at(p.y, o))), scale.get))]),
  ])];
});

const normalize = define("normalize", { x: "i32", y: "i32", rstd: "i32", rows: "i32", columns: "i32", eps: "f32" }, (p, body) => {
  const [o, bytes, sum, center, value] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128"), body.local("v128")] as const;
  const inverse = body.local("f32");
  const share = body.local("f32");
  return [
    bytes.set(i32.shl(p.columns.get, i32.const(2))),
    share.set(f32.div(f32.const(1), [...p.columns.get, 0xb2])),
    ...eachRow(body, p.rows, bytes, [p.x, p.y], [
      sum.set(f4.const(0)),
      ...sweep(o, bytes, (w) => [sum.set(f4.add(sum.get, w.inSum(w.load(at(p.x, o)))))]),
      center.set(f4.splat(f32.mul(sumLanes(sum), share.get))),
      sum.set(f4.const(0)),
      ...sweep(o, bytes, (w) => [
        value.set(f4.sub(w.load(at(p.x, o)), center.get)),
        sum.set(f4.add(sum.get, w.inSum(f4.mul(value.get, value.get)))),
        w.store(at(p.y, o), value.get),
      ]),
      inverse.set(f32.div(f32.const(1), f32.sqrt(f32.add(f32.mul(sumLanes(sum), share.get), p.eps.get)))),
      f32.store(p.rstd.get, inverse.get),
      p.rstd.set(i32.add(p.rstd.get, i32.const(4))),
      center.set(f4.splat(inverse.get)),
      ...sweep(o, bytes, (w) => [w.store(at(p.y, o), f4.mul(w.load(at(p.y, o)), center.get))]),
    ]),
  ];
});

/** Both gradients of a normalized row; with a scale, dy is dout * scale, computed on the way. */
function normalizeGradient(name: "normalizeGrad" | "layerNormGrad", scaled: boolean): WasmFunction {
  const write = (p: { y: Local; rstd: Local; dy: Local; dx: Local; rows: Local; columns: Local }, scale: Local | undefined, body: Body): Code[] => {
    const [o, bytes, mean, along, dy] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128"), body.local("v128")] as const;
    const share = body.local("f32");
    const read = (w: Width): Code => dy.set(scale === undefined ? w.load(at(p.dy, o)) : f4.mul(w.load(at(p.dy, o)), w.load(at(scale, o))));
    return [
      bytes.set(i32.shl(p.columns.get, i32.const(2))),
      share.set(f32.div(f32.const(1), [...p.columns.get, 0xb2])),
      ...eachRow(body, p.rows, bytes, [p.y, p.dy, p.dx], [
        mean.set(f4.const(0)),
        along.set(f4.const(0)),
        ...sweep(o, bytes, (w) => [
          read(w),
          mean.set(f4.add(mean.get, w.inSum(dy.get))),
          along.set(f4.add(along.get, w.inSum(f4.mul(dy.get, w.load(at(p.y, o)))))),
        ]),
        mean.set(f4.splat(f32.mul(sumLanes(mean), share.get))),
        along.set(f4.splat(f32.mul(sumLanes(along), share.get))),
        ...sweep(o, bytes, (w) => [
          read(w),
          w.store(at(p.dx, o), f4.mul(f4.sub(f4.sub(dy.get, mean.get), f4.mul(w.load(at(p.y, o)), along.get)), f4.loadSplat(p.rstd.get))),
        ]),
        p.rstd.set(i32.add(p.rstd.get, i32.const(4))),
      ]),
    ];
  };
  return scaled
    ? define(name, { y: "i32", rstd: "i32", scale: "i32", dy: "i32", dx: "i32", rows: "i32", columns: "i32" }, (p, body) => write(p, p.scale, body))
    : define(name, { y: "i32", rstd: "i32", dy: "i32", dx: "i32", rows: "i32", columns: "i32" }, (p, body) => write(p, undefined, body));
}

const accumulate = define("accumulate", { x: "i32", out: "i32", count: "i32" }, (p, body) => {
  const [o, bytes] = [body.local("i32"), body.local("i32")] as const;
  return [bytes.set(i32.shl(p.count.get, i32.const(2))), ...sweep(o, bytes, (w) => [w.store(at(p.out, o), f4.add(w.load(at(p.out, o)), w.load(at(p.x, o))))])];
});

/** A scalar parameter in all lanes, set once before the loop. */
function everywhere(body: Body, value: Local): { readonly get: Code; readonly init: Code } {
  const lanes = body.local("v128");
  return { get: lanes.get, init: lanes.set(f4.splat(value.get)) };
}

const adamw = define("adamw", {
  p: "i32", to: "i32", g: "i32", m: "i32", v: "i32", count: "i32", rest1: "f32", rest2: "f32", stepSize: "f32", rootCorrection: "f32", eps: "f32", keep: "f32",
}, (p, body) => {
  const [o, bytes, g, m, v] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128"), body.local("v128")] as const;
  const rest1 = everywhere(body, p.rest1);
  const rest2 = everywhere(body, p.rest2);
  const stepSize = everywhere(body, p.stepSize);
  const root = everywhere(body, p.rootCorrection);
  const eps = everywhere(body, p.eps);
  const keep = everywhere(body, p.keep);
  return [rest1.init, rest2.init, stepSize.init, root.init, eps.init, keep.init, bytes.set(i32.shl(p.count.get, i32.const(2))), ...sweep(o, bytes, (w) => [
    g.set(w.load(at(p.g, o))),
    m.set(w.load(at(p.m, o))),
    v.set(w.load(at(p.v, o))),
    m.set(f4.add(m.get, f4.mul(rest1.get, f4.sub(g.get, m.get)))),
    v.set(f4.add(v.get, f4.mul(rest2.get, f4.sub(f4.mul(g.get, g.get), v.get)))),
    w.store(at(p.m, o), m.get),
    w.store(at(p.v, o), v.get),
    w.store(at(p.to, o), f4.sub(f4.mul(w.load(at(p.p, o)), keep.get),
      f4.div(f4.mul(stepSize.get, m.get), f4.add(f4.mul(f4.sqrt(v.get), root.get), eps.get)))),
  ])];
});

const momentum = define("momentum", {
  p: "i32", to: "i32", g: "i32", velocity: "i32", count: "i32", lr: "f32", momentum: "f32", decay: "f32",
}, (p, body) => {
  const [o, bytes, now, velocity] = [body.local("i32"), body.local("i32"), body.local("v128"), body.local("v128")] as const;
  const lr = everywhere(body, p.lr);
  const mass = everywhere(body, p.momentum);
  const decay = everywhere(body, p.decay);
  return [lr.init, mass.init, decay.init, bytes.set(i32.shl(p.count.get, i32.const(2))), ...sweep(o, bytes, (w) => [
    now.set(w.load(at(p.p, o))),
    velocity.set(f4.add(f4.mul(mass.get, w.load(at(p.velocity, o))), f4.add(w.load(at(p.g, o)), f4.mul(decay.get, now.get)))),
    w.store(at(p.velocity, o), velocity.get),
    w.store(at(p.to, o), f4.sub(now.get, f4.mul(lr.get, velocity.get))),
  ])];
});

const average = define("average", { target: "i32", source: "i32", to: "i32", count: "i32", m: "f32", rest: "f32" }, (p, body) => {
  const [o, bytes] = [body.local("i32"), body.local("i32")] as const;
  const m = everywhere(body, p.m);
  const rest = everywhere(body, p.rest);
  return [m.init, rest.init, bytes.set(i32.shl(p.count.get, i32.const(2))), ...sweep(o, bytes, (w) => [
    w.store(at(p.to, o), f4.add(f4.mul(w.load(at(p.target, o)), m.get), f4.mul(w.load(at(p.source, o)), rest.get))),
  ])];
});

const functions = [
  gemm, transpose, gelu, geluPair, softmax, softmaxGrad, normalize, normalizeGradient("normalizeGrad", false),
  normalizeGradient("layerNormGrad", true), accumulate, adamw, momentum, average,
];

/** Compiles the kernels for a heap, or nothing where the host has no SIMD. */
export function simdKernels(memory: WebAssembly.Memory): SimdKernels | undefined {
  const bytes = assemble(functions);
  if (!WebAssembly.validate(bytes)) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  const call = (name: string) => {
    const found = exports[name];
    if (typeof found !== "function") throw new Error(`wasm kernel ${name} is missing`);
    return (...args: number[]): void => void found(...args);
  };
  return {
    gemm: call("gemm"), transpose: call("transpose"), gelu: call("gelu"), geluPair: call("geluPair"),
    softmax: call("softmax"), softmaxGrad: call("softmaxGrad"), normalize: call("normalize"),
    normalizeGrad: call("normalizeGrad"), layerNormGrad: call("layerNormGrad"), accumulate: call("accumulate"),
    adamw: call("adamw"), momentum: call("momentum"), average: call("average"),
  };
}
