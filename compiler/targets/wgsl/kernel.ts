/**
 * Writing one kernel: its bindings, its block of sizes, its text, and the dispatch that runs it.
 *
 * Owns what all kernels share: binding 0 is a uniform block of sizes (`p`), tensors follow in the order in which they are
 * asked for, the same tensor asked for twice is one binding (WebGPU refuses two that overlap when one may be written), and
 * a tensor that is read from the arenas that the kernel writes is declared read_write for the same reason. Kernels that come
 * out as the same text are one kernel, so nothing that differs between equal layers may be in the text.
 */
import type { Span } from "../../base/span.js";
import { IrError } from "../../tensor/ir.js";
import type { Dim } from "../../types/dim.js";
import { constantOf, evaluate } from "../../types/dim.js";
import type { Tensor } from "./graph.js";

/** A size known at run time: a polynomial, or a rounded-up quotient. */
export type Size = Dim | { readonly kind: "up"; readonly of: Dim; readonly by: number; readonly times: number };

/** Workgroups: a number to be folded over dimensions, or three. */
export type Groups = readonly [Size] | readonly [Size, Size, Size];

/** What a draft binds: a tensor of the graph, or a buffer by name (for parameters, optimizer slots). */
export type Bound = Tensor | BufferRef;

/** A piece of a named buffer, in elements of 4 bytes. */
export interface BufferRef {
  readonly kind: "buffer";
  readonly buffer: string;
  readonly at: number;
  readonly count: number;
  /** A class of buffers that may be one and the same. */
  readonly arena: string;
}

/** A dispatch before memory has places. */
export interface Draft {
  readonly name: string;
  readonly doc: string;
  readonly text: string;
  readonly binds: readonly Bound[];
  readonly writes: readonly boolean[];
  readonly hyper: boolean;
  readonly sizes: readonly Size[];
  readonly groups: Groups;
  readonly origin: Span | undefined;
  /** The shape of the result, in words. */
  readonly shape: string;
  /** Arithmetic, where it is counted (see `cost.ts`). */
  readonly flops?: Dim;
}

/** What kernels may know of the run when they choose tiles and splits. */
export interface Limits {
  /** Upper bound of a size. */
  bound(d: Dim): number;
  /** A tensor for the time between two dispatches. */
  scratch(shape: readonly Dim[], name: string): Tensor;
}

/** Upper bounds from the symbols' bounds; polynomials with a minus sign are bounded by their positive terms. */
export function upperBound(d: Dim, bounds: ReadonlyMap<string, number>): number {
  const positive = { ...d, terms: d.terms.filter((t) => t.coefficient > 0) };
  const value = evaluate(positive, bounds);
  if (value === undefined) throw new IrError("wgsl target: a size has no upper bound.");
  return value;
}

interface Binding {
  readonly bound: Bound;
  readonly name: string;
  writes: boolean;
}

/** Writes one kernel. */
export class KernelWriter {
  readonly #bindings: Binding[] = [];
  readonly #sizes = new Map<string, Size>();
  readonly #helpers = new Set<string>();
  #hyper: readonly string[] | undefined;

  /** `name` becomes the file's name; `doc` says what the kernel computes. */
  constructor(readonly name: string, readonly doc: string) {}

  /** The variable through which a tensor is read. */
  read(name: string, bound: Bound): string {
    return this.#bind(name, bound, false);
  }

  /** The variable through which a tensor is written. */
  write(name: string, bound: Bound): string {
    return this.#bind(name, bound, true);
  }

  /** The text of a size. */
  size(name: string, size: Size): string {
    this.#sizes.set(name, size);
    return `p.${name}`;
  }

  /** Declares the block of hyperparameters, fields in the order of the plan. */
  hyper(fields: readonly string[]): void {
    this.#hyper = fields;
  }

  /** Makes sure that library functions are there that `text` calls. */
  uses(text: string): string {
    for (const [name, helper] of Object.entries(library)) {
      if (!new RegExp(`(?<!fn )\\b${name}\\(`).test(text) || this.#helpers.has(name)) continue;
      this.uses(helper);
      this.#helpers.add(name);
    }
    return text;
  }

  #bind(name: string, bound: Bound, writes: boolean): string {
    const known = this.#bindings.find((b) => isSame(b.bound, bound));
    if (known !== undefined) {
      known.writes ||= writes;
      return known.name;
    }
    this.#bindings.push({ bound, name, writes });
    return name;
  }

  /** The kernel's text around `code`, which has the entry point, and the dispatch. */
  finish(code: string, groups: Groups, origin: Span | undefined, shape: string): Draft {
    this.uses(code);
    const written = new Set(this.#bindings.filter((b) => b.writes).map((b) => arenaOf(b.bound)));
    const access = (b: Binding): boolean => b.writes || written.has(arenaOf(b.bound));
    const fields = [...this.#sizes.keys()];
    const lines = [
      `struct Sizes { ${(fields.length === 0 ? ["none"] : fields).map((f) => `${f}: u32`).join(", ")} }`,
      "@group(0) @binding(0) var<uniform> p: Sizes;",
      ...this.#bindings.map((b, i) => `@group(0) @binding(${i + 1}) var<storage, ${access(b) ? "read_write" : "read"}> ${b.name}: array<${dtypeOf(b.bound)}>;`),
      ...(this.#hyper === undefined ? [] : [
        `struct Hyper { ${this.#hyper.map((f) => `${f}: f32`).join(", ")} }`,
        `@group(0) @binding(${this.#bindings.length + 1}) var<uniform> h: Hyper;`,
      ]),
      ...[...this.#helpers].map((name) => `\n${library[name] ?? ""}`),
      `\n${code.trim()}`,
    ];
    return {
      name: this.name, doc: this.doc, text: `${lines.join("\n")}\n`, binds: this.#bindings.map((b) => b.bound), writes: this.#bindings.map(access),
      hyper: this.#hyper !== undefined, sizes: [...this.#sizes.values()], groups, origin, shape,
    };
  }
}

function isSame(a: Bound, b: Bound): boolean {
  if ("kind" in a && "kind" in b) return a.buffer === b.buffer && a.at === b.at && a.count === b.count;
  return a === b;
}

function arenaOf(b: Bound): string {
  return "kind" in b ? b.arena : b.home.kind;
}

function dtypeOf(b: Bound): string {
  return "kind" in b ? "f32" : b.dtype;
}

/** Rounded-up quotient of a size. */
export function up(of: Dim, by: number, times = 1): Size {
  return { kind: "up", of, by, times };
}

/** The first lines of an entry point whose threads stand in one row: `i` is the thread's number, threads beyond `n` leave. */
export function linearEntry(n: string, threads = 256): string {
  return `@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = (group.y * groups.x + group.x) * ${threads}u + thread;
  if (i >= ${n}) { return; }`;
}

/** The first lines of an entry point with one workgroup for each row: `row` is uniform, rows beyond `rows` do nothing. */
export function rowEntry(rows: string, threads: number): string {
  return `@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= ${rows}) { return; }`;
}

/** A sum (or maximum) over the threads of a workgroup, in a tree of fixed shape. */
export function foldFunction(name: string, threads: number, step: (a: string, b: string) => string): string {
  return `var<workgroup> lane_${name}: array<f32, ${threads}>;

/// ${name} over the workgroup, the same for every thread and every run.
fn all_${name}(thread: u32, x: f32) -> f32 {
  lane_${name}[thread] = x;
  workgroupBarrier();
  for (var width = ${threads / 2}u; width > 0u; width = width >> 1u) {
    if (thread < width) { lane_${name}[thread] = ${step(`lane_${name}[thread]`, `lane_${name}[thread + width]`)}; }
    workgroupBarrier();
  }
  let result = lane_${name}[0];
  workgroupBarrier();
  return result;
}`.replace("///", "//");
}

/** Whether a size is the constant 1. */
export function isOne(d: Dim): boolean {
  return constantOf(d) === 1;
}

/** Functions that expressions may call. */
const library: Readonly<Record<string, string>> = {
  square: "fn square(x: f32) -> f32 { return x * x; }",
  sigmoid: "fn sigmoid(x: f32) -> f32 { return 1f / (1f + exp(min(-x, 80f))); }",
  erf: `// Error function: Taylor's series near 0 (relative accuracy there), Abramowitz and Stegun 7.1.26 beyond (1.5e-7).
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let s = x * x;
  let near = x * (1.1283791671f + s * (-0.3761263890f + s * (0.1128379167f + s * (-0.0268661706f + s * (0.0052239776f + s * -0.0008548327f)))));
  let t = 1f / (1f + 0.3275911f * a);
  let tail = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f)))) * exp(-s);
  return select(sign(x) * (1f - tail), near, a < 0.6f);
}`,
  gelu: "fn gelu(x: f32) -> f32 { return 0.5f * x * (1f + erf(x * 0.70710678f)); }",
  gelu_slope: "fn gelu_slope(x: f32) -> f32 { return 0.5f * (1f + erf(x * 0.70710678f)) + x * 0.39894228f * exp(-0.5f * x * x); }",
  smooth_l1: "fn smooth_l1(d: f32, beta: f32) -> f32 { return select(abs(d) - 0.5f * beta, 0.5f * d * d / beta, abs(d) < beta); }",
};
