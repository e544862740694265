/**
 * `jepac masks`: what it draws is what a run is given, every panel shows the positions that the JSON has, and the bounds hold.
 * Pictures are compared with batches of the loop, which know nothing of the command.
 */
import { expect, test } from "vitest";
import { compile } from "../../../compiler/index.js";
import { plainBatches, resolveRecipe, syntheticSource } from "../../../runtime/index.js";
import { rowOf } from "../../../runtime/masks/groups.js";
import { jepac, small, temporary } from "../cli/support.js";

interface Told {
  readonly program: string; readonly seed: number; readonly step: number; readonly batch: number; readonly steps: number;
  readonly masks: readonly { name: string; sets: number; positions: number; read: boolean; kept: { least: number; mean: number; most: number }; bounds: [number, number]; shares: number }[];
  readonly idle: readonly string[];
  readonly pictures: readonly { image: number; masks: Record<string, number[][]> }[];
}

const film = `use std.vit
model film {
  input video: Video[4, 24, 24, 3]
  mask blocks = 2 of block(scale: 0.2..0.3, aspect: 0.75..1.5, min_keep: 0, sampler: corrected)
  mask outside = all minus blocks
  mask inside = all minus outside
  mask anywhere = random(0.3..0.5)
  mask forgotten = rasterized
  encoder student = video_vit(patch: 4, frames: 2, width: 24, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.9)
  predictor predict = vit_predictor(width: 24, depth: 1, heads: 2)
  head map = mlp(24)
  loss near = mse(predict(student(video at outside), at: inside), stopgrad(normalize(teacher(video))) at inside)
  loss far = mse(map(student(video at anywhere)), stopgrad(normalize(teacher(video))) at anywhere)
}
train film { data shapes(count: 16), steps 4, batch 4, seed 3 }
`;

async function told(text: string, words: readonly string[]): Promise<{ json: Told; text: string }> {
  const cwd = temporary({ "package.json": "{}", "p.jepa": text });
  const [json, shown] = [await jepac(["masks", "p.jepa", "--format", "json", ...words], { cwd }), await jepac(["masks", "p.jepa", ...words], { cwd })];
  expect([json.code, shown.code]).toEqual([0, 0]);
  return { json: JSON.parse(json.out), text: shown.out };
}

/** Panels of a picture by their titles: the positions of all frames drawn, those without a dot. */
function panelsOf(text: string, image: number, cols: number): Map<string, number[]> {
  const part = text.split(/^step \d+, image \d+$/m)[image + 1] ?? "";
  const found = new Map<string, number[]>();
  for (const block of part.split(/\n\s*\n|\n(?=frames? )/)) {
    const lines = block.split("\n").filter((l) => l !== "");
    const frames = /^frames? (\d+)(?: to (\d+))? of/.exec(lines[0] ?? "");
    const [titles = "", ...rows] = frames === null ? lines : lines.slice(1);
    for (const title of titles.matchAll(/(\S+(?: \d+)?) · (\d+)/g)) {
      const cells = rows.flatMap((row) => [...row.slice(title.index).split("   ")[0]?.split(" ") ?? []]);
      const kept = cells.flatMap((c, i) => (c === "·" ? [] : [i]));
      expect(kept.length, `${title[1]} in ${frames?.[0]}`).toBe(Number(title[2]));
      expect(cells.length % cols).toBe(0);
      const [from, to] = frames === null ? [1, 1] : [Number(frames[1]), Number(frames[2] ?? frames[1])];
      for (let f = from; f <= to; f++) found.set(title[1] ?? "", [...found.get(title[1] ?? "") ?? [], ...kept.map((at) => (f - 1) * cells.length + at)]);
    }
  }
  return found;
}

test.each([["blocks of a picture", small, 4, ["--step", "3", "--seed", "5", "--steps", "9"]], ["unions, random positions and tubes of a film", film, 6, ["--pictures", "3", "--steps", "9"]]] as const)("%s are those of the run, as text and as JSON, within their bounds", async (_, text, cols, words) => {
  const { json, text: shown } = await told(text, words);
  const { manifest } = compile({ file: "p.jepa", text });
  if (manifest === undefined) throw new Error("it does not compile");
  const source = syntheticSource({ count: 16, side: 24, seed: 0, ...(text === film ? { frames: 4 } : {}) });
  const batches = plainBatches(manifest, source, resolveRecipe(manifest, 16, { seed: json.seed }));
  const batch = await batches.next(json.step - 1);
  expect(json.batch).toBe(batch.size);
  for (const { image, masks } of json.pictures) {
    const panels = panelsOf(shown, image, cols);
    for (const { name, sets, read } of json.masks) {
      const rows = masks[name] ?? [];
      expect(rows.map((r) => r.length)).toHaveLength(sets);
      rows.forEach((row, set) => {
        const drawn = batch.masks[name];
        if (drawn === undefined) throw new Error(`no ${name}`);
        expect(row).toEqual([...rowOf(drawn, set, image, batch.size)]);
        if (read) expect(panels.get(sets === 1 ? name : `${name} ${set + 1}`), name).toEqual(row);
      });
    }
    const all = Object.entries(masks).flatMap(([name, rows]) => (json.masks.find((m) => m.name === name)?.read === true ? rows.flat() : []));
    expect(panels.get("together")).toEqual([...new Set(all)].sort((a, b) => a - b));
  }
  if (text === film) expect(shown).toContain("`forgotten` is not drawn: no step reads it");
  for (const { kept, bounds, positions } of json.masks) expect([bounds[0], kept.least, kept.mean, kept.most, bounds[1], positions]).toEqual([bounds[0], kept.least, kept.mean, kept.most, bounds[1], positions].sort((a, b) => a - b));
});

test("counts are those of the published law, and of what a batch cuts", async () => {
  const text = small.replaceAll("min_keep: 0", "min_keep: 4").replace("Image[16, 16, 3]", "Image[64, 64, 3]").replace("2 of block", "4 of block");
  const { json } = await told(text, ["--batch", "1", "--steps", "300", "--pictures", "0"]);
  const [targets, context] = json.masks;
  // docs/masks.md: 5x7 to 9x6 positions, 44.2 on average.
  expect([targets?.bounds, targets?.kept.least, targets?.kept.most]).toEqual([[35, 54], 35, 54]);
  expect(Math.abs((targets?.kept.mean ?? 0) - 44.2)).toBeLessThan(0.6);
  const cut = await told(text, ["--batch", "64", "--steps", "9", "--pictures", "0"]);
  expect(cut.json.masks[1]?.kept.mean).toBeLessThan((context?.kept.mean ?? 0) - 10);
});

test("a program without masks says so, and slips of options are refused", async () => {
  const bare = small.replace(/ {2}mask[^]*?\n\n/, "").replace(/ {2}predictor[^]*?\n}/, "  predictor predict = mlp(32)\n  view a, b = augment(image) { flip() }\n  loss mse(predict(student(a)), stopgrad(teacher(b)))\n}");
  const cwd = temporary({ "package.json": "{}", "p.jepa": bare });
  expect((await jepac(["masks", "p.jepa"], { cwd })).out).toBe("tiny: it has no masks\n");
  const refused = await jepac(["masks", "p.jepa", "--step", "0"], { cwd });
  expect([refused.code, refused.err]).toEqual([2, "error: --step takes a whole number from 1, not 0\n"]);
});
