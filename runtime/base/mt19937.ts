/**
 * MT19937 (Matsumoto and Nishimura 1998), seeded by `init_genrand`, as PyTorch's CPU generator does.
 *
 * Exists for one purpose: the published I-JEPA sampler draws the size of a batch's mask blocks from a fresh PyTorch
 * generator seeded with the batch counter, and a faithful reproduction must draw the same sizes at the same step
 * (reference: I-JEPA facts, 2.1). Everything else draws from `random.ts`.
 */

const N = 624;
const M = 397;

/** PyTorch's CPU random engine for a 32-bit seed. */
export class Mt19937 {
  readonly #state = new Uint32Array(N);
  #next = N;

  constructor(seed: number) {
    let word = seed >>> 0;
    this.#state[0] = word;
    for (let i = 1; i < N; i++) {
      word = (Math.imul(1812433253, word ^ (word >>> 30)) + i) >>> 0;
      this.#state[i] = word;
    }
  }

  /** The next tempered 32 bits. */
  u32(): number {
    if (this.#next === N) this.#twist();
    let y = this.#state[this.#next++] ?? 0;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** What `torch.rand(1)` gives in float32: 24 bits over 2^24, in [0, 1). */
  uniform24(): number {
    return (this.u32() & 0xffffff) / 16777216;
  }

  #twist(): void {
    const s = this.#state;
    for (let i = 0; i < N; i++) {
      const y = ((s[i] ?? 0) & 0x80000000) | ((s[(i + 1) % N] ?? 0) & 0x7fffffff);
      s[i] = (s[(i + M) % N] ?? 0) ^ (y >>> 1) ^ ((y & 1) === 0 ? 0 : 0x9908b0df);
    }
    this.#next = 0;
  }
}
