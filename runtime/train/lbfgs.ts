/**
 * L-BFGS: minimizes a smooth convex function of many variables, deterministically.
 *
 * Owns the two-loop recursion (Nocedal and Wright, algorithm 7.4) with a backtracking line search. Here because a linear
 * probe is convex: a quasi-Newton method reaches its minimum in tens of passes with no learning rate to choose, so that
 * the number a probe reports does not hang on one.
 */

/** Value at `x`, its gradient written into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

/** Limits of a minimization. */
export interface LbfgsOptions {
  readonly iterations: number;
  /** Stops when no component of the gradient is larger. */
  readonly tolerance: number;
  readonly memory?: number;
}

/** Minimizes `f` from `start` (not changed); returns the point reached. */
export function minimize(f: Objective, start: Float64Array, options: LbfgsOptions): Float64Array {
  const n = start.length;
  const pairs: Pair[] = [];
  let x: Float64Array = start.slice();
  let gradient: Float64Array = new Float64Array(n);
  let value = f(x, gradient);
  for (let iteration = 0; iteration < options.iterations && largest(gradient) > options.tolerance; iteration++) {
    let direction = descent(gradient, pairs);
    let slope = dot(direction, gradient);
    if (slope >= 0) {
      pairs.length = 0;
      direction = gradient.map((g) => -g);
      slope = dot(direction, gradient);
    }
    const first = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(-slope)) : 1;
    const next = search(f, x, value, direction, slope, first);
    if (next === undefined) break;
    remember(pairs, difference(next.x, x), difference(next.gradient, gradient), options.memory ?? 10);
    const gain = value - next.value;
    ({ x, value, gradient } = next);
    if (gain <= 1e-9 * Math.max(1, Math.abs(value))) break;
  }
  return x;
}

interface Pair {
  readonly s: Float64Array;
  readonly y: Float64Array;
  readonly rho: number;
}

interface Point {
  readonly x: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
}

function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const q = gradient.slice();
  const alphas = new Float64Array(pairs.length);
  for (let i = pairs.length - 1; i >= 0; i--) {
    const pair = pairs[i];
    if (pair === undefined) continue;
    const alpha = pair.rho * dot(pair.s, q);
    alphas[i] = alpha;
    axpy(-alpha, pair.y, q);
  }
  const last = pairs.at(-1);
  const scale = last === undefined ? 1 : 1 / (last.rho * dot(last.y, last.y));
  for (let i = 0; i < q.length; i++) q[i] = (q[i] ?? 0) * scale;
  pairs.forEach((pair, i) => axpy((alphas[i] ?? 0) - pair.rho * dot(pair.y, q), pair.s, q));
  return q.map((value) => -value);
}

function search(f: Objective, x: Float64Array, value: number, direction: Float64Array, slope: number, first: number): Point | undefined {
  for (let step = first, tries = 0; tries < 25; tries++, step /= 2) {
    const at = x.slice();
    axpy(step, direction, at);
    const gradient = new Float64Array(x.length);
    const reached = f(at, gradient);
    if (reached <= value + 1e-4 * step * slope) return { x: at, value: reached, gradient };
  }
  return undefined;
}

function remember(pairs: Pair[], s: Float64Array, y: Float64Array, memory: number): void {
  const curvature = dot(s, y);
  if (curvature <= 1e-12) return;
  pairs.push({ s, y, rho: 1 / curvature });
  if (pairs.length > memory) pairs.shift();
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function axpy(scale: number, x: Float64Array, into: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = (into[i] ?? 0) + scale * (x[i] ?? 0);
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] ?? 0));
}

function largest(a: Float64Array): number {
  let most = 0;
  for (const value of a) most = Math.max(most, Math.abs(value));
  return most;
}
