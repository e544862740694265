/**
 * Shapes of a matrix product's tiles: which there are, which are legal, and which one is taken without measuring.
 *
 * A workgroup makes `bm` x `bn` results from slices of `bk` along k; a thread makes `tm` x `tn` of them. The choice here goes by
 * shape alone: large tiles where there are enough of them to keep a device busy, else small ones. Where a processor stands in
 * for a GPU it is one small tile that is read without workgroup memory. Whoever has measured on a device passes another choice
 * (`Limits.tile`). The kernels are in `gemm.ts` and `direct.ts`.
 */
import type { Storage } from "../graph.js";

/** A tile of a register-blocked product. */
export interface Tile {
  readonly bm: number;
  readonly bn: number;
  /** 0 where operands are read where they lie instead of in slices through workgroup memory. */
  readonly bk: number;
  readonly tm: number;
  readonly tn: number;
}

/** A tile, and for a weight gradient the number of parts that its k is cut into, where it was measured. */
export interface ChosenTile extends Tile {
  readonly parts?: number;
}

/** How a product is computed: f32 values, f16 values widened to f32, or f16 through subgroup matrices where there are any. */
export type GemmKind = "f32" | "f16" | "f16-matrix";

/** What is known of a product when its tile is chosen; sizes are upper bounds. */
export interface GemmShape {
  readonly form: "nn" | "nt" | "tn" | "tt";
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  readonly kind: GemmKind;
}

/** What a device gives to a workgroup; the portable profile is WebGPU's own minimum. */
export interface TileProfile {
  readonly threads: number;
  readonly memory: number;
}

/** WebGPU's limits without asking for more. */
const portableProfile: TileProfile = { threads: 256, memory: 16384 };

/** Workgroups below which a device of many processors stands idle. */
const ENOUGH_GROUPS = 128;

/** Threads of a workgroup. */
export function threadsOf(t: Tile): number {
  return (t.bm / t.tm) * (t.bn / t.tn);
}

/** Blocks of 4 x 4 in a slice of each operand: what a thread moves at once. */
export function blocksOf(t: Tile): { readonly a: number; readonly b: number } {
  return { a: t.bm * t.bk / 16, b: t.bn * t.bk / 16 };
}

/** Bytes of workgroup memory. */
function memoryOf(t: Tile): number {
  return 4 * t.bk * (t.bm + t.bn);
}

/** Whether operands are read where they lie (`direct.ts`). */
export function isDirect(t: Tile): boolean {
  return t.bk === 0;
}

/** Whether a tile is one that the generator can write for a device. */
export function isLegal(t: Tile, profile: TileProfile = portableProfile): boolean {
  const threads = threadsOf(t);
  const whole = [t.tm, t.tn].every((x) => x % 4 === 0 && x > 0) && t.bk % 4 === 0 && t.bk >= 0 && t.bm % t.tm === 0 && t.bn % t.tn === 0;
  const { a, b } = blocksOf(t);
  const shared = a + b <= threads || [a, b].every((blocks) => blocks % threads === 0 || blocks < threads);
  return whole && shared && threads >= 32 && threads <= profile.threads && memoryOf(t) <= profile.memory;
}

/** Parts that the k of a weight gradient is cut into at the most: below 64 steps a part is not worth its sum. */
export function mostParts(k: number): number {
  return Math.min(64, Math.max(1, Math.floor(k / 64)));
}

const shapes: readonly Tile[] = [
  { bm: 128, bn: 128, bk: 16, tm: 16, tn: 8 },
  { bm: 128, bn: 128, bk: 16, tm: 8, tn: 16 },
  { bm: 128, bn: 64, bk: 16, tm: 16, tn: 8 },
  { bm: 64, bn: 64, bk: 16, tm: 8, tn: 8 },
  { bm: 128, bn: 128, bk: 16, tm: 8, tn: 8 },
  { bm: 64, bn: 128, bk: 16, tm: 8, tn: 8 },
  { bm: 128, bn: 64, bk: 16, tm: 8, tn: 8 },
  { bm: 64, bn: 64, bk: 16, tm: 8, tn: 4 },
  { bm: 64, bn: 64, bk: 16, tm: 4, tn: 4 },
  { bm: 64, bn: 32, bk: 16, tm: 4, tn: 4 },
  { bm: 32, bn: 32, bk: 16, tm: 4, tn: 4 },
];

/** Tiles of software drivers: without workgroup memory they run several times as fast there as the others, and compile faster. */
const softwareTile: Tile = { bm: 32, bn: 32, bk: 0, tm: 8, tn: 4 };
/** For operands that are read one by one: each read is text that is compiled. */
const oddTile: Tile = { bm: 32, bn: 32, bk: 0, tm: 4, tn: 4 };

/** What may be faster there for a product. */
const softwareShapes: readonly Tile[] = [
  { bm: 64, bn: 16, bk: 0, tm: 8, tn: 4 },
  { bm: 64, bn: 32, bk: 0, tm: 16, tn: 4 },
  softwareTile,
  oddTile,
  { bm: 32, bn: 32, bk: 4, tm: 4, tn: 4 },
];

/** Whether a subgroup can make a quarter of the tile from whole matrices of up to 16 x 16. */
export function holdsMatrices({ bm, bn, bk }: Tile): boolean {
  return bm % 32 === 0 && bn % 32 === 0 && bk % 16 === 0 && bk > 0;
}

/** Legal tiles for a product, best guess first: what an autotuner measures. `software` and `ample` as in `defaultTile`. */
export function tileCandidates(shape: GemmShape, software = false, ample = false, profile: TileProfile = portableProfile): Tile[] {
  const first = defaultTile(shape, software, ample);
  const useful = (t: Tile): boolean => (t.bm <= Math.max(64, 2 * shape.m) && t.bn <= Math.max(64, 2 * shape.n));
  const matrices = shape.kind === "f16-matrix" && !software;
  const all = [first, ...[...(software ? softwareShapes : []), ...shapes].filter((t) => !isSame(t, first))].filter((t) => isLegal(t, profile) && useful(t) && (!matrices || holdsMatrices(t)));
  // By matrices a tile is its sides: what a thread makes of it is the form's own affair.
  return matrices ? all.filter((t, i) => all.findIndex((o) => o.bm === t.bm && o.bn === t.bn) === i) : all;
}

function isSame(a: Tile, b: Tile): boolean {
  return a.bm === b.bm && a.bn === b.bn && a.bk === b.bk && a.tm === b.tm && a.tn === b.tn;
}

/** The tile that is taken without measuring; `software` says that a processor stands in for a GPU, `ample` that threads have some 250 registers each. */
export function defaultTile({ form, m, n, k, batch, kind }: GemmShape, software = false, ample = false): Tile {
  const rows = [form.startsWith("t") ? m : k, form.endsWith("t") ? k : n];
  if (software) return rows.every((x) => x % 4 === 0) ? softwareTile : oddTile;
  // A weight gradient's k is cut into parts where its tiles are few (`gemm.ts`).
  const parts = form === "tn" && batch === 1 ? Math.max(1, Math.floor(k / 512)) : 1;
  const enough = (bm: number, bn: number): boolean => m >= bm && n >= bn && batch * Math.ceil(m / bm) * Math.ceil(n / bn) * parts >= ENOUGH_GROUPS;
  if (enough(128, 128)) return { bm: 128, bn: 128, bk: 16, tm: ample && kind === "f32" ? 16 : 8, tn: 8 };
  if (kind === "f16-matrix" && enough(128, 64)) return { bm: 128, bn: 64, bk: 16, tm: 8, tn: 8 };
  if (enough(64, 64)) return { bm: 64, bn: 64, bk: 16, tm: 8, tn: 8 };
  return { bm: 64, bn: 64, bk: 16, tm: 4, tn: 4 };
}

/** The kind of a product of two tensors. */
export function kindOf(a: Storage, b: Storage, matrices: boolean): GemmKind {
  if (a === "f16" && b === "f16") return matrices ? "f16-matrix" : "f16";
  return a === "f16" || b === "f16" ? "f16" : "f32";
}
