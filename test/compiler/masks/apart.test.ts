/**
 * What the checker says of masks that are taken out, against the sampler itself: over a grid of programs, a mask that comes to
 * share positions with what should be taken out of it is told, with how often; one that never does is not.
 */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import type { CheckResult } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import type { MaskSpec } from "../../../runtime/abi.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";

/** An I-JEPA that sees `c` and predicts `u`. */
function textOf(masks: string, rows: number, cols: number): string {
  const lines = masks.split("\n").map((line) => `  mask ${line}`).join("\n");
  return `use std.vit\nmodel m {\n  input image: Image[${4 * rows}, ${4 * cols}, 3]\n${lines}\n  encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  encoder t = ema(f, momentum: 0.996 -> 1)\n  predictor p = vit_predictor(width: 16, depth: 1, heads: 2)\n  loss smooth_l1(p(f(image at c), at: u), stopgrad(normalize(t(image))) at u)\n}\ntrain m {\n  data shapes(count: 64)\n  epochs 1\n  batch 16\n}\n`;
}

const program = (masks: string, rows: number, cols: number): CheckResult => check({ file: "m.jepa", text: textOf(masks, rows, cols) });

interface Truth {
  /** Share of images whose `c` shares a position with what is taken out of it. */
  readonly shared: number;
  /** Whether the sampler ended a run. */
  readonly stopped: boolean;
}

const steps = 200;
const batch = 4;

function truthOf({ graph }: CheckResult): Truth {
  const masks = graph?.masks ?? [];
  const specs = masks.map((m): MaskSpec => ({ ...m, grid: { rows: m.grid?.rows ?? 0, cols: m.grid?.cols ?? 0 } }));
  const minus = masks.find((m) => m.name === "c")?.minus ?? [];
  let shared = 0;
  for (let step = 0; step < steps; step++) {
    let drawn: ReturnType<typeof sampleMasks>;
    try {
      drawn = sampleMasks(specs, { seed: 7, step, batch });
    } catch {
      return { shared: 0, stopped: true };
    }
    for (let image = 0; image < batch; image++) {
      const of = (name: string): readonly number[] => {
        const draw = drawn.get(name);
        return draw === undefined ? [] : Array.from({ length: draw.count }, (_, m) => [...draw.indices.subarray((m * batch + image) * draw.length, (m * batch + image + 1) * draw.length)]).flat();
      };
      const out = new Set(minus.flatMap(of));
      if (of("c").some((at) => out.has(at))) shared++;
    }
  }
  return { shared: shared / (steps * batch), stopped: false };
}

interface Told {
  readonly told: boolean;
  readonly empty: boolean;
  readonly message: string;
  readonly share: number | undefined;
}

function toldOf(result: CheckResult): Told {
  const of = (code: string) => result.diagnostics.find((d) => d.code === code && d.message.includes("`c`"));
  const message = (of("JEP5011") ?? of("JEP5012"))?.message ?? "";
  const share = /in ([\d.]+) % of (?:images|clips)/.exec(message)?.[1];
  return { told: message !== "", empty: of("JEP5011") !== undefined, message, share: share === undefined ? undefined : Number(share) / 100 };
}

const contexts = [
  "block(scale: 0.85..1.0, aspect: 1.0)", "block(scale: 0.4..0.6, min_keep: 3)", "block(scale: 0.2..0.5, min_keep: 1)",
  "block(scale: 0.85..1.0, aspect: 1.0, sampler: corrected)", "block(scale: 0.1..0.2, min_keep: 1, sampler: corrected)", "all", "random(0.5)", "rasterized",
];

/** What `c` is less, and the declarations before it. */
const taken: readonly (readonly [minus: string, ...lines: string[]])[] = [
  ["u", "u = random(0.3)"], ["u", "u = random(0.75)"], ["u", "u = random(0.9)"], ["u", "u = random(0.2..0.95)"], ["u", "u = 2 of random(0.75)"], ["u", "u = 8 of random(0.5)"],
  ["u", "u = rasterized"], ["u", "u = 3 of rasterized"], ["u", "u = 4 of block(scale: 0.1..0.15, min_keep: 1)"], ["u", "u = 3 of block(scale: 0.3..0.5, min_keep: 1, sampler: corrected)"],
  ["[u, v]", "u = random(0.4)", "v = 2 of block(scale: 0.2..0.3, min_keep: 1)"], ["[v, u]", "u = random(0.8)", "v = 2 of block(scale: 0.2..0.3, min_keep: 1)"],
  ["[u, v]", "u = 2 of rasterized", "v = random(0.6)"], ["[u, v]", "u = 2 of rasterized", "v = 2 of rasterized"], ["u", "v = block(scale: 0.3..0.4, min_keep: 1)", "u = random(0.6) minus v"],
  ["u", "v = random(0.5)", "u = all minus v"],
];

test.each([[8, 8], [5, 9]])("on %i x %i positions, whatever is taken out of whatever: shared positions are told, others are not", (rows, cols) => {
  const wrong: string[] = [];
  let leaking = 0;
  for (const [i, context] of contexts.entries()) {
    for (const [j, [minus, ...lines]] of taken.entries()) {
      // Each grid has a quarter of the pairs.
      if ((i + j + rows) % 4 !== 0) continue;
      const masks = [...lines, `c = ${context} minus ${minus}`].join("\n");
      const result = program(masks, rows, cols);
      const told = toldOf(result);
      const truth = truthOf(result);
      const fault = judge(told, truth);
      if (truth.shared > 0 || truth.stopped) leaking++;
      if (fault !== undefined) wrong.push(`${masks.replaceAll("\n", "; ")}: ${fault} (told: ${told.message}; ${(100 * truth.shared).toFixed(2)} % shared${truth.stopped ? ", stopped" : ""})`);
    }
  }
  expect(wrong).toEqual([]);
  expect(leaking).toBeGreaterThan(10);
});

function judge(told: Told, truth: Truth): string | undefined {
  if (truth.stopped) return told.told ? undefined : "a run stops, and nothing is said";
  if (truth.shared > 0 && !told.told) return "positions are shared, and nothing is said";
  // Seldom, or possible and not counted: hundreds of samples need not show it.
  if (truth.shared === 0 && told.told && (told.share ?? 0) > 0.01) return "nothing is shared";
  const spread = 4 * Math.sqrt((truth.shared * (1 - truth.shared)) / (steps * batch)) + 0.04;
  return told.share !== undefined && !told.empty && Math.abs(told.share - truth.shared) > spread ? "the share is another" : undefined;
}

test("JEP5012: a block less random positions or quadrants is told to overlap them, with how often and what", () => {
  const block = "block(scale: 0.85..1.0, aspect: 1.0";
  // Chances by the hypergeometric law.
  const cases: readonly (readonly [masks: string, share: number, says: string])[] = [
    [`u = random(0.9)\nc = ${block}) minus u`, 1, "no place keeps more than min_keep = 10 positions"],
    [`u = random(0.75)\nc = ${block}) minus u`, 0.118, "no place keeps more than min_keep = 10 positions"],
    [`u = random(0.9)\nc = ${block}, min_keep: 4) minus u`, 0.432, "no place keeps more than min_keep = 4 positions"],
    [`u = 3 of rasterized\nc = ${block}) minus u`, 0.25, "no place keeps more than min_keep = 10 positions"],
    ["u = 8 of random(0.5)\nc = all minus u", 0.775, "no position is left"],
    ["u = 2 of rasterized\nv = 2 of rasterized\nc = all minus [u, v]", 1 / 6, "no position is left"],
    ["u = rasterized\nc = rasterized minus u", 0.25, "a quadrant is covered by what is taken out of it"],
  ];
  for (const [masks, share, says] of cases) {
    const result = program(masks, 8, 8);
    const found = result.diagnostics.find((d) => d.code === "JEP5012");
    expect(found?.message, masks).toContain(` % of images ${says}`);
    expect(Math.abs((toldOf(result).share ?? 2) - share), masks).toBeLessThan(0.04);
    expect(found?.related.map((r) => r.message).join(), masks).toMatch(/`[uv]` is then given up, in/);
    expect(result.analyses?.program.verdict, masks).toBe("risky");
  }
});

test("JEP5012: what could cover everything is told though draws do not show it, and what could not is not", () => {
  expect(toldOf(program("u = 3 of rasterized\nv = block(scale: 0.25, aspect: 0.5..2.0, min_keep: 1, sampler: corrected)\nc = all minus [u, v]", 16, 16)).told).toBe(true);
  for (const masks of ["u = random(0.98)\nc = all minus u", "u = 5 of random(0.5)\nc = all minus u", "u = random(0.75)\nv = 2 of block(scale: 0.2)\nc = all minus [u, v]", "v = random(0.5)\nu = all minus v\nc = all minus u"]) {
    expect(toldOf(program(masks, 16, 16)).message, masks).toBe("");
  }
});

test("the corrected sampler never shares a position, and a run that it would stop is told", () => {
  expect(toldOf(program("u = random(0.9)\nc = block(scale: 0.85..1.0, aspect: 1.0, sampler: corrected) minus u", 8, 8)).message).toBe("");
  expect(toldOf(program("u = 6 of random(0.75)\nc = block(scale: 0.5..0.6, min_keep: 1, sampler: corrected) minus u", 8, 8)).message).toContain("a run stops there");
});

test("on a film positions that are hidden one by one count over all its moments", () => {
  const text = (mask: string): string => `use std.vit\nmodule net(width) (clip) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = block(2)\n  mix(embed(tubes(clip, 4, 2)) + sincos2d(width))\n}\nmodel m {\n  input video: Video[8, 16, 16, 3]\n  mask u = ${mask}\n  mask c = all minus u\n  encoder f = net(32)\n  encoder t = ema(f, momentum: 0.99)\n  predictor h = vit_predictor(width: 16, depth: 1, heads: 2)\n  loss l1(h(f(video at c), at: u), normalize(t(video)) at u)\n}\n`;
  const told = (mask: string): Told => toldOf(check({ file: "m.jepa", text: text(mask) }));
  expect(told("6 of random(0.6)").share).toBeGreaterThan(0.7);
  expect(told("6 of random(0.2)").told).toBe(false);
});

test("what is mended shares no position, and does not stop", () => {
  const block = "block(scale: 0.85..1.0, aspect: 1.0, min_keep: 0";
  const cases: readonly (readonly [masks: string, rows: number, code: string, mended: string | undefined])[] = [
    [`u = random(0.9)\nc = ${block}) minus u`, 8, "JEP5012", undefined],
    ["u = random(0.9)\nc = block(scale: 0.85..1.0, aspect: 1.0) minus u", 8, "JEP5012", "c = block(scale: 0.85..1.0, aspect: 1.0, sampler: corrected) minus u"],
    ["u = 8 of random(0.5)\nc = all minus u", 8, "JEP5012", undefined],
    [`v = block(scale: 0.15..0.2, aspect: 1.0, min_keep: 0)\nu = random(0.5)\nc = ${block}) minus v`, 4, "JEP5016", `c = ${block}, sampler: corrected) minus [v, u]`],
    [`u = random(0.5)\nc = ${block})`, 8, "JEP5016", `c = ${block}) minus u`],
    [`u = 8 of random(0.5)\nc = all`, 8, "JEP5015", undefined],
  ];
  for (const [masks, side, code, mended] of cases) {
    const text = textOf(masks, side, side);
    const found = check({ file: "m.jepa", text }).diagnostics.filter((d) => d.code === code && d.fixes.length > 0);
    if (mended === undefined) {
      expect(found, masks).toEqual([]);
      continue;
    }
    const fixed = applyFixes(text, "m.jepa", certainFixes(found)).text;
    expect(fixed).toContain(mended);
    const result = check({ file: "m.jepa", text: fixed });
    expect(result.diagnostics.map((d) => d.code), fixed).toEqual([]);
    expect(truthOf(result), fixed).toEqual({ shared: 0, stopped: false });
  }
});
