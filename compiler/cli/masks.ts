/**
 * `jepac masks`: what a program's masks keep, seen before anything is trained.
 *
 * Owns the choice of steps and pictures, the counting of rows and the two forms, text and JSON. Draws are the run's own: the
 * runtime's sampler is given the masks of the manifest, the seed, the step and the batch, as the trainer gives them. How a
 * set of positions looks is `mask-picture.ts`'s.
 */
import { check } from "../check-source.js";
import { lowerChecked } from "../compile.js";
import type { CheckResult } from "../compile.js";
import { drawnMasks } from "../manifest.js";
import { positionBounds } from "../masks/longest.js";
import type { Mask } from "../model/ir.js";
import type { MaskSpec } from "../../runtime/abi.js";
import { counted } from "../../runtime/base/counted.js";
import { positionsOf } from "../../runtime/base/grid.js";
import { textTable } from "../../runtime/log/table.js";
import { rowOf } from "../../runtime/masks/groups.js";
import { sampleMasks } from "../../runtime/masks/sample.js";
import type { MaskDraw, MaskKey } from "../../runtime/masks/sample.js";
import { CliError } from "./command.js";
import type { Arguments, Command } from "./command.js";
import { drawSets, lettersOf } from "./mask-picture.js";
import type { DrawnSet } from "./mask-picture.js";
import { tellDiagnostics } from "./show.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";
import type { CliTerminal } from "./terminal.js";

/** Steps whose rows are counted, where drawing them goes through no more positions than `work`. */
const [usualSteps, work] = [100, 4e7];
/** The sampler's generator takes no step beyond. */
const lastStep = 2 ** 31;

export const masksCommand: Command = {
  words: { file: "the program" },
  options: {
    step: { kind: "text", initial: "1", help: "the step whose masks are drawn, and the first that is counted" },
    pictures: { kind: "text", initial: "2", help: "how many pictures of its batch are drawn" },
    steps: { kind: "text", help: "how many steps are counted (100; fewer of large batches)" },
    seed: { kind: "text", help: "the run's seed (the program's)" },
    batch: { kind: "text", help: "images a step, as rows are cut to the shortest of them (the program's)" },
    format: { kind: "text", choices: ["text", "json"], initial: "text", help: "the form; json has every position" },
    ...programOptions,
  },
  examples: [
    ["jepac masks examples/ijepa-small.jepa", "what the first step hides"],
    ["jepac masks specs/ijepa.jepa --step 50 --pictures 4", "another step"],
    ["jepac masks specs/vjepa.jepa --format json", "for programs"],
  ],
  async run(args, cx) {
    const opened = openSource(args.need("file"), cx);
    const result = check(opened.source, readProgramOptions(args));
    tellDiagnostics(result, opened, cx);
    const drawing = drawingOf(result, args);
    if (drawing === undefined) return 1;
    const drawn = draw(drawing);
    cx.out.write(args.text("format") === "json" ? `${JSON.stringify(toJson(drawn), undefined, 2)}\n` : textOf(drawn, cx));
    return 0;
  },
};

/** What is to be drawn: masks as the sampler takes them, and of which steps and pictures. */
interface Drawing {
  readonly program: string;
  readonly masks: readonly MaskSpec[];
  /** Names of declared masks that no step draws. */
  readonly idle: readonly string[];
  readonly key: MaskKey;
  readonly pictures: number;
  readonly steps: number;
}

function drawingOf(result: CheckResult, args: Arguments): Drawing | undefined {
  const { checked } = result;
  if (!result.ok || checked === undefined) return undefined;
  const { graph, training: { train } } = checked;
  const masks = drawnMasks(graph, lowerChecked(checked, result.analyses?.watchlist));
  const batch = args.whole("batch", 1) ?? train.batch;
  const step = args.whole("step", 1) ?? 1;
  if (step > lastStep) throw new CliError(`--step ${step} is beyond the last that can be drawn, ${lastStep}`);
  const each = masks.reduce((sum, m) => sum + m.count * positionsOf(m.grid), 1) * batch;
  return {
    program: graph.name, masks, idle: graph.masks.map((m: Mask) => m.name).filter((name) => masks.every((m) => m.name !== name)),
    key: { seed: args.whole("seed", 0) ?? train.seed, step, batch },
    pictures: Math.min(args.whole("pictures", 0) ?? 2, batch),
    steps: args.whole("steps", 1) ?? Math.max(1, Math.min(usualSteps, Math.floor(work / each))),
  };
}

/** Positions in one row of a mask, over the steps that were counted. */
interface Count {
  readonly mask: MaskSpec;
  readonly least: number;
  readonly mean: number;
  readonly most: number;
  /** What no step, seed or batch goes beyond; memory is planned for the second. */
  readonly bounds: readonly [number, number];
  /** Share of images for which a mask that should be taken out was given up. */
  readonly shares: number;
}

interface Drawn extends Drawing {
  readonly counts: readonly Count[];
  /** Sets of each picture, in the order of the masks. */
  readonly shown: readonly (readonly DrawnSet[])[];
}

function draw(drawing: Drawing): Drawn {
  const { masks, key, pictures, steps } = drawing;
  const drawn = Array.from({ length: masks.length === 0 ? 0 : steps }, (_, i) => sampleMasks(masks, { ...key, step: key.step - 1 + i }));
  const [first] = drawn;
  return {
    ...drawing,
    counts: masks.map((mask) => countOf(mask, masks, drawn.flatMap((step) => step.get(mask.name) ?? []), key.batch)),
    shown: Array.from({ length: first === undefined ? 0 : pictures }, (_, image) => masks.flatMap((mask) => {
      const rows = first?.get(mask.name);
      return rows === undefined ? [] : Array.from({ length: rows.count }, (__, set): DrawnSet => ({ mask, set, positions: rowOf(rows, set, image, key.batch) }));
    })),
  };
}

function countOf(mask: MaskSpec, masks: readonly MaskSpec[], draws: readonly MaskDraw[], batch: number): Count {
  // All rows of a step, or of a group of its images, have one length.
  const lengths = draws.flatMap((d) => (d.groups ?? [d]).map((g) => g.length));
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  const bounds = positionBounds(mask, masks);
  return {
    mask, least: Math.min(...lengths), mean: sum(lengths) / lengths.length, most: Math.max(...lengths),
    bounds: [bounds.least, bounds.most], shares: sum(draws.map((d) => d.relaxed)) / (draws.length * batch),
  };
}

function toJson({ program, key, steps, counts, shown, idle }: Drawn): unknown {
  return {
    program, ...key, steps,
    masks: counts.map(({ mask, least, mean, most, bounds, shares }) => ({ name: mask.name, kind: mask.kind, sets: mask.count, grid: mask.grid, positions: positionsOf(mask.grid), read: mask.unread !== true, kept: { least, mean, most }, bounds, shares })),
    idle,
    pictures: shown.map((sets, image) => ({ image, masks: Object.fromEntries(counts.map(({ mask }) => [mask.name, sets.filter((s) => s.mask === mask).map((s) => [...s.positions])])) })),
  };
}

function textOf(drawn: Drawn, cx: CliTerminal): string {
  const { program, key, steps, counts, shown, idle } = drawn;
  const unused = idle.map((name) => `\`${name}\` is not drawn: no step reads it\n`).join("");
  if (counts.length === 0) return `${program}: ${idle.length === 0 ? "it has no masks" : "no step reads a mask"}\n${unused}`;
  const rows = counts.map(({ mask, least, mean, most, bounds }) => [mask.name, kindText(mask), gridText(mask), String(least), mean.toFixed(1), String(most), bounds[0] === bounds[1] ? String(bounds[0]) : `${bounds[0]} to ${bounds[1]}`]);
  const letters = lettersOf(drawn.masks.filter((m) => m.unread !== true).map((m) => m.name));
  return [
    `${program}: positions kept in a row, ${counted(steps, "step")} from step ${key.step} on, ${counted(key.batch, "image")} a step, seed ${key.seed}`,
    "",
    textTable(["mask", "drawn", "grid", "least", "mean", "most", "bounds"], rows),
    ...counts.flatMap(({ mask, shares }) => (shares === 0 ? [] : [`\`${mask.name}\` shares positions with ${mask.minus.map((m) => `\`${m}\``).join(" or ")} in ${(100 * shares).toFixed(shares < 0.1 ? 1 : 0)} % of the images: it found no other place`])),
    ...counts.flatMap(({ mask }) => (mask.unread === true ? [`\`${mask.name}\` is read by nothing itself: others are made of it`] : [])),
    ...(unused === "" ? [] : [unused.trimEnd()]),
    ...(shown.length === 0 ? [] : ["", `${[...letters].map(([name, letter]) => `${letter} ${name}`).join(", ")}${letters.size > 1 ? ", * several" : ""}, · ${letters.size > 1 ? "none" : "not kept"}`]),
    ...shown.flatMap((sets, image) => ["", `step ${key.step}, image ${image + 1}`, ...drawSets(sets.filter((s) => s.mask.unread !== true), letters, cx.out.columns ?? 100)]),
    "",
  ].join("\n");
}

function kindText({ kind, count, minus, allowOverlap }: MaskSpec): string {
  const word = kind === "complement" ? "all" : kind;
  const less = minus.length === 0 ? "" : allowOverlap ? ` over ${minus.join(", ")}` : ` minus ${minus.join(", ")}`;
  return `${count === 1 ? "" : `${count} of `}${word}${less}`;
}

function gridText({ grid: { rows, cols, frames } }: MaskSpec): string {
  return `${frames === undefined ? "" : `${frames} × `}${rows} × ${cols}`;
}
