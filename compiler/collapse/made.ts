/**
 * Embeddings that are made up, for asking a term what it does to a constant (`own.ts`): rows of numbers, one for each of 16
 * images. Owns which there are: constants of many lengths and directions; values along a line; values whose features have mean
 * 0, the same variance and no correlation (columns of a Hadamard matrix), and values without any order, from a fixed sequence.
 */
import { features, images } from "./numbers.js";

/** Rows of features. */
export type Matrix = readonly (readonly number[])[];

const rows = (make: (row: number, feature: number) => number): Matrix => Array.from({ length: images }, (_, i) => Array.from({ length: features }, (_, j) => make(i, j)));

/** Column `j` of Sylvester's Hadamard matrix: ±1, without correlation with any other; all but the first have mean 0. */
const hadamard = (i: number, j: number): number => {
  let bits = i & j;
  let sign = 1;
  for (; bits > 0; bits >>= 1) if ((bits & 1) === 1) sign = -sign;
  return sign;
};

/** Numbers that look drawn from a normal distribution, and are the same each time. */
function noise(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

function drawn(seed: number): Matrix {
  const next = noise(seed);
  return rows(() => next());
}

/** Of the 15 columns with mean 0, a first network has eight, and another the other seven. */
const made = [0, 1].map((which) => [rows((i, j) => (which === 0 ? hadamard(i, j + 1) : j + 9 < images ? hadamard(i, j + 9) : 0)), drawn(3 * which + 1), drawn(3 * which + 2)]);

/** Embeddings in which every direction is used; of another network, such as are independent of the first's. */
export function spreads(network = 0): readonly Matrix[] {
  return made[network % made.length] ?? [];
}

/** Vector for all images: every feature the same, and one without any order. */
const directions: readonly (readonly number[])[] = [Array.from({ length: features }, () => 1), ...drawn(7).slice(0, 1)];

/** The constant of ones. */
export const ones: Matrix = rows(() => 1);

/** One vector for all images, of two directions and one length. */
export function constantsOf(length: number): readonly Matrix[] {
  return directions.map((d) => rows((_, j) => length * (d[j] ?? 0)));
}

/**
 * One vector for all images, of two directions and many lengths: all that `towards` has, as a length that is asked for is no
 * reason to vary. At exactly 0 a vector has no direction that it could be normalized to.
 */
export const constantsAt: readonly Matrix[] = [1e-5, 1e-3, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.5, 3, 5, 10].flatMap(constantsOf);

/** Embeddings at many lengths around zero, and once around a point; never at zero itself, where there is no direction. */
export function towards(all: readonly Matrix[]): readonly Matrix[] {
  return all.flatMap((m) => [...[0.1, 0.35, 0.7, 1, 1.4, 2.5, 5, 10].map((length) => scaled(m, length)), near(ones, m, 2)]);
}

/** Embeddings along a line: two points of it, and many. */
export function line(): readonly Matrix[] {
  const [plain = [], noisy = []] = spreads();
  return towards([plain, noisy].flatMap((m) => directions.map((d) => rows((i, j) => (m[i]?.[0] ?? 0) * (d[j] ?? 0)))));
}

/** Two sets of embeddings that have no direction in common: the first half of the features, and the second. */
export const halves: readonly [Matrix, Matrix] = [rows((i, j) => (2 * j < features ? hadamard(i, j + 1) : 0)), rows((i, j) => (2 * j < features ? 0 : hadamard(i, j + 1)))];

/** Every number times a factor. */
export function scaled(m: Matrix, by: number): Matrix {
  return m.map((row) => row.map((v) => v * by));
}

/** Rows of one matrix moved towards those of another; with `shift`, towards the row of another image. */
export function moved(m: Matrix, to: Matrix, share: number, shift: number): Matrix {
  return m.map((row, i) => row.map((v, j) => v + share * (to[(i + shift) % images]?.[j] ?? 0)));
}

/** A constant, and what a matrix adds to it from a distance on. */
export function near(center: Matrix, m: Matrix, distance: number): Matrix {
  return rows((i, j) => (center[i]?.[j] ?? 0) + distance * (m[i]?.[j] ?? 0));
}

/** The matrix with every row of the given length. */
export function matchedLengths(m: Matrix, length: number): Matrix {
  return m.map((row) => {
    const own = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0)) || 1;
    return row.map((v) => (v * length) / own);
  });
}
