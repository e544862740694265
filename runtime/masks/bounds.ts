/**
 * What is known of masks before any is drawn: their order, objections to them, and bounds on their lengths.
 *
 * Owns the static analysis: which specs cannot be drawn at all (and why, in words), in which order masks that are taken
 * out of each other must be drawn, and the smallest and largest index count K a step can see. The memory plan rests on
 * the upper bound, so it must hold for every batch; it is kept tight by what must overlap (two blocks that together are
 * longer than the grid share rows). Pure arithmetic, no randomness.
 */
import type { MaskSpec } from "../abi.js";
import { positionsOf } from "../base/grid.js";
import { isAcceptable, sizeLaw, type BlockSize, type SizeLaw } from "./law.js";

/** Inclusive bounds on the number of positions in one row of a mask. */
export interface MaskBounds {
  readonly min: number;
  readonly max: number;
}

/** Grids beyond this many positions are refused. */
const MAX_POSITIONS = 65536;

function cells(spec: MaskSpec): number {
  return positionsOf(spec.grid);
}

/** Frames that a place of the plane goes through. */
function depth({ grid }: MaskSpec): number {
  return grid.frames ?? 1;
}

function isRange(range: readonly [number, number], low: number, high: number): boolean {
  return Number.isFinite(range[0]) && Number.isFinite(range[1]) && range[0] >= low && range[0] <= range[1] && range[1] <= high;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0.1 ? 0 : 1)} %`;
}

/** Objections to one spec by itself. */
function ownObjections(spec: MaskSpec): string[] {
  const { rows, cols, frames = 1 } = spec.grid;
  const size = `${spec.grid.frames === undefined ? "" : `${frames} × `}${rows} × ${cols}`;
  const where = `mask '${spec.name}'`;
  if (![rows, cols, frames].every((side) => Number.isInteger(side) && side > 0)) return [`${where}: the grid ${size} is not made of whole positions`];
  if (cells(spec) > MAX_POSITIONS) return [`${where}: a grid of ${size} has more than ${MAX_POSITIONS} positions`];
  const found: string[] = [];
  if (!Number.isInteger(spec.count) || spec.count < 1 || spec.count > 1024) found.push(`${where}: a count is a whole number in 1..1024, not ${spec.count}`);
  if (!Number.isInteger(spec.minKeep) || spec.minKeep < 0) found.push(`${where}: min_keep is a whole number from 0, not ${spec.minKeep}`);
  if (spec.trimGroup !== undefined && (!Number.isInteger(spec.trimGroup) || spec.trimGroup < 1)) found.push(`${where}: trim_group is a whole number from 1, not ${spec.trimGroup}`);
  if (spec.kind === "random" && !isRange(spec.ratio, 0, 1)) found.push(`${where}: a ratio lies in 0..1, not ${spec.ratio.join("..")}`);
  if (spec.kind === "rasterized" && spec.count > 4) found.push(`${where}: a grid has four quadrants, ${spec.count} cannot be drawn`);
  if (spec.kind === "rasterized" && (rows < 2 || cols < 2)) found.push(`${where}: a grid of ${rows} × ${cols} has no quadrants`);
  if (spec.kind === "block") {
    if (!isRange(spec.scale, 0, 1)) found.push(`${where}: a scale lies in 0..1, low to high, not ${spec.scale.join("..")}`);
    if (!isRange(spec.aspect, Number.MIN_VALUE, 1e6)) found.push(`${where}: an aspect is positive, low to high, not ${spec.aspect.join("..")}`);
  }
  if (spec.kind === "random" && found.length === 0 && randomCount(spec, spec.ratio[0]) === 0) found.push(`${where}: a ratio of ${spec.ratio[0]} selects no position of ${size}`);
  return found;
}

function hangObjection(spec: MaskSpec): string[] {
  if (spec.kind !== "block") return [];
  const where = `mask '${spec.name}'`;
  const law = sizeLaw(spec);
  if (law.hangs === 0) return [];
  const worst = law.sizes.find((size) => !isAcceptable(spec, size));
  const size = worst === undefined ? "" : `, such as ${worst.height} × ${worst.width}`;
  return [
    `${where}: in ${percent(law.hangs)} of batches no block on the ${spec.grid.rows} × ${spec.grid.cols} grid has more than min_keep = ${spec.minKeep} positions${size}, and the sampler would never end`,
  ];
}

/** Positions that a `random` mask selects at a ratio: all but `trunc(N(1 − r))` (I-JEPA facts, 2.5). */
export function randomCount(spec: MaskSpec, ratio: number): number {
  return cells(spec) - Math.trunc(cells(spec) * (1 - ratio));
}

/**
 * Masks in the order in which they are drawn: those taken out of others first, else as declared. Unknown names and cycles
 * are skipped here and reported by `maskObjections`.
 */
export function drawOrder(specs: readonly MaskSpec[]): readonly MaskSpec[] {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const done = new Set<string>();
  const open = new Set<string>();
  const order: MaskSpec[] = [];
  const visit = (spec: MaskSpec): void => {
    if (done.has(spec.name) || open.has(spec.name)) return;
    open.add(spec.name);
    for (const name of spec.minus) {
      const other = byName.get(name);
      if (other !== undefined) visit(other);
    }
    open.delete(spec.name);
    done.add(spec.name);
    order.push(spec);
  };
  specs.forEach(visit);
  return order;
}

function reaches(from: string, to: string, byName: ReadonlyMap<string, MaskSpec>, seen = new Set<string>()): boolean {
  if (seen.has(from)) return false;
  seen.add(from);
  return (byName.get(from)?.minus ?? []).some((name) => name === to || reaches(name, to, byName, seen));
}

/** Objections to the specs themselves: ranges, names, cycles. Whether a well-formed sampler ends is not asked here. */
export function shapeObjections(specs: readonly MaskSpec[]): readonly string[] {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const found = specs.flatMap(ownObjections);
  if (byName.size !== specs.length) found.push("two masks have one name");
  for (const spec of specs) {
    for (const name of spec.minus) {
      const other = byName.get(name);
      if (other === undefined) found.push(`mask '${spec.name}': it is to be less '${name}', and there is no such mask`);
      else if (other.grid.rows !== spec.grid.rows || other.grid.cols !== spec.grid.cols || other.grid.frames !== spec.grid.frames) found.push(`mask '${spec.name}': '${name}' lies on another grid`);
    }
    if (reaches(spec.name, spec.name, byName)) found.push(`mask '${spec.name}': it is taken out of itself`);
  }
  return found;
}

/** Everything that keeps these masks from being drawn in some batch, in words; an empty list means that they always can be. */
export function maskObjections(specs: readonly MaskSpec[]): readonly string[] {
  const found = shapeObjections(specs);
  return found.length > 0 ? found : specs.flatMap(hangObjection);
}

/** What a mask covers over all its sets: bounds on one set and on the union. */
interface Cover {
  readonly one: MaskBounds;
  readonly union: MaskBounds;
}

function quadrantSizes(spec: MaskSpec): readonly number[] {
  const through = depth(spec);
  const top = Math.floor(spec.grid.rows / 2);
  const left = Math.floor(spec.grid.cols / 2);
  const heights = [top, spec.grid.rows - top];
  const widths = [left, spec.grid.cols - left];
  return heights.flatMap((h) => widths.map((w) => h * w * through)).sort((a, b) => a - b);
}

function coverOf(spec: MaskSpec, specs: readonly MaskSpec[]): Cover {
  const total = cells(spec);
  if (spec.kind === "rasterized" && spec.minus.length === 0) {
    const sizes = quadrantSizes(spec);
    const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
    return {
      one: { min: sizes[0] ?? 0, max: sizes.at(-1) ?? 0 },
      union: { min: sum(sizes.slice(0, spec.count)), max: sum(sizes.slice(-spec.count)) },
    };
  }
  const one = maskBounds(spec, specs);
  return { one, union: { min: one.min, max: Math.min(total, spec.count * one.max) } };
}

function acceptableSizes(spec: MaskSpec): { law: SizeLaw; sizes: readonly BlockSize[] } {
  const law = sizeLaw(spec);
  return { law, sizes: law.sizes.filter((size) => isAcceptable(spec, size)) };
}

/** Rows (or columns) that blocks of a sampler can touch: the published one never reaches the last. */
function usable(spec: MaskSpec, side: number): number {
  return spec.sampler === "published" && side > 1 ? side - 1 : side;
}

/** Positions that a block of each kind must share, whatever their places. */
function forcedOverlap(spec: MaskSpec, size: BlockSize, other: MaskSpec): number {
  if (other.kind !== "block" || other.minus.length > 0) return 0;
  const rows = Math.max(usable(spec, spec.grid.rows), usable(other, other.grid.rows));
  const cols = Math.max(usable(spec, spec.grid.cols), usable(other, other.grid.cols));
  const shared = acceptableSizes(other).sizes.map(
    (o) => Math.max(0, size.height + o.height - rows) * Math.max(0, size.width + o.width - cols),
  );
  return shared.length === 0 ? 0 : Math.min(...shared) * depth(spec);
}

function blockBounds(spec: MaskSpec, removed: readonly MaskSpec[], specs: readonly MaskSpec[]): MaskBounds {
  const { sizes } = acceptableSizes(spec);
  if (sizes.length === 0) return { min: 0, max: 0 };
  const areas = sizes.map((size) => size.height * size.width * depth(spec));
  const smallest = Math.min(...areas);
  if (removed.length === 0) return { min: smallest, max: Math.max(...areas) };
  const covers = removed.map((other) => coverOf(other, specs));
  const worst = smallest - covers.reduce((sum, cover) => sum + cover.union.max, 0);
  const keep = spec.minKeep * depth(spec);
  const floor = spec.sampler === "published" ? keep + 1 : 1;
  const relaxes = spec.sampler === "published" && worst <= keep;
  const max = Math.max(...sizes.map((size) => largestRest(spec, size, removed, covers, relaxes)));
  return { min: Math.min(Math.max(floor, worst), max), max };
}

/** The most a block keeps: all but what the masks taken out of it must cover; relaxation may give up all but the first. */
function largestRest(spec: MaskSpec, size: BlockSize, removed: readonly MaskSpec[], covers: readonly Cover[], relaxes: boolean): number {
  const area = size.height * size.width * depth(spec);
  const first = removed[0];
  if (!relaxes) return area - Math.max(...removed.map((other) => forcedOverlap(spec, size, other)));
  const firstMayGo = area - (covers[0]?.one.max ?? 0) <= spec.minKeep * depth(spec);
  return first === undefined || firstMayGo ? area : area - forcedOverlap(spec, size, first);
}

function restBounds(total: number, covers: readonly Cover[]): MaskBounds {
  const most = covers.reduce((sum, cover) => sum + cover.union.max, 0);
  const least = Math.max(0, ...covers.map((cover) => cover.union.min));
  if (most < total) return { min: total - most, max: total - least };
  const first = covers[0];
  const kept = first === undefined || first.one.max >= total ? total : total - first.one.min;
  return { min: 1, max: kept };
}

/**
 * Bounds on K, the positions in one row of `spec`, over every batch size, step and seed; after trimming too. `specs` holds
 * the masks that it is less. For specs without objections.
 */
export function maskBounds(spec: MaskSpec, specs: readonly MaskSpec[]): MaskBounds {
  const total = cells(spec);
  const names = spec.allowOverlap ? [] : spec.minus;
  const removed = names.flatMap((name) => specs.filter((other) => other.name === name && other !== spec));
  if (spec.kind === "block") return blockBounds(spec, removed, specs);
  const rest = removed.length === 0 ? { min: total, max: total } : restBounds(total, removed.map((other) => coverOf(other, specs)));
  switch (spec.kind) {
    case "all":
    case "complement":
      return rest;
    case "random":
      return { min: Math.min(randomCount(spec, spec.ratio[0]), rest.min), max: Math.min(randomCount(spec, spec.ratio[1]), rest.max) };
    case "rasterized": {
      const sizes = quadrantSizes(spec);
      return { min: removed.length === 0 ? (sizes[0] ?? 0) : 1, max: sizes.at(-1) ?? 0 };
    }
  }
}
