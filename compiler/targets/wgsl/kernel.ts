/**
 * Writing one kernel: its bindings, its block of sizes, its text, and the dispatch that runs it.
 *
 * Owns what all kernels share: binding 0 is a uniform block of sizes (`p`), tensors follow in the order in which they are
 * asked for, the same tensor asked for twice is one binding (WebGPU refuses two that overlap when one may be written), and
 * a tensor that is read from the arenas that the kernel writes is declared read_write for the same reason. Elements are read
 * and written through accessors that know what a tensor is stored as: arithmetic is f32 everywhere, f16 is a way to store.
 * Kernels that come out as the same text are one kernel, so nothing that differs between equal layers may be in the text.
 */
import type { Span } from "../../base/span.js";
import { IrError } from "../../tensor/ir.js";
import type { Dim } from "../../types/dim.js";
import { equal, evaluate } from "../../types/dim.js";
import type { Storage, Tensor } from "./graph.js";
import type { ChosenTile, GemmShape } from "./kernels/tiles.js";

/** A size known at run time: a polynomial, or a rounded-up quotient. */
export type Size = Dim | { readonly kind: "up"; readonly of: Dim; readonly by: number; readonly times: number };

/** Workgroups: a number to be folded over dimensions, or three. */
export type Groups = readonly [Size] | readonly [Size, Size, Size];

/** Storage buffers of the portable profile, per stage. */
export const MAX_BUFFERS = 8;

/** What a draft binds: a tensor of the graph, or a buffer by name (for parameters, optimizer slots). */
export type Bound = Tensor | BufferRef;

/** A piece of a named buffer, in elements (of 4 bytes, or of 2 where it is stored as f16). */
export interface BufferRef {
  readonly kind: "buffer";
  readonly buffer: string;
  readonly at: number;
  readonly count: number;
  /** A class of buffers that may be one and the same. */
  readonly arena: string;
  /** f32 unless said. */
  readonly dtype?: "f16";
}

/** Text that reads the element at a place as f32 (i32 for indices); `quad` the four from there on. */
export interface Reader {
  (at: string): string;
  quad(at: string): string;
}

/** A reader of memory, also as what is stored there: values on the way to f16 memory take no detour, on which a thread would wait for them. */
export interface StoredReader extends Reader {
  stored(at: string): string;
  storedQuad(at: string): string;
}

/** Text of the statement that stores an f32 value (i32 for indices) at a place; `quad` stores four. */
export interface Writer {
  (at: string, value: string): string;
  quad(at: string, value: string): string;
}

/** What a device must have for a form of a kernel: subgroups of one known size, or matrices of subgroups. */
export type FormNeeds = "subgroups" | "subgroup-matrix";

/** Another text for the same dispatch, which the runtime takes where the device has what it needs. */
export interface Form {
  readonly needs: FormNeeds;
  readonly text: string;
}

/** A dispatch before memory has places. */
export interface Draft {
  readonly name: string;
  readonly doc: string;
  readonly text: string;
  readonly forms: readonly Form[];
  readonly binds: readonly Bound[];
  readonly writes: readonly boolean[];
  readonly hyper: boolean;
  readonly sizes: readonly Size[];
  readonly groups: Groups;
  readonly origin: Span | undefined;
  /** The shape of the result, in words. */
  readonly shape: string;
  /** The encoders and other instances of the program that it works for, where that is known. */
  readonly whose?: readonly string[];
  /** Arithmetic, where it is counted (see `cost.ts`). */
  readonly flops?: Dim;
  /** Elements of 4 bytes that it moves, where that is not what its bindings hold. */
  readonly elements?: Dim;
  /** The sum of parts that it adds up, and nothing else. */
  readonly adds?: PartsSum;
  /** The reduction over columns that it makes, and nothing else. */
  readonly columns?: Fold;
}

/** A sum that was cut into `parts` stripes of `stride` elements; of the total the first `size` go to `first`, the rest to `second`. */
export interface PartsSum {
  readonly x: Tensor;
  readonly parts: number;
  readonly stride: Dim;
  readonly size: Dim;
  readonly first: Tensor;
  readonly second: Tensor | undefined;
}

/** One stage of a reduction of `[outer, red, inner]`: `red` in `parts` stripes, each of which becomes a row of `out`. */
export interface Fold {
  readonly how: "sum" | "mean" | "max";
  readonly x: Tensor;
  readonly out: Tensor;
  readonly outer: Dim;
  readonly red: Dim;
  readonly inner: Dim;
  readonly parts: number;
  /** What a mean divides by. */
  readonly count: Dim;
}

/** What kernels may know of the run when they choose tiles and splits. */
export interface Limits {
  /** Upper bound of a size. */
  bound(d: Dim): number;
  /** A tensor for the time between two dispatches. */
  scratch(shape: readonly Dim[], name: string): Tensor;
  /** The tile for a product, from measurements; undefined where none were taken. */
  readonly tile?: ((shape: GemmShape) => ChosenTile | undefined) | undefined;
  /** Whether a processor stands in for a GPU: there barriers and workgroup memory cost much, and idle lanes as much as busy ones. */
  readonly software: boolean;
}

/** Threads that fold a row: `usual`, or where a processor stands in for a GPU as many as its smallest vectors have lanes. */
export function rowThreads(cx: Pick<Limits, "software">, usual: number): number {
  return cx.software ? 4 : usual;
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
  /** Elements that one array element holds. */
  readonly lanes: 1 | 4;
  writes: boolean;
}

/** Writes one kernel. */
export class KernelWriter {
  readonly #bindings: Binding[] = [];
  readonly #sizes = new Map<string, Size>();
  readonly #folds: TreeFold[] = [];
  readonly #functions = new Set<string>();
  readonly #forms: { readonly needs: FormNeeds; readonly code: string; readonly wide: readonly string[] }[] = [];
  #hyper: readonly string[] | undefined;
  #doc: string;

  /** `name` becomes the file's name; `doc` says what the kernel computes. */
  constructor(readonly name: string, doc: string) {
    this.#doc = doc;
  }

  /** Says more of what the kernel computes. It is for the header alone: kernels of one text may say it differently. */
  also(words: string): void {
    this.#doc += words;
  }

  /** The variable of a tensor that is bound already. */
  variableOf(bound: Bound): string | undefined {
    return this.#bindings.find((b) => isSame(b.bound, bound))?.name;
  }

  /**
   * A way to read a tensor. `lanes` 4 binds it as vec4, which wants rows of a multiple of 4 elements; the first one to bind
   * a tensor decides, and accessors of either kind go through either binding.
   */
  read(name: string, bound: Bound, lanes: 1 | 4 = 1): StoredReader {
    return readerOf(this.#bind(name, bound, false, lanes));
  }

  /** A way to write a tensor. */
  write(name: string, bound: Bound, lanes: 1 | 4 = 1): Writer {
    return writerOf(this.#bind(name, bound, true, lanes));
  }

  /** A way to read and write a tensor in place. */
  update(name: string, bound: Bound): { readonly get: Reader; readonly set: Writer } {
    const binding = this.#bind(name, bound, true, 1);
    return { get: readerOf(binding), set: writerOf(binding) };
  }

  /** The variable of a tensor, for the few that go by pointer. */
  variable(name: string, bound: Bound, lanes: 1 | 4 = 1): string {
    return this.#bind(name, bound, false, lanes).name;
  }

  /** The text of a size. */
  size(name: string, size: Size): string {
    this.#sizes.set(name, size);
    return `p.${name}`;
  }

  /** The text of a size of which there may be several of that name; equal ones are one. */
  someSize(name: string, size: Dim): string {
    for (let i = 0; ; i++) {
      const own = `${name}${i === 0 ? "" : i}`;
      const known = this.#sizes.get(own);
      if (known === undefined || (known.kind === undefined && equal(known, size))) return this.size(own, size);
    }
  }

  /** Adds a function beside the entry point, before those that call it. */
  declare(text: string): void {
    this.#functions.add(text);
  }

  /** Declares the block of hyperparameters, fields in the order of the plan. */
  hyper(fields: readonly string[]): void {
    this.#hyper = fields;
  }

  /**
   * The text of the function `all_<name>(thread, x)`, which folds over the threads of a workgroup in a tree of fixed shape, one
   * number of each or a pair at once. The kernel gets a form that goes by subgroups, with the same bits.
   */
  fold(name: string, threads: number, step: FoldStep, type: Folded = "f32"): string {
    const tree = foldFunction(name, threads, step, type);
    this.#folds.push({ tree, lanes: subgroupFold(name, threads, step, type) });
    return tree;
  }

  /** Adds a form of the kernel: `code` has the entry point, over the same bindings; it reads f16 of those in `wide` by `vec4<u32>`, eight at once. */
  form(needs: FormNeeds, code: string, wide: readonly string[] = []): void {
    this.#forms.push({ needs, code, wide });
  }

  #bind(name: string, bound: Bound, writes: boolean, lanes: 1 | 4): Binding {
    const known = this.#bindings.find((b) => isSame(b.bound, bound));
    if (known !== undefined) {
      known.writes ||= writes;
      return known;
    }
    const made = { bound, name, lanes, writes };
    this.#bindings.push(made);
    return made;
  }

  /** The kernel's text around `code`, which has the entry point, and the dispatch. */
  finish(code: string, groups: Groups, origin: Span | undefined, shape: string): Draft {
    const written = new Set(this.#bindings.filter((b) => b.writes).map((b) => arenaOf(b.bound)));
    const access = (b: Binding): boolean => b.writes || written.has(arenaOf(b.bound));
    const fields = [...this.#sizes.keys()];
    const functions = [...this.#functions];
    const helpers = helpersFor([...functions, code].join("\n"));
    const half = this.#bindings.some((b) => dtypeOf(b.bound) === "f16") ? ["enable f16;"] : [];
    const around = (enables: readonly string[], text: string, wide: readonly string[] = []): string => `${[...enables, ...declarations(wide), `\n${text.trim()}`].join("\n")}\n`;
    const declarations = (wide: readonly string[]): string[] => [
      `struct Sizes { ${(fields.length === 0 ? ["none"] : fields).map((f) => `${f}: u32`).join(", ")} }`,
      "@group(0) @binding(0) var<uniform> p: Sizes;",
      ...this.#bindings.map((b, i) => `@group(0) @binding(${i + 1}) var<storage, ${access(b) ? "read_write" : "read"}> ${b.name}: array<${wide.includes(b.name) ? "vec4<u32>" : elementOf(b)}>;`),
      ...(this.#hyper === undefined ? [] : [
        `struct Hyper { ${this.#hyper.map((f) => `${f}: f32`).join(", ")} }`,
        `@group(0) @binding(${this.#bindings.length + 1}) var<uniform> h: Hyper;`,
      ]),
      ...helpers.map((name) => `\n${library[name] ?? ""}`),
      ...functions.map((text) => `\n${text}`),
    ];
    const forms = [
      ...this.#forms.map(({ needs, code: other, wide }): Form => ({ needs, text: around([...(needs === "subgroups" ? half : []), ...enablesOf(needs)], other, wide) })),
      ...(this.#folds.length === 0 ? [] : [{ needs: "subgroups", text: around([...half, ...enablesOf("subgroups")], bySubgroups(code, this.#folds)) } satisfies Form]),
    ];
    return {
      name: this.name, doc: this.#doc, text: around(half, code), forms, binds: this.#bindings.map((b) => b.bound), writes: this.#bindings.map(access),
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

function dtypeOf(b: Bound): Storage {
  return b.dtype ?? "f32";
}

/** Bytes of one element. */
export function elementBytes(dtype: Storage | undefined): number {
  return dtype === "f16" ? 2 : 4;
}

function elementOf({ bound, lanes }: Binding): string {
  return lanes === 4 ? `vec4<${dtypeOf(bound)}>` : dtypeOf(bound);
}

const lanesOf = [0, 1, 2, 3] as const;

/** `at` plus a lane. */
function plusLane(at: string, lane: number): string {
  return lane === 0 ? at : `${at} + ${lane}u`;
}

function readerOf(b: Binding): StoredReader {
  const half = dtypeOf(b.bound) === "f16";
  const stored = (at: string): string => (b.lanes === 4 ? `${b.name}[(${at}) / 4u][(${at}) % 4u]` : `${b.name}[${at}]`);
  const storedQuad = (at: string): string => (b.lanes === 4 ? `${b.name}[(${at}) / 4u]` : `vec4<${dtypeOf(b.bound)}>(${lanesOf.map((l) => stored(plusLane(at, l))).join(", ")})`);
  const scalar = (at: string): string => (half ? `f32(${stored(at)})` : stored(at));
  const quad = (at: string): string => {
    if (b.lanes !== 4) return `vec4<f32>(${lanesOf.map((l) => scalar(plusLane(at, l))).join(", ")})`;
    return half ? `vec4<f32>(${storedQuad(at)})` : storedQuad(at);
  };
  return Object.assign(scalar, { quad, stored, storedQuad, toString: uncalled });
}

function writerOf(b: Binding): Writer {
  const half = dtypeOf(b.bound) === "f16";
  const scalar = (at: string, value: string): string =>
    `${b.lanes === 4 ? `${b.name}[(${at}) / 4u][(${at}) % 4u]` : `${b.name}[${at}]`} = ${half ? `f16(${value})` : value};`;
  const quad = (at: string, value: string): string => {
    if (b.lanes !== 4) return `{ let four = ${value}; ${lanesOf.map((l) => scalar(plusLane(at, l), `four[${l}]`)).join(" ")} }`;
    return `${b.name}[(${at}) / 4u] = ${half ? `vec4<f16>(${value})` : value};`;
  };
  return Object.assign(scalar, { quad, toString: uncalled });
}

/** An accessor in a template without a place would become the text of a function. */
function uncalled(): never {
  throw new IrError("wgsl target: an accessor is called with a place.");
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

/** Library functions that a text calls, and those that they call. */
function helpersFor(code: string, known: string[] = []): string[] {
  for (const [name, helper] of Object.entries(library)) {
    if (known.includes(name) || !new RegExp(`(?<!fn )\\b${name}\\(`).test(code)) continue;
    helpersFor(helper, known);
    known.push(name);
  }
  return known;
}

function enablesOf(needs: FormNeeds): string[] {
  if (needs === "subgroups") return ["enable subgroups;"];
  return ["enable f16;", "enable subgroups;", "enable chromium_experimental_subgroup_matrix;", "diagnostic(off, chromium.subgroup_matrix_uniformity);"];
}

/** How two values are folded into one, as text. */
type FoldStep = (a: string, b: string) => string;

/** What each thread brings to a fold. */
type Folded = "f32" | "vec2<f32>";

interface TreeFold {
  readonly tree: string;
  readonly lanes: string;
}

/** The code with trees through workgroup memory replaced by ones through subgroups. */
function bySubgroups(code: string, folds: readonly TreeFold[]): string {
  const body = folds.reduce((text, f) => text.replace(f.tree, f.lanes), code);
  return `// Set for the device by the runtime: threads of a subgroup.
const SUBGROUP = 32u;
var<private> lane: u32;

${body.replace(/fn main\(([^]*?)\) \{\n/, (_, parameters: string) => `fn main(${parameters}, @builtin(subgroup_invocation_id) own_lane: u32) {\n  lane = own_lane;\n`)}`;
}

/**
 * The same fold through subgroups of any size that divides the workgroup: each subgroup folds what all have stored, the wide
 * steps of the tree in registers and the narrow ones between lanes, so the sum has the same shape and the same bits.
 */
function subgroupFold(name: string, threads: number, step: FoldStep, type: Folded): string {
  return `const PARTS_${name} = ${threads}u / SUBGROUP;
var<workgroup> lane_${name}: array<${type}, ${threads}>;

// ${name} over the workgroup, the same for every thread, every run and every size of a subgroup.
fn all_${name}(thread: u32, x: ${type}) -> ${type} {
  var part: array<${type}, PARTS_${name}>;
  part[0] = x;
  if (PARTS_${name} > 1u) {
    lane_${name}[thread] = x;
    workgroupBarrier();
    for (var i = 0u; i < PARTS_${name}; i++) { part[i] = lane_${name}[i * SUBGROUP + lane]; }
    workgroupBarrier();
  }
  for (var width = PARTS_${name} / 2u; width > 0u; width = width >> 1u) {
    for (var i = 0u; i < width; i++) { part[i] = ${step("part[i]", "part[i + width]")}; }
  }
  var result = part[0];
  for (var width = SUBGROUP / 2u; width > 0u; width = width >> 1u) {
    let other = subgroupShuffleXor(result, width);
    result = ${step("result", "other")};
  }
  return result;
}`;
}

/** A sum (or maximum) over the threads of a workgroup, in a tree of fixed shape. */
export function foldFunction(name: string, threads: number, step: FoldStep, type: Folded = "f32"): string {
  return `var<workgroup> lane_${name}: array<${type}, ${threads}>;

/// ${name} over the workgroup, the same for every thread and every run.
fn all_${name}(thread: u32, x: ${type}) -> ${type} {
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

/** Whether a size is a multiple of 4, whatever its symbols are. */
export function isBy4(d: Dim): boolean {
  return isBy(4, d);
}

/** Whether a size is a multiple of a number, whatever its symbols are. */
export function isBy(n: number, d: Dim): boolean {
  return d.terms.every((t) => t.coefficient % n === 0);
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
