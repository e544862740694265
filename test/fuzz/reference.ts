/**
 * One update of all weights in float64, from the definitions: AdamW (Loshchilov and Hutter 2019), SGD with momentum, LARS
 * (You et al. 2017), clipping by the global norm, moving averages, running statistics.
 */
import type { Hyper, Manifest } from "../../runtime/abi.js";
import type { Interpreted } from "../compiler/targets/wgsl/oracle.js";

/** Values by the names of their tensors. */
export type Values = ReadonlyMap<string, ArrayLike<number>>;

/** Weights after a step; `slots` is what the optimizer remembers, and is moved on. */
export function updated(manifest: Manifest, before: ReadonlyMap<string, Float32Array>, made: Interpreted, hyper: Hyper, slots: Map<string, Float64Array>): Map<string, Float64Array> {
  const next = new Map([...before].map(([name, values]) => [name, Float64Array.from(values)]));
  const { optimizer, gradientClip } = manifest.train;
  const norm = Math.hypot(...[...made.grads.values()].map((g) => Math.hypot(...g)));
  const share = gradientClip === undefined ? 1 : Math.min(1, gradientClip / norm);
  const slot = (key: string, n: number): Float64Array => {
    const found = slots.get(key) ?? new Float64Array(n);
    slots.set(key, found);
    return found;
  };
  for (const p of manifest.parameters) {
    const w = next.get(p.name);
    const g = made.grads.get(p.name)?.map((x) => x * share);
    if (p.role !== "trained" || w === undefined || g === undefined) continue;
    const decay = p.decay ? hyper.weightDecay : 0;
    if (optimizer.kind === "adamw") {
      const { beta1, beta2, eps } = optimizer;
      const [m, v] = [slot(`m ${p.name}`, w.length), slot(`v ${p.name}`, w.length)];
      w.forEach((x, i) => {
        const own = g[i] ?? NaN;
        m[i] = beta1 * (m[i] ?? 0) + (1 - beta1) * own;
        v[i] = beta2 * (v[i] ?? 0) + (1 - beta2) * own * own;
        w[i] = x * (1 - hyper.learningRate * decay) - (hyper.learningRate * (m[i] ?? 0)) / (1 - beta1 ** hyper.step) / (Math.sqrt((v[i] ?? 0) / (1 - beta2 ** hyper.step)) + eps);
      });
      continue;
    }
    const slope = g.map((x, i) => x + decay * (w[i] ?? 0));
    const [size, steep] = [Math.hypot(...w), Math.hypot(...slope)];
    const ratio = optimizer.kind === "lars" && p.decay && size > 0 && steep > 0 ? (optimizer.trust * size) / steep : 1;
    const u = slot(`u ${p.name}`, w.length);
    w.forEach((x, i) => {
      u[i] = optimizer.momentum * (u[i] ?? 0) + ratio * (slope[i] ?? NaN);
      w[i] = x - hyper.learningRate * (u[i] ?? NaN);
    });
  }
  for (const p of manifest.parameters) {
    const [slow, fast, m] = [next.get(p.name), next.get(p.follows ?? ""), hyper.momentum[p.group]];
    if (p.role === "ema" && slow !== undefined && fast !== undefined && m !== undefined) slow.forEach((x, i) => { slow[i] = m * x + (1 - m) * (fast[i] ?? NaN); });
  }
  for (const [name, values] of made.state) next.set(name, Float64Array.from(values));
  return next;
}

/** What is furthest off: the largest difference of each tensor less what `slack` allows it, where that is above 0. */
export function apart(what: string, got: Values, wanted: Values, slack: (name: string, wanted: ArrayLike<number>) => number): string[] {
  const missing = [...wanted.keys()].filter((name) => got.get(name)?.length !== wanted.get(name)?.length);
  if (missing.length > 0 || got.size !== wanted.size) return [`${what}: there is ${[...got.keys()].join()}, wanted ${[...wanted.keys()].join()}`];
  return [...wanted].flatMap(([name, w]) => {
    const off = difference(got.get(name) ?? [], w);
    const most = slack(name, w);
    return off <= most ? [] : [`${what}: ${name} is ${off.toExponential(1)} off ${largest(w).toExponential(1)}, allowed ${most.toExponential(1)}`];
  });
}

/** The largest difference of two tensors; NaN where one has a NaN. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(b).reduce((most, x, i) => Math.max(most, Math.abs((a[i] ?? NaN) - x)), 0);
}

/** The largest magnitude. */
export function largest(x: ArrayLike<number>): number {
  return Array.from(x).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
}
