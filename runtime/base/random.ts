/**
 * Counter-based random streams: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * Owns every random draw of a run. A stream is a pure function of (seed, purpose, a, b), usually a = step and b = image,
 * so that a resumed run is the run that never stopped and the number of workers changes nothing. The key holds the seed,
 * the counter holds (block, hash of the purpose, a, b): two streams share numbers only if all four are equal (or two
 * purpose words hash alike, which a test excludes for the words in use). There is no global generator on purpose.
 */

const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const TWO_32 = 4294967296;

/** A sequence of draws. Every method advances it. */
export interface Stream {
  /** The next 32 bits. */
  u32(): number;
  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number;
  /** Uniform in [low, high). */
  range(low: number, high: number): number;
  /** Standard normal (Box-Muller, both halves used). */
  normal(): number;
  /** Uniform in 0..n-1 without bias (rejection); n in 1..2^32. */
  int(n: number): number;
  /** A uniform permutation of 0..n-1. */
  permutation(n: number): Int32Array;
  /** Shuffles in place (Fisher-Yates). */
  shuffle(list: Int32Array): void;
}

/** High 32 bits of the product of two unsigned 32-bit numbers. */
function mulHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const cross = a0 * b1 + (middle & 0xffff);
  return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536)) >>> 0;
}

/**
 * One block of Philox4x32-10: four counter words and two key words to four random words, written into `out`.
 * Exported for the published known-answer vectors.
 */
export function philox4x32(counter: Uint32Array, key0: number, key1: number, out: Uint32Array): void {
  let c0 = counter[0] ?? 0;
  let c1 = counter[1] ?? 0;
  let c2 = counter[2] ?? 0;
  let c3 = counter[3] ?? 0;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = mulHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** FNV-1a of the UTF-16 units of a word: 32 bits that stand for a purpose in the counter. */
export function purposeHash(purpose: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

class PhiloxStream implements Stream {
  readonly #counter: Uint32Array;
  readonly #words = new Uint32Array(4);
  readonly #key0: number;
  readonly #key1: number;
  #used = 4;
  #spare: number | undefined;

  constructor(seed: number, purpose: string, a: number, b: number) {
    this.#key0 = seed >>> 0;
    this.#key1 = Math.floor(seed / TWO_32) >>> 0;
    this.#counter = Uint32Array.of(0, purposeHash(purpose), a, b);
  }

  u32(): number {
    if (this.#used === 4) {
      philox4x32(this.#counter, this.#key0, this.#key1, this.#words);
      this.#counter[0] = (this.#counter[0] ?? 0) + 1;
      this.#used = 0;
    }
    return this.#words[this.#used++] ?? 0;
  }

  uniform(): number {
    const high = this.u32() >>> 5;
    const low = this.u32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  range(low: number, high: number): number {
    return low + this.uniform() * (high - low);
  }

  normal(): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  int(n: number): number {
    if (!(n >= 1 && n <= TWO_32)) throw new RangeError(`int(n) needs n in 1..2^32, got ${n}`);
    const limit = TWO_32 - (TWO_32 % n);
    for (;;) {
      const word = this.u32();
      if (word < limit) return word % n;
    }
  }

  permutation(n: number): Int32Array {
    const list = new Int32Array(n);
    for (let i = 0; i < n; i++) list[i] = i;
    this.shuffle(list);
    return list;
  }

  shuffle(list: Int32Array): void {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const held = list[i] ?? 0;
      list[i] = list[j] ?? 0;
      list[j] = held;
    }
  }
}

/**
 * The stream of (seed, purpose, a, b). `seed` is a whole number in 0..2^53-1; `a` and `b` (step and image) in 0..2^32-1.
 * Opening the same stream twice gives the same draws. Throws a RangeError for numbers that would be cut silently.
 */
export function stream(seed: number, purpose: string, a = 0, b = 0): Stream {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`a seed is a whole number in 0..2^53-1, got ${seed}`);
  for (const word of [a, b]) {
    if (!Number.isInteger(word) || word < 0 || word >= TWO_32) throw new RangeError(`a stream index is a whole number in 0..2^32-1, got ${word}`);
  }
  return new PhiloxStream(seed, purpose, a, b);
}
