/**
 * The live collapse signals: spread and effective rank of watched features over a short queue.
 *
 * Owns the queues (the last rows of every watch), the question which steps must hand features back, and the two numbers
 * that are made of them (collapse reference, 3.6; RankMe is taken over the last `4 · width` rows). Features are fetched
 * only on the few steps before a reading, because fetching stalls a device. The queues are part of a checkpoint, so that
 * a resumed run reads the same numbers. Judging the numbers is the monitors' business.
 */
import { own } from "../base/own.js";
import type { StepResult, Watch } from "../abi.js";
import { effectiveRank, embeddingStd } from "../base/linalg.js";

/** One reading of a watch. */
export interface WatchSignal {
  /** Spread of l2-normalized features times √width: 1 is isotropic, 0 is collapsed. */
  readonly std: number;
  /** RankMe of the centered features, at most `rows` and `width`. */
  readonly rank: number;
  /** Spread of pooled features over images by spread of the mean tokens over positions; only for encoders of tokens. */
  readonly imagesToTokens: number | undefined;
  /** Rows in the queue. */
  readonly rows: number;
  /** Entropy of the batch's mean code over its maximum `ln width`, the least of several; only where codes are watched. */
  readonly entropy: number | undefined;
}

/** The queues of all watches of a run. */
export interface Signals {
  /** Whether `step` (from 1) must hand features back. */
  wants(step: number): boolean;
  /** Whether a reading is due after `step`. */
  due(step: number): boolean;
  /** Adds the features of a step. */
  push(watch: StepResult["watch"]): void;
  /** The signals over the last features, by watch. */
  read(): Readonly<Record<string, WatchSignal>>;
  /** The queues by watch name, oldest row first. */
  exportState(): Map<string, Float32Array>;
  /** Goes on from an exported state. */
  importState(state: ReadonlyMap<string, Float32Array>): void;
}

/** Longest queue in rows: the rank of wider features is read off this many, which keeps a reading under a second. */
const MOST_ROWS = 512;

/** Signals over `watches`, read every `every` steps and at the last step, `total`. */
export function createSignals(watches: readonly Watch[], batch: number, every: number, total: number): Signals {
  const pooled = watches.filter((watch) => watch.over === "images");
  const queues = new Map(pooled.map((watch) => [watch.name, createQueue(watch.width)]));
  const span = Math.max(0, ...pooled.map((watch) => Math.ceil(capacityOf(watch.width) / batch)));
  const ratios = new Map<string, number>();
  const entropies = new Map<string, number>();
  const due = (step: number): boolean => step % every === 0 || step === total;
  return {
    due: (step) => watches.length > 0 && due(step),
    wants: (step) => Math.min(total, Math.ceil(step / every) * every) - step < span,
    push(watch) {
      for (const { name } of pooled) {
        const rows = own(watch, name);
        if (rows !== undefined) queues.get(name)?.push(rows);
      }
      const codes: [string, number][] = [];
      for (const { name, width, over, of } of watches) {
        const [images, means] = [of === undefined ? undefined : own(watch, of), own(watch, name)];
        if (of === undefined || images === undefined || means === undefined) continue;
        if (over === "codes") codes.push([of, codeEntropy(means)]);
        // One image has no spread, whatever its tokens have.
        else if (images.length > width) ratios.set(of, rowSpread(images, width) / rowSpread(means, width));
      }
      for (const [of] of codes) entropies.set(of, Math.min(...codes.flatMap(([name, entropy]) => (name === of ? [entropy] : []))));
    },
    read() {
      return Object.fromEntries(pooled.flatMap(({ name, width }): [string, WatchSignal][] => {
        const rows = queues.get(name)?.rows() ?? new Float32Array(0);
        const n = rows.length / width;
        if (n < 2) return [];
        const rank = effectiveRank(rows, n, width, { center: true });
        return [[name, { std: embeddingStd(rows, n, width), rank, imagesToTokens: ratios.get(name), rows: n, entropy: entropies.get(name) }]];
      }));
    },
    exportState: () => new Map([...queues].map(([name, queue]) => [name, queue.rows()])),
    importState(state) {
      for (const [name, queue] of queues) {
        const rows = state.get(name);
        if (rows !== undefined) queue.push(rows);
      }
    },
  };
}

/**
 * Spread over images by spread over tokens of `[batch, tokens, width]` rows, image-major: standard deviations over one
 * axis, averaged over the other. Near 0 when every image gives the same token at the same place (positional collapse).
 */
export function tokenRatio(rows: Float32Array, batch: number, width: number): number {
  const tokens = rows.length / (batch * width);
  const overImages = axisSpread(rows, tokens, width, batch, tokens * width);
  const overTokens = axisSpread(rows, batch, tokens * width, tokens, width);
  return overImages / overTokens;
}

/** Mean over features of the standard deviation over rows of `[n, width]`. */
function rowSpread(rows: Float32Array, width: number): number {
  return axisSpread(rows, 1, rows.length, rows.length / width, width);
}

/** Entropy of a code over the logarithm of its length: 0 is one code for all, 1 is all codes equally often. */
export function codeEntropy(code: Float32Array): number {
  const total = code.reduce((sum, p) => sum + p, 0);
  let entropy = 0;
  for (const p of code) if (p > 0) entropy -= (p / total) * Math.log(p / total);
  return code.length > 1 ? entropy / Math.log(code.length) : 1;
}

interface Queue {
  push(rows: Float32Array): void;
  rows(): Float32Array;
}

function createQueue(width: number): Queue {
  let held = new Float32Array(0);
  const capacity = capacityOf(width) * width;
  return {
    push(rows) {
      const fresh = thinned(rows, width, capacity / width);
      const keep = Math.min(held.length, capacity - fresh.length);
      const next = new Float32Array(keep + fresh.length);
      next.set(held.subarray(held.length - keep));
      next.set(fresh, keep);
      held = next;
    },
    rows: () => held.slice(),
  };
}

function capacityOf(width: number): number {
  return Math.min(MOST_ROWS, 4 * width);
}

/** Every k-th row, so that at most `most` are left: a step over tokens hands back more rows than a queue holds. */
function thinned(rows: Float32Array, width: number, most: number): Float32Array {
  const n = rows.length / width;
  if (n <= most) return rows;
  const out = new Float32Array(most * width);
  for (let i = 0; i < most; i++) {
    const from = Math.floor((i * n) / most) * width;
    out.set(rows.subarray(from, from + width), i * width);
  }
  return out;
}

/** Mean standard deviation along an axis of length `n` and stride `step`; the other axis has `outer` places. */
function axisSpread(rows: Float32Array, outer: number, outerStep: number, n: number, step: number): number {
  const width = Math.min(step, outerStep);
  let total = 0;
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < width; j++) {
      let sum = 0;
      let squares = 0;
      for (let i = 0; i < n; i++) {
        const value = rows[o * outerStep + i * step + j] ?? 0;
        sum += value;
        squares += value * value;
      }
      total += Math.sqrt(Math.max(0, squares / n - (sum / n) ** 2));
    }
  }
  return total / (outer * width);
}
