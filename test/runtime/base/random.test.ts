/** Random streams against the published vectors of their generators, and against what a stream promises. */
import { expect, test } from "vitest";
import { Mt19937 } from "../../../runtime/base/mt19937.js";
import { philox4x32, purposeHash, stream } from "../../../runtime/base/random.js";

function block(counter: readonly number[], key: readonly [number, number]): string[] {
  const out = new Uint32Array(4);
  philox4x32(Uint32Array.from(counter), key[0], key[1], out);
  return Array.from(out, (word) => word.toString(16).padStart(8, "0"));
}

test("Philox4x32-10 gives the known answers of Random123", () => {
  expect(block([0, 0, 0, 0], [0, 0])).toEqual(["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]);
  const ones = 0xffffffff;
  expect(block([ones, ones, ones, ones], [ones, ones])).toEqual(["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]);
  expect(block([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual(["d16cfe09", "94fdcceb", "5001e420", "24126ea1"]);
});

test("MT19937 gives the published first word of seed 5489 and its ten-thousandth", () => {
  const generator = new Mt19937(5489);
  expect(generator.u32()).toBe(3499211612);
  for (let i = 2; i < 10_000; i++) generator.u32();
  expect(generator.u32()).toBe(4123659995);
});

test("MT19937 draws the float32 uniforms of PyTorch", () => {
  const expected: readonly (readonly [number, number, number])[] = [
    [0, 0.49625659, 0.768221796],
    [1, 0.7576316, 0.279310882],
    [2, 0.614695072, 0.381012857],
  ];
  for (const [seed, first, second] of expected) {
    const generator = new Mt19937(seed);
    expect(generator.uniform24()).toBeCloseTo(first, 8);
    expect(generator.uniform24()).toBeCloseTo(second, 8);
  }
});

test("a stream is a function of its four keys, and each key matters", () => {
  const draw = (seed: number, purpose: string, a: number, b: number): number[] => {
    const s = stream(seed, purpose, a, b);
    return [s.u32(), s.u32(), s.u32(), s.u32(), s.u32()];
  };
  const base = draw(7, "augment", 3, 5);
  expect(draw(7, "augment", 3, 5)).toEqual(base);
  for (const other of [draw(8, "augment", 3, 5), draw(7 + 2 ** 32, "augment", 3, 5), draw(7, "masks", 3, 5), draw(7, "augment", 4, 5), draw(7, "augment", 3, 6)]) {
    expect(other.filter((word, i) => word === base[i])).toEqual([]);
  }
});

test("uniform, normal and int have the moments they should", () => {
  const s = stream(1, "moments");
  const n = 200_000;
  let sum = 0;
  let normal = 0;
  let square = 0;
  let fourth = 0;
  const counts = new Int32Array(7);
  for (let i = 0; i < n; i++) {
    const u = s.uniform();
    if (!(u >= 0 && u < 1)) throw new Error(`uniform gave ${u}`);
    sum += u;
    const z = s.normal();
    normal += z;
    square += z * z;
    fourth += z ** 4;
    const k = s.int(7);
    counts[k] = (counts[k] ?? 0) + 1;
  }
  expect(Math.abs(sum / n - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / n));
  expect(Math.abs(normal / n)).toBeLessThan(4 / Math.sqrt(n));
  expect(Math.abs(square / n - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
  expect(Math.abs(fourth / n - 3)).toBeLessThan(4 * Math.sqrt(96 / n));
  const chi = counts.reduce((total, count) => total + (count - n / 7) ** 2 / (n / 7), 0);
  expect(chi).toBeLessThan(22.5);
});

test("a permutation holds every number once and all orders occur", () => {
  expect(Array.from(stream(3, "order").permutation(1000)).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  const seen = new Map<string, number>();
  const s = stream(4, "order");
  for (let i = 0; i < 6000; i++) {
    const key = s.permutation(3).join("");
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  expect(seen.size).toBe(6);
  for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(1000 * (5 / 6)));
});

test("the purposes in use hash to different words", () => {
  const purposes = ["augment", "masks", "mask-size", "mask-ratio", "mask-position", "mask-trim", "order", "init", "picture", "grain", "motion", "clip", "probe", "draw", "attentive head", "attentive order"];
  expect(new Set(purposes.map(purposeHash)).size).toBe(purposes.length);
});

test("numbers that a stream would have to cut are refused", () => {
  expect(() => stream(-1, "x")).toThrow(RangeError);
  expect(() => stream(0.5, "x")).toThrow(RangeError);
  expect(() => stream(0, "x", 2 ** 32)).toThrow(RangeError);
  expect(() => stream(0, "x").int(0)).toThrow(RangeError);
});
