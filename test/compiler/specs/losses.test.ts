/** Losses over the batch and ops with state: what the lowered program computes against the papers' formulas, element by element. */
import { describe, expect, it } from "vitest";
import { check, lowerChecked } from "../../../compiler/compile.js";
import { evaluate } from "../../../compiler/tensor/eval.js";
import { funcOf, typeOf } from "../../../compiler/tensor/ir.js";
import { evaluate as evaluateDim } from "../../../compiler/types/dim.js";
import { numbers, read } from "./harness.js";

type Rows = readonly (readonly number[])[];

const B = 5;
/** Two views of 2x2x3 pixels: rows of 12 features, or four tokens of three. */
const shape = [B, 2, 2, 3];

function images(seed: number): Float64Array {
  const next = numbers(seed);
  return Float64Array.from({ length: B * 12 }, () => next());
}

const a = images(1);
const b = images(2);
const rowsOf = (data: Float64Array, width: number): Rows => Array.from({ length: data.length / width }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
const x = rowsOf(a, 12);
const y = rowsOf(b, 12);

/** Runs statements that use `x`, `y` (`[B, 12]`) and `tx` (`[B, 4, 3]`); every output of main by name. */
function run(body: string, given: Readonly<Record<string, readonly number[]>> = {}, uses = "use std.heads\n"): ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float64Array }> {
  const text = `${uses}model m {
  input image: Image[2, 2, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  x = flatten(a)
  y = flatten(b)
  tx = patches(a, 1)
${body}
}
train m { data shapes(count: 64) }
`;
  const { checked, diagnostics } = check({ file: "m.jepa", text, read });
  const errors = diagnostics.filter((d) => d.severity === "error" && !d.code.startsWith("JEP4"));
  if (checked === undefined || errors.length > 0) throw new Error(errors.map((d) => d.message).join("; "));
  const lowered = lowerChecked(checked);
  const func = funcOf(lowered.module, lowered.main);
  const dims = new Map([["B", B]]);
  const args = func.inputs.map((input) => {
    if (input.path === "a" || input.path === "b") return { shape, data: input.path === "a" ? a : b };
    const { stack, shape: own } = typeOf(func, input.value);
    const sizes = [...stack, ...own.map((d) => evaluateDim(d, dims) ?? NaN)];
    const values = given[input.path];
    if (values === undefined) throw new Error(`no value for ${input.path}`);
    return { shape: sizes, data: Float64Array.from(values) };
  });
  const results = evaluate(lowered.module, lowered.main, args, dims);
  return new Map(func.outputs.map((o, i) => [o.path, results[i] ?? { shape: [], data: new Float64Array(1) }]));
}

/** The value of one loss expression. */
function loss(expression: string, given: Readonly<Record<string, readonly number[]>> = {}): number {
  return run(`  loss it = ${expression}`, given).get("it")?.data[0] ?? NaN;
}

const mean = (v: readonly number[]): number => v.reduce((s, e) => s + e, 0) / v.length;
const column = (m: Rows, j: number): number[] => m.map((r) => r[j] ?? NaN);
const dot = (p: readonly number[], q: readonly number[]): number => p.reduce((s, e, i) => s + e * (q[i] ?? NaN), 0);
const unit = (v: readonly number[]): number[] => v.map((e) => e / Math.sqrt(dot(v, v)));
const width = (m: Rows): number => m[0]?.length ?? 0;

function covarianceOf(m: Rows): number[][] {
  const means = Array.from({ length: width(m) }, (_, j) => mean(column(m, j)));
  return means.map((mi, i) => means.map((mj, j) => m.reduce((s, r) => s + ((r[i] ?? NaN) - mi) * ((r[j] ?? NaN) - mj), 0) / (m.length - 1)));
}

function varianceLoss(m: Rows): number {
  return mean(covarianceOf(m).map((row, i) => Math.max(0, 1 - Math.sqrt((row[i] ?? NaN) + 1e-4))));
}

function covarianceLoss(m: Rows): number {
  return covarianceOf(m).flatMap((row, i) => row.filter((_, j) => j !== i)).reduce((s, c) => s + c * c, 0) / width(m);
}

describe("losses over the batch", () => {
  it("variance is VICReg's hinge on the unbiased standard deviation, along the axis that is named", () => {
    expect(loss("variance(x)")).toBeCloseTo(varianceLoss(x), 10);
    const tokens = Array.from({ length: B }, (_, i) => rowsOf(a.subarray(i * 12, i * 12 + 12), 3));
    expect(loss("variance(tx, over: tokens)")).toBeCloseTo(mean(tokens.map(varianceLoss)), 10);
    const places = Array.from({ length: 4 }, (_, t) => tokens.map((image) => image[t] ?? []));
    expect(loss("variance(tx)")).toBeCloseTo(mean(places.map(varianceLoss)), 10);
    expect(loss("variance(tx, over: all)")).toBeCloseTo(varianceLoss(tokens.flat()), 10);
  });

  it("covariance is VICReg's sum of squared off-diagonal entries over features", () => {
    expect(loss("covariance(x)")).toBeCloseTo(covarianceLoss(x), 10);
    const tokens = Array.from({ length: B }, (_, i) => rowsOf(a.subarray(i * 12, i * 12 + 12), 3));
    expect(loss("covariance(tx, over: tokens)")).toBeCloseTo(mean(tokens.map(covarianceLoss)), 10);
  });

  it("barlow is the squared distance of the cross-correlation from the identity, its halves are its halves", () => {
    const standard = (m: Rows): Rows => {
      const stats = Array.from({ length: width(m) }, (_, j) => ({ mu: mean(column(m, j)), sd: Math.sqrt(mean(column(m, j).map((e) => (e - mean(column(m, j))) ** 2)) + 1e-5) }));
      return m.map((r) => r.map((e, j) => (e - (stats[j]?.mu ?? NaN)) / (stats[j]?.sd ?? NaN)));
    };
    const [p, q] = [standard(x), standard(y)];
    let on = 0;
    let off = 0;
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 12; j++) {
        const c = dot(column(p, i), column(q, j)) / B;
        if (i === j) on += (1 - c) ** 2;
        else off += c * c;
      }
    }
    expect(loss("barlow(x, y, lambda: 0.3)")).toBeCloseTo(on + 0.3 * off, 9);
    expect(loss("barlow_diagonal(x, y)")).toBeCloseTo(on, 9);
    expect(loss("barlow_off_diagonal(x, y)")).toBeCloseTo(off, 9);
  });

  it("info_nce is a softmax over keys, or over all other rows of both views", () => {
    const [p, q] = [x.map(unit), y.map(unit)];
    const keys = mean(p.map((u, i) => -dot(u, q[i] ?? []) / 0.2 + Math.log(q.reduce((s, v) => s + Math.exp(dot(u, v) / 0.2), 0))));
    expect(loss("info_nce(x, y, temperature: 0.2)")).toBeCloseTo(keys, 10);
    const all = [...p, ...q];
    const both = mean(all.map((u, i) => {
      const others = all.filter((_, j) => j !== i);
      return -dot(u, all[(i + B) % (2 * B)] ?? []) / 0.2 + Math.log(others.reduce((s, v) => s + Math.exp(dot(u, v) / 0.2), 0));
    }));
    expect(loss("info_nce(x, y, temperature: 0.2, candidates: both)")).toBeCloseTo(both, 10);
    expect(loss("info_nce(x, y, temperature: 0.2, negative_weight: 0)")).toBeCloseTo(mean(p.map((u, i) => -dot(u, q[i] ?? []) / 0.2)), 10);
  });

  it("sigreg is the Epps-Pulley statistic: small for normal samples, the double sum over pairs in closed form", () => {
    const directions = Array.from({ length: 12 * 2 }, (_, i) => Math.sin(1 + 3 * i));
    const got = loss("sigreg(x, directions: 2, points: 2001, range: 12)", { directions });
    // n ∫ |φₙ − φ|² φ dt with φ(t) = e^(−t²/2), by the known integral of cos against a Gaussian.
    const gauss = (d: number, s: number): number => Math.sqrt((2 * Math.PI) / s) * Math.exp((-d * d) / (2 * s));
    const statistic = (z: readonly number[]): number => {
      const pairs = z.flatMap((u) => z.map((v) => gauss(u - v, 1))).reduce((s, e) => s + e, 0) / (z.length * z.length);
      const cross = z.reduce((s, u) => s + gauss(u, 2), 0) / z.length;
      return z.length * (pairs - 2 * cross + Math.sqrt((2 * Math.PI) / 3));
    };
    const along = [0, 1].map((k) => unit(Array.from({ length: 12 }, (_, i) => directions[i * 2 + k] ?? NaN)));
    expect(got).toBeCloseTo(mean(along.map((u) => statistic(x.map((r) => dot(r, u))))), 6);
  });

  it("koleo is minus the mean log distance to the nearest other row", () => {
    const z = x.map(unit);
    const nearest = z.map((u, i) => Math.min(...z.filter((_, j) => j !== i).map((v) => Math.hypot(...u.map((e, k) => e - (v[k] ?? NaN))))));
    expect(loss("koleo(x)")).toBeCloseTo(-mean(nearest.map(Math.log)), 6);
  });

  it("mean_entropy and diversity are minus the entropy of the mean code", () => {
    const codes = x.map((r) => {
      const e = r.map(Math.exp);
      return e.map((v) => v / e.reduce((s, w) => s + w, 0));
    });
    const entropy = Array.from({ length: 12 }, (_, j) => mean(column(codes, j))).reduce((s, p) => s + p * Math.log(p), 0);
    expect(loss("mean_entropy(softmax(x))")).toBeCloseTo(entropy, 9);
    expect(loss("diversity(softmax(x))")).toBeCloseTo(entropy / 12, 9);
  });
});

describe("ops over the batch", () => {
  it("whitened features have the identity as covariance", () => {
    // Tokens give 20 rows of three features; the loss compares their covariance's off-diagonal and scale.
    expect(loss("covariance(whiten(tx, eps: 0, iterations: 30), over: all)")).toBeLessThan(1e-12);
    expect(loss("variance(whiten(tx, eps: 0, iterations: 30), over: all, target: 1, eps: 0)")).toBeCloseTo(0, 8);
    expect(loss("variance(whiten(tx, eps: 0, iterations: 30), over: all, target: 2, eps: 0)")).toBeCloseTo(1, 8);
  });

  it("whitening stays where it arrived, however many rounds follow, for features of very different size", () => {
    for (const iterations of [40, 200]) {
      const whitened = `whiten(exp(4 * tx), eps: 0, iterations: ${iterations})`;
      expect(loss(`covariance(${whitened}, over: all)`), `${iterations}`).toBeLessThan(1e-12);
      expect(loss(`variance(${whitened}, over: all, target: 2, eps: 0)`), `${iterations}`).toBeCloseTo(1, 8);
    }
  });

  it("sinkhorn's codes are used equally often, and each row sums to one", () => {
    const rows = loss("mean(square(sum(sinkhorn(x, temperature: 0.5, iterations: 200), over: features) - 1))");
    const uses = loss("mean(square(mean(sinkhorn(x, temperature: 0.5, iterations: 200), over: images) - 1 / 12))");
    expect(rows).toBeLessThan(1e-20);
    expect(uses).toBeLessThan(1e-12);
  });

  it("sinkhorn at a small temperature: a code whose every share is nought in floating point still gets its part", () => {
    // Entries of one code span thousands of e-folds: taken as they are, some columns are nought over nought.
    const logs = x.map((r) => r.map((e) => e / 1e-4));
    const less = (m: number[][]): number[][] => m.map((r) => {
      const top = Math.max(...r);
      const sum = top + Math.log(r.reduce((s, e) => s + Math.exp(e - top), 0));
      return r.map((e) => e - sum);
    });
    const turn = (m: number[][]): number[][] => Array.from({ length: m[0]?.length ?? 0 }, (_, j) => column(m, j));
    const codes = [1, 2, 3].reduce((m) => less(turn(less(turn(m)))), logs).map((r) => r.map(Math.exp));
    const want = mean(codes.flatMap((r, i) => r.map((e, j) => (e - (x[i]?.[j] ?? NaN)) ** 2)));
    expect(loss("mse(sinkhorn(x, temperature: 1e-4, iterations: 3), x)")).toBeCloseTo(want, 9);
  });

  it("softmax over images sums to one down the batch", () => {
    expect(loss("mean(square(sum(softmax(x, temperature: 0.3, over: images), over: images) - 1))")).toBeLessThan(1e-25);
  });

  it("assign gives the one-hot of the nearest code", () => {
    const codes = Array.from({ length: 3 * 12 }, (_, i) => Math.cos(2 * i));
    const book = rowsOf(Float64Array.from(codes), 12);
    const nearest = x.map((r) => book.map((c) => r.reduce((s, e, i) => s + (e - (c[i] ?? NaN)) ** 2, 0))).map((d) => d.indexOf(Math.min(...d)));
    const want = mean(x.map((r, i) => mean(r.map((e, j) => (e - (book[nearest[i] ?? -1]?.[j] ?? NaN)) ** 2))));
    expect(run("  head q = quantizer(3)\n  z, ids = q(x)\n  loss it = mse(z, x)", { "q.codebook": codes }).get("it")?.data[0]).toBeCloseTo(want, 9);
  });

  it("a union is rows after rows, separate takes them back, join puts features side by side", () => {
    expect(loss("mse(union(x, y), union(y, x))")).toBeCloseTo(loss("mse(x, y)"), 12);
    expect(run("  p, q = separate(union(x, y), 2)\n  loss it = mse(p, x) + mse(q, y)").get("it_2")?.data[0]).toBe(0);
    expect(loss("mse(join(x, y), join(x, x))")).toBeCloseTo(loss("mse(x, y)") / 2, 12);
    expect(loss("mse(average(x, y, y), x)")).toBeCloseTo((4 / 9) * loss("mse(x, y)"), 12);
  });
});

describe("loops", () => {
  const value = (body: string): number => run("  head l = loops()\n  loss it = mse(l(x), y)", {}, `module loops (x: Features[w]) -> Features[w] {\n${body}\n}\n`).get("it")?.data[0] ?? NaN;

  it("what a loop within a loop assigns is carried by both", () => {
    const written = (rounds: string): number => value(`  a = x\n  b = 0.5 * x\n${rounds}\n  a + b`);
    const round = "  b = gelu(b + a)\n  b = gelu(b + a)\n";
    expect(written("  repeat 3 { repeat 2 { b = gelu(b + a) } }")).toBeCloseTo(written(round.repeat(3)), 12);
    expect(written("  repeat 3 {\n    repeat 2 { b = gelu(b + a) }\n    a = a - 0.1 * b\n  }")).toBeCloseTo(written(`${round}  a = a - 0.1 * b\n`.repeat(3)), 12);
  });
});

describe("names", () => {
  it("a module that is applied without a name keeps out of the way of a part declared later", () => {
    const body = "module odd (x: Features[w]) -> Features[3] {\n  x = linear(3)(x)\n  part linear = linear(3)\n  linear(x)\n}\n";
    const out = run("  head h = odd()\n  loss it = mse(h(x), h(y))", {
      "h.linear_2.weight": Array.from({ length: 36 }, (_, i) => 0.01 * i), "h.linear_2.bias": [0, 0, 0], "h.linear.weight": [2, 0, 0, 0, 2, 0, 0, 0, 2], "h.linear.bias": [1, 1, 1],
    }, body);
    const [p, q] = [x, y].map((m) => m.map((row) => [0, 1, 2].map((j) => 2 * row.reduce((sum, e, i) => sum + e * 0.01 * (3 * i + j), 0))));
    expect(out.get("it")?.data[0]).toBeCloseTo(mean((p ?? []).map((row, i) => mean(row.map((e, j) => (e - (q?.[i]?.[j] ?? NaN)) ** 2)))), 12);
  });

  it("a value and a parameter may be called the same", () => {
    const gate = x[0]?.map((_, j) => 0.5 + j) ?? [];
    const out = run("  head h = odd()\n  loss it = mse(h(x), 0 * y)", { "h.x": gate, "h.layers.*.x": [...gate, ...gate] },
      "module odd (x: Features[w]) -> Features[w] {\n  y = 2 * x\n  learn x[w] ~ ones\n  repeat 2 {\n    y = y * x\n    learn x[w] ~ ones\n    y = y + x\n  }\n  y\n}\n");
    expect(out.get("it")?.data[0]).toBeCloseTo(mean(x.map((row) => mean(row.map((e, j) => { const g = gate[j] ?? NaN; return ((2 * e * g + g) * g + g) ** 2; })))), 9);
  });
});

describe("state", () => {
  const zeros = Array.from({ length: 12 }, () => 0);
  const ones = zeros.map(() => 1);

  it("running statistics take in all views at once, the variance unbiased", () => {
    const out = run("  head n = plain_batch_norm(momentum: 0.1)\n  loss it = mse(n(x), n(y))", { "n.mean": zeros, "n.variance": ones });
    const means = [x, y].map((m) => Array.from({ length: 12 }, (_, j) => mean(column(m, j))));
    const variances = [x, y].map((m) => covarianceOf(m).map((row, i) => row[i] ?? NaN));
    for (let j = 0; j < 12; j++) {
      expect(out.get("n.mean")?.data[j]).toBeCloseTo(0.05 * (means[0]?.[j] ?? NaN) + 0.05 * (means[1]?.[j] ?? NaN), 12);
      expect(out.get("n.variance")?.data[j]).toBeCloseTo(0.9 + 0.05 * (variances[0]?.[j] ?? NaN) + 0.05 * (variances[1]?.[j] ?? NaN), 12);
    }
  });

  it("a center is taken off before it moves", () => {
    const running = zeros.map((_, j) => 0.1 * j);
    const out = run("  head c = center(momentum: 0.9)\n  loss it = mse(c(x), x)", { "c.running": running });
    expect(out.get("it")?.data[0]).toBeCloseTo(mean(running.map((r) => r * r)), 12);
    for (let j = 0; j < 12; j++) expect(out.get("c.running")?.data[j]).toBeCloseTo(0.9 * (running[j] ?? NaN) + 0.1 * mean(column(x, j)), 12);
  });

  const running = zeros.map((_, j) => 0.1 * j);
  const moved = (body: string, uses = "use std.heads\n"): ReturnType<typeof run> => run(body, { "c.running": running }, uses);

  it("a center that is used twice is that of the step before for both, and takes in both, whatever the order of lines", () => {
    const [one, two] = ["  p = c(x)\n", "  q = c(y)\n"];
    const rest = "  loss it = mse(p, x) + mse(q, y)";
    const forth = moved(`  head c = center(momentum: 0.9)\n${one}${two}${rest}`);
    const back = moved(`  head c = center(momentum: 0.9)\n${two}${one}${rest}`);
    const together = moved("  head c = center(momentum: 0.9)\n  p, q = separate(c(union(x, y)), 2)\n  loss it = mse(p, x) + mse(q, y)");
    const wanted = running.map((r, j) => 0.9 * r + 0.05 * (mean(column(x, j)) + mean(column(y, j))));
    for (const out of [forth, back, together]) {
      expect(out.get("total")?.data[0]).toBeCloseTo(2 * mean(running.map((r) => r * r)), 12);
      wanted.forEach((w, j) => expect(out.get("c.running")?.data[j]).toBeCloseTo(w, 12));
    }
  });

  it("every use counts the same, in whatever module it stands", () => {
    const modules = "module within (x: Features[w]) -> Features[w] {\n  state running[w] ~ zeros\n  u = recenter(x, running)\n  v = recenter(2 * x, running)\n  u + v + running\n}\n";
    // Two uses on x, on 2 x, and as many on y: the mean of c(x), c(2x), c(y), c(2y).
    const out = moved("  head c = within()\n  loss it = mse(c(x), x) + mse(c(y), y)", modules);
    // x - r + 2x - r + r
    expect(out.get("it")?.data[0]).toBeCloseTo(mean(x.map((row) => mean(row.map((e, j) => (2 * e - (running[j] ?? NaN)) ** 2)))), 12);
    running.forEach((r, j) => expect(out.get("c.running")?.data[j]).toBeCloseTo(0.9 * r + 0.1 * 0.75 * (mean(column(x, j)) + mean(column(y, j))), 12));
    const uneven = moved("  head c = outer()\n  loss it = mse(c(x, y), x)", "module outer (x: Features[w], y: Features[w]) -> Features[w] {\n  state running[w] ~ zeros\n  u = recenter(x, running, 0.5) + recenter(x, running, 0.5)\n  u + recenter(y, running, 0.8)\n}\n");
    running.forEach((r, j) => expect(uneven.get("c.running")?.data[j]).toBeCloseTo((0.5 + 0.5 + 0.8) / 3 * r + (0.5 * 2 * mean(column(x, j)) + 0.2 * mean(column(y, j))) / 3, 12));
  });

  it("parts of a list that is walked twice move once too, each its own", () => {
    const modules = "use std.heads\nmodule twice (x: Features[w]) -> Features[w] {\n  part all = 2 of center()\n  repeat c in all { x = c(x) }\n  repeat c in all { x = c(2 * x) }\n  x\n}\n";
    const flat = running.map((r) => 2 * r);
    const out = run("  head c = twice()\n  loss it = mse(c(x), x)", { "c.all.*.running": [...running, ...flat] }, modules);
    const m = x[0]?.map((_, j) => mean(column(x, j))) ?? [];
    // The four values that the two centers see: x, x - r, 2 (x - r - s), 2 (2 (x - r - s) - r).
    const seen = running.map((r, j) => { const [s, e] = [flat[j] ?? NaN, m[j] ?? NaN]; const third = 2 * (e - r - s); return [[e, third], [e - r, 2 * (third - r)]]; });
    [running, flat].forEach((start, i) => start.forEach((r, j) => expect(out.get("c.all.*.running")?.data[12 * i + j]).toBeCloseTo(0.9 * r + 0.1 * mean(seen[j]?.[i] ?? []), 12)));
  });
});
