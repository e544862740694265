/**
 * Sets of positions as text: grids of letters beside one another.
 *
 * Owns the look: a panel of all sets together, then one for each; on a grid with frames a row of panels for each run of frames
 * in which all panels are alike, as blocks go through all of them. Which sets are drawn is the caller's choice.
 */
import type { MaskSpec } from "../../runtime/abi.js";
import { positionsOf } from "../../runtime/base/grid.js";

/** One set of a mask, with the positions that an image has in it. */
export interface DrawnSet {
  readonly mask: MaskSpec;
  readonly set: number;
  readonly positions: Int32Array;
}

interface Panel {
  readonly title: string;
  /** A character for each position. */
  readonly cells: readonly string[];
}

/** Most rows of panels for one clip. */
const MOST_RUNS = 4;
/** Wider grids have no space between their columns. */
const WIDE = 24;
const [NONE, SEVERAL, GAP] = ["·", "*", "   "];

/** A letter for each name: one of its own where that is still free. */
export function lettersOf(names: readonly string[]): ReadonlyMap<string, string> {
  const letters = new Map<string, string>();
  for (const name of names) {
    const free = [...name.toLowerCase(), ..."abcdefghijklmnopqrstuvwxyz"].find((l) => /\p{L}/u.test(l) && ![...letters.values()].includes(l));
    letters.set(name, free ?? "#");
  }
  return letters;
}

/** Lines of panels, each as many columns wide as `width` allows; sets of other grids come below. */
export function drawSets(sets: readonly DrawnSet[], letters: ReadonlyMap<string, string>, width: number): readonly string[] {
  const grids = new Map<string, DrawnSet[]>();
  for (const set of sets) {
    const { rows, cols, frames } = set.mask.grid;
    const key = `${rows} ${cols} ${frames ?? ""}`;
    grids.set(key, [...(grids.get(key) ?? []), set]);
  }
  return [...grids.values()].flatMap((list) => {
    const [first] = list;
    return first === undefined ? [] : drawGrid(list, first.mask.grid, letters, width);
  });
}

function drawGrid(sets: readonly DrawnSet[], grid: MaskSpec["grid"], letters: ReadonlyMap<string, string>, width: number): readonly string[] {
  const own = sets.map(({ mask, set, positions }): Panel => {
    const cells = new Array<string>(positionsOf(grid)).fill(NONE);
    for (const at of positions) cells[at] = letters.get(mask.name) ?? "#";
    return { title: mask.count === 1 ? mask.name : `${mask.name} ${set + 1}`, cells };
  });
  const together = own.map((p) => p.cells).reduce((all, cells) => all.map((c, i) => (cells[i] === NONE ? c : c === NONE || c === cells[i] ? cells[i] ?? c : SEVERAL)));
  const panels = own.length === 1 ? own : [{ title: "together", cells: together }, ...own];
  if (grid.frames === undefined) return drawPlane(panels, grid.cols, width);
  const plane = grid.rows * grid.cols;
  const runs = runsOf(panels, grid.frames, plane);
  const left = runs.length - MOST_RUNS;
  return [
    ...shownRuns(runs).flatMap(([from, to]) => [from === to ? `frame ${from + 1} of ${grid.frames ?? 1}` : `frames ${from + 1} to ${to + 1} of ${grid.frames ?? 1}`, ...drawPlane(panels.map((p) => ({ ...p, cells: p.cells.slice(from * plane, (from + 1) * plane) })), grid.cols, width)]),
    ...(left > 0 ? [`${left} more, which --format json has`] : []),
  ];
}

/** Frames that follow one another and are alike in every panel, by their first and last. */
function runsOf(panels: readonly Panel[], frames: number, plane: number): readonly (readonly [number, number])[] {
  const look = (frame: number): string => panels.map((p) => p.cells.slice(frame * plane, (frame + 1) * plane).join("")).join("|");
  const runs: [number, number][] = [];
  for (let frame = 0; frame < frames; frame++) {
    const last = runs.at(-1);
    if (last !== undefined && look(last[0]) === look(frame)) last[1] = frame;
    else runs.push([frame, frame]);
  }
  return runs;
}

/** All, or some from the first to the last. */
function shownRuns<T>(runs: readonly T[]): readonly T[] {
  if (runs.length <= MOST_RUNS) return runs;
  return Array.from({ length: MOST_RUNS }, (_, i) => runs[Math.round((i * (runs.length - 1)) / (MOST_RUNS - 1))]).flatMap((run) => (run === undefined ? [] : [run]));
}

/** Panels of one plane side by side, below one another where the width is used up. The number in a title is how many are kept. */
function drawPlane(panels: readonly Panel[], cols: number, width: number): readonly string[] {
  const blocks = panels.map(({ title, cells }) => {
    const kept = cells.filter((c) => c !== NONE).length;
    const lines = Array.from({ length: cells.length / cols }, (_, row) => cells.slice(row * cols, (row + 1) * cols).join(cols > WIDE ? "" : " "));
    return [`${title} · ${kept}`, ...lines];
  });
  const wide = Math.max(...blocks.flat().map((line) => line.length));
  const across = Math.max(1, Math.floor((width + GAP.length) / (wide + GAP.length)));
  const rows = Array.from({ length: Math.ceil(blocks.length / across) }, (_, i) => blocks.slice(i * across, (i + 1) * across));
  return rows.flatMap((row, i) => [...(i === 0 ? [] : [""]), ...(row[0] ?? []).map((_, line) => row.map((block) => (block[line] ?? "").padEnd(wide)).join(GAP).trimEnd())]);
}
