/**
 * The mask samplers: from specs and a step to index rows.
 *
 * Owns the published I-JEPA multi-block sampler, quirks included (reference: I-JEPA facts, 2.1): sizes shared by the batch
 * and drawn from PyTorch's generator seeded with the batch counter, one uniform for area and aspect, a position bound that
 * misses the last row and column, twenty tries before the last complement is given up, rows cut to the batch minimum at
 * their tail. `corrected` repairs these one by one; `random`, `rasterized` and `all` serve the ablations. A draw is a pure
 * function of (specs, seed, step, batch): positions come from one stream per image, so workers and resuming change nothing.
 * On a grid with frames blocks and quadrants go through all of them, and random positions are drawn among all.
 * Where rows are cut within groups of more images than the batch has, the images that it lacks are drawn, and thrown away.
 */
import type { MaskBatch, MaskSpec } from "../abi.js";
import { HostError } from "../base/errors.js";
import { positionsOf } from "../base/grid.js";
import { Mt19937 } from "../base/mt19937.js";
import { stream, type Stream } from "../base/random.js";
import { drawOrder, randomCount, shapeObjections } from "./bounds.js";
import { joinGroups } from "./groups.js";
import { correctedSize, isAcceptable, publishedSize, type BlockSize } from "./law.js";

/** Which batch to draw for: `step` is the 0-based batch counter (`hyper.step − 1`). */
export interface MaskKey {
  readonly seed: number;
  readonly step: number;
  readonly batch: number;
}

/** Index rows, and how many images only found a place by giving up a mask that should have been taken out. */
export interface MaskDraw extends MaskBatch {
  readonly relaxed: number;
}

const TRIES = 20;
const REDRAWS = 1000;
/** A position that no mask covers. */
const FREE = 32767;

interface Job {
  readonly spec: MaskSpec;
  readonly place: number;
  readonly key: MaskKey;
  readonly drawn: ReadonlyMap<string, readonly (readonly Int32Array[])[]>;
}

/** By image: the row of each set, before trimming; and whether a mask was given up for it. */
interface Rows {
  readonly rows: Int32Array[][];
  readonly relaxed: readonly boolean[];
}

const accepted = new WeakSet<readonly MaskSpec[]>();

function refuse(message: string): HostError {
  return new HostError("bad-mask", message, "lower min_keep, make the blocks larger, use a finer grid (smaller patches), or choose sampler \"corrected\"");
}

function checkOnce(specs: readonly MaskSpec[]): void {
  if (accepted.has(specs)) return;
  const first = shapeObjections(specs)[0];
  if (first !== undefined) throw refuse(first);
  accepted.add(specs);
}

/** The size of this batch's blocks. Throws when a published size can never be accepted: there the release hangs. */
function batchSize(job: Job, generator: Mt19937): BlockSize {
  const { spec, key, place } = job;
  if (spec.sampler === "published") {
    const size = publishedSize(spec, generator.uniform24());
    if (isAcceptable(spec, size)) return size;
    throw hangs(job, size);
  }
  const sizes = stream(key.seed, `mask-size ${place}`, key.step);
  let size: BlockSize = { height: 0, width: 0 };
  for (let i = 0; i < REDRAWS; i++) {
    size = correctedSize(spec, sizes.uniform(), sizes.uniform());
    if (isAcceptable(spec, size)) return size;
  }
  throw hangs(job, size);
}

function hangs({ spec, key }: Job, size: BlockSize): HostError {
  return refuse(
    `mask '${spec.name}' at step ${key.step + 1}: a block of ${size.height} × ${size.width} on the ${spec.grid.rows} × ${spec.grid.cols} grid never has more than min_keep = ${spec.minKeep} positions, so no place for it would ever be accepted`,
  );
}

/**
 * By position, the place in the list of removed sets of the first that covers it, or FREE. With the last sets given up,
 * a position is allowed when its number is at least how many are still in force.
 */
function coverage({ spec, drawn }: Job, image: number): { first: Int16Array; sets: number } {
  const first = new Int16Array(positionsOf(spec.grid)).fill(FREE);
  let sets = 0;
  if (spec.allowOverlap) return { first, sets };
  for (const name of spec.minus) {
    for (const row of drawn.get(name)?.[image] ?? []) {
      for (const at of row) if (first[at] === FREE) first[at] = sets;
      sets++;
    }
  }
  return { first, sets };
}

/** What is free of a block at a place of the plane, through all frames. */
function blockRegion({ grid: { rows, cols, frames = 1 } }: MaskSpec, size: BlockSize, top: number, left: number, first: Int16Array, inForce: number): Int32Array {
  const region = new Int32Array(frames * size.height * size.width);
  let n = 0;
  for (let frame = 0; frame < frames; frame++) {
    for (let r = top; r < top + size.height; r++) {
      for (let c = left; c < left + size.width; c++) {
        const at = (frame * rows + r) * cols + c;
        if ((first[at] ?? FREE) >= inForce) region[n++] = at;
      }
    }
  }
  return region.subarray(0, n);
}

/** More positions than these a block must have left: of every frame so many, on average. */
function least({ grid: { frames = 1 }, minKeep }: MaskSpec): number {
  return minKeep * frames;
}

/** Places one block: the published rule gives up the last complement after every twenty failures. */
function placePublished(spec: MaskSpec, size: BlockSize, first: Int16Array, sets: number, draws: Stream): { region: Int32Array; relaxed: boolean } {
  for (let inForce = sets; ; inForce--) {
    for (let i = 0; i < TRIES; i++) {
      // Across a line of positions there is one place.
      const [tops, lefts] = [Math.max(1, spec.grid.rows - size.height), Math.max(1, spec.grid.cols - size.width)];
      const region = blockRegion(spec, size, draws.int(tops), draws.int(lefts), first, inForce);
      if (region.length > least(spec)) return { region, relaxed: inForce < sets };
    }
    if (inForce === 0) throw refuse(`mask '${spec.name}' found no place for a block of ${size.height} × ${size.width}`);
  }
}

/** Places one block without ever overlapping: after twenty tries, the best of all places is taken. */
function placeCorrected(spec: MaskSpec, size: BlockSize, first: Int16Array, sets: number, draws: Stream): Int32Array {
  const tops = spec.grid.rows - size.height + 1;
  const lefts = spec.grid.cols - size.width + 1;
  for (let i = 0; i < TRIES; i++) {
    const region = blockRegion(spec, size, draws.int(tops), draws.int(lefts), first, sets);
    if (region.length > least(spec)) return region;
  }
  let best: Int32Array = new Int32Array(0);
  for (let top = 0; top < tops; top++) {
    for (let left = 0; left < lefts; left++) {
      const region = blockRegion(spec, size, top, left, first, sets);
      if (region.length > best.length) best = region;
    }
  }
  if (best.length === 0) throw refuse(`mask '${spec.name}': the masks taken out of it cover every place of a ${size.height} × ${size.width} block`);
  return best;
}

function blockRows(job: Job, generator: Mt19937, streams: readonly Stream[]): Rows {
  const { spec } = job;
  const size = batchSize(job, generator);
  const relaxed: boolean[] = [];
  const rows = streams.map((draws, image) => {
    const { first, sets } = coverage(job, image);
    let gaveUp = false;
    const list: Int32Array[] = [];
    for (let m = 0; m < spec.count; m++) {
      if (spec.sampler === "corrected") {
        list.push(placeCorrected(spec, size, first, sets, draws));
        continue;
      }
      const placed = placePublished(spec, size, first, sets, draws);
      gaveUp ||= placed.relaxed;
      list.push(placed.region);
    }
    relaxed.push(gaveUp);
    return list;
  });
  return { rows, relaxed };
}

/** Keeps the candidates that are not covered; gives up the last removed sets while nothing would be left. */
function uncovered(candidates: Int32Array, first: Int16Array, sets: number): { row: Int32Array; relaxed: boolean } {
  for (let inForce = sets; inForce >= 0; inForce--) {
    const row = candidates.filter((at) => (first[at] ?? FREE) >= inForce);
    if (row.length > 0) return { row, relaxed: inForce < sets };
  }
  return { row: new Int32Array(0), relaxed: sets > 0 };
}

function everyPosition(spec: MaskSpec): Int32Array {
  return Int32Array.from({ length: positionsOf(spec.grid) }, (_, at) => at);
}

/** Positions of quadrant 0..3 (raster order of quadrants) in all frames; the middle row and column of odd grids go to the later one. */
function quadrant(spec: MaskSpec, which: number): Int32Array {
  const top = Math.floor(spec.grid.rows / 2);
  const left = Math.floor(spec.grid.cols / 2);
  return everyPosition(spec).filter((at) => {
    const below = Math.floor(at / spec.grid.cols) % spec.grid.rows >= top ? 2 : 0;
    const right = at % spec.grid.cols >= left ? 1 : 0;
    return below + right === which;
  });
}

function freeRows(job: Job, streams: readonly Stream[], pick: (first: Int16Array, sets: number, draws: Stream) => { row: Int32Array; relaxed: boolean }[]): Rows {
  const relaxed: boolean[] = [];
  const rows = streams.map((draws, image) => {
    const { first, sets } = coverage(job, image);
    const picked = pick(first, sets, draws);
    relaxed.push(picked.some((one) => one.relaxed));
    return picked.map((one) => one.row);
  });
  return { rows, relaxed };
}

/** `random` selects the hidden share: all but `trunc(N(1 − r))` of the positions not covered, one ratio for the batch. */
function randomRows(job: Job, generator: Mt19937, streams: readonly Stream[]): Rows {
  const { spec, key, place } = job;
  const u = spec.sampler === "published" ? generator.uniform24() : stream(key.seed, `mask-size ${place}`, key.step).uniform();
  const wanted = randomCount(spec, spec.ratio[0] + u * (spec.ratio[1] - spec.ratio[0]));
  return freeRows(job, streams, (first, sets, draws) =>
    Array.from({ length: spec.count }, () => {
      const { row, relaxed } = uncovered(everyPosition(spec), first, sets);
      draws.shuffle(row);
      return { row: row.slice(0, wanted).sort(), relaxed };
    }),
  );
}

/** `count` different quadrants per image, in raster order; with `all` less these, three make the fourth the context. */
function rasterizedRows(job: Job, streams: readonly Stream[]): Rows {
  const { spec } = job;
  return freeRows(job, streams, (first, sets, draws) => {
    const chosen = draws.permutation(4).slice(0, spec.count).sort();
    return Array.from(chosen, (which) => uncovered(quadrant(spec, which), first, sets));
  });
}

function drawRows(job: Job, generator: Mt19937, streams: readonly Stream[]): Rows {
  const { spec } = job;
  switch (spec.kind) {
    case "block":
      return blockRows(job, generator, streams);
    case "random":
      return randomRows(job, generator, streams);
    case "rasterized":
      return rasterizedRows(job, streams);
    case "all":
    case "complement":
      return freeRows(job, streams, (first, sets) => Array.from({ length: spec.count }, () => uncovered(everyPosition(spec), first, sets)));
  }
}

/** `length` members of an ascending row, ascending. */
function thin(row: Int32Array, length: number, draws: Stream): Int32Array {
  if (row.length === length) return row;
  const kept = draws.permutation(row.length).slice(0, length).sort();
  return kept.map((at) => row[at] ?? 0);
}

/** The first `batch` images' rows, each cut to the shortest of its group, or of all. */
function layOut(spec: MaskSpec, { rows, relaxed }: Rows, streams: readonly Stream[], batch: number): MaskDraw {
  const size = spec.trimGroup ?? batch;
  const groups = Array.from({ length: Math.max(1, batch / size) }, (_, g) => cutRows(spec, rows, streams, g * size, Math.min(size, batch), size));
  return { ...joinGroups(groups), relaxed: relaxed.slice(0, batch).filter(Boolean).length };
}

/** Rows of `images` images from `first` on, cut to the shortest of as many as `over` says, and laid out set-major. */
function cutRows(spec: MaskSpec, rows: readonly (readonly Int32Array[])[], streams: readonly Stream[], first: number, images: number, over: number): MaskBatch {
  let length = Infinity;
  for (const list of rows.slice(first, first + over)) for (const row of list) length = Math.min(length, row.length);
  if (!(length > 0 && length < Infinity)) throw refuse(`mask '${spec.name}' has no position left`);
  const indices = new Int32Array(spec.count * images * length);
  rows.slice(first, first + images).forEach((list, image) => {
    const draws = streams[first + image];
    list.forEach((row, m) => {
      const cut = spec.trim === "tail" || draws === undefined ? row.subarray(0, length) : thin(row, length, draws);
      indices.set(cut, (m * images + image) * length);
    });
  });
  return { count: spec.count, length, indices };
}

/**
 * Draws every mask of a step. Rows hold ascending raster positions; row `m·B + b` is set `m` of image `b`. Published sizes
 * depend on the step alone (as in the release), everything else on (seed, step, image). `minKeep` binds blocks only.
 * Throws `HostError` "bad-mask", naming mask, grid, size and min_keep, when a mask cannot be drawn; never loops for ever.
 */
export function sampleMasks(specs: readonly MaskSpec[], key: MaskKey): Map<string, MaskDraw> {
  checkOnce(specs);
  if (!Number.isInteger(key.batch) || key.batch < 1) throw new HostError("bad-mask", `masks are drawn for at least one image, not ${key.batch}`, "give a batch that is a whole number from 1");
  const cut = specs.find(({ trimGroup = key.batch }) => trimGroup < key.batch && key.batch % trimGroup !== 0);
  if (cut !== undefined) throw new HostError("bad-mask", `the rows of mask '${cut.name}' are cut within groups of ${cut.trimGroup} images, and a batch of ${key.batch} has no whole number of them`, `take a multiple of ${cut.trimGroup} as the batch, or fewer`);
  const images = Math.max(key.batch, ...specs.map(({ trimGroup = 1 }) => trimGroup));
  const generator = new Mt19937(key.step);
  const drawn = new Map<string, readonly (readonly Int32Array[])[]>();
  const result = new Map<string, MaskDraw>();
  for (const spec of drawOrder(specs)) {
    const place = specs.indexOf(spec);
    const job: Job = { spec, place, key, drawn };
    const streams = Array.from({ length: images }, (_, image) => stream(key.seed, `mask ${place}`, key.step, image));
    const rows = drawRows(job, generator, streams);
    drawn.set(spec.name, rows.rows);
    result.set(spec.name, layOut(spec, rows, streams, key.batch));
  }
  return result;
}
