/** Counting by bits against drawing position by position: of the same chances, the same pictures. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { bitCounter } from "../../../compiler/masks/bits.js";
import { drawPicture, fieldOf } from "../../../compiler/masks/place.js";
import type { Sized } from "../../../compiler/masks/place.js";

/** The masks of a program in the order in which they are drawn, on a grid, each with sides of its own. */
function sized(masks: readonly (readonly [text: string, height: number, width: number])[], side: number): Sized[] {
  const lines = masks.map(([text]) => `  mask ${text}\n`).join("");
  const names = masks.map(([text]) => text.split(" ")[0] ?? "");
  const { graph } = check({ file: "m.jepa", text: `use std.vit\nmodel m {\n  input image: Image[${4 * side}, ${4 * side}, 3]\n${lines}  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  loss ${names.map((n) => `variance(pool(f(image at ${n})))`).join(" + ")}\n}\ntrain m {\n  data shapes(count: 64)\n  epochs 1\n  batch 16\n}\n` });
  return masks.map(([, height, width], i) => {
    const mask = graph?.masks.find((m) => m.name === names[i]);
    if (mask === undefined) throw new Error(`no mask ${names[i] ?? ""}`);
    return { mask, height, width, wanted: 0 };
  });
}

function chances(): (n: number) => number {
  let state = 12345;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const block = "block(scale: 0.1..0.5, aspect: 0.75..1.5, min_keep: 0)";
const cases: Readonly<Record<string, readonly [number, readonly (readonly [string, number, number])[]]>> = {
  "as published": [14, [[`u = 4 of ${block}`, 6, 5], ["c = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 10) minus u", 13, 13]]],
  "often given up": [8, [[`u = 4 of ${block}`, 4, 4], ["c = block(scale: 0.5..1.0, aspect: 1.0, min_keep: 20) minus u", 6, 6]]],
  "of two masks, the last given up first": [8, [[`u = 2 of ${block}`, 4, 5], [`v = 3 of ${block}`, 4, 4], ["c = block(scale: 0.5..1.0, aspect: 1.0, min_keep: 24) minus [u, v]", 6, 7]]],
  "several contexts": [10, [[`u = 3 of ${block}`, 5, 5], ["c = 3 of block(scale: 0.2..0.6, aspect: 1.0, min_keep: 12) minus u", 6, 6]]],
  "one place": [8, [[`u = 4 of ${block}`, 4, 4], ["c = block(scale: 1.0, aspect: 1.0, min_keep: 20) minus u", 8, 8]]],
  "corrected": [8, [[`u = 4 of ${block.replace("min_keep", "sampler: corrected, min_keep")}`, 5, 4], ["c = block(scale: 0.2..0.6, aspect: 1.0, min_keep: 12, sampler: corrected) minus u", 5, 5]]],
  "corrected until nothing is left": [4, [[`u = 4 of ${block.replace("min_keep", "sampler: corrected, min_keep")}`, 3, 3], ["c = block(scale: 0.2..0.6, aspect: 1.0, min_keep: 1, sampler: corrected) minus u", 2, 2]]],
};

for (const [name, [side, masks]] of Object.entries(cases)) {
  test(`blocks counted by bits: ${name}`, () => {
    const order = sized(masks, side);
    const field = fieldOf(side, side, 1);
    const [one, other] = [chances(), chances()];
    const count = bitCounter(order, field, one);
    if (count === undefined) throw new Error("these masks are blocks");
    const seen = new Set<string>();
    for (let picture = 0; picture < 400; picture++) {
      const { lengths, givenUp, stops } = count();
      const drawn = drawPicture(order, field, other);
      expect({ lengths, givenUp: [...givenUp].sort(), stops }).toEqual({ lengths: drawn.sets.map((s) => s.length), givenUp: [...drawn.givenUp].sort(), stops: drawn.stops });
      seen.add(lengths.join());
    }
    expect(seen.size).toBeGreaterThan(1);
    expect(one(1e6)).toBe(other(1e6));
  });
}

test("what is no block in a plane is not counted by bits", () => {
  const order = sized([["u = random(0.5)", 0, 0], ["c = block(scale: 0.5..1.0, aspect: 1.0, min_keep: 0) minus u", 6, 6]], 8);
  expect(bitCounter(order, fieldOf(8, 8, 1), chances())).toBeUndefined();
  const plain = sized(cases["often given up"]?.[1] ?? [], 8);
  expect(bitCounter(plain, fieldOf(8, 8, 2), chances())).toBeUndefined();
  expect(bitCounter(plain, fieldOf(8, 31, 1), chances())).toBeUndefined();
});
