/**
 * The type of a value: shape with named axes, positions, and space.
 *
 * Owns three of the four facts that the language keeps about every value (language page, section 3); the fourth, flow, is
 * not part of a type but is read off the graph. Axes are named so that a reduction or a loss can say *what* it removes
 * (samples, tokens, features), which is what the collapse analysis needs, and so that errors speak of tokens rather than
 * of "dimension 1". Pure data; the rules that combine types live in `check/`.
 */
import type { Dim } from "./dim.js";

/** What an axis enumerates. `feature` is the only axis whose loss is not a collapse. */
export type Axis = "batch" | "time" | "token" | "feature" | "height" | "width" | "channel";

/** A patch grid over an image input. Two grids are the same when all of their fields are. */
export interface Grid {
  readonly rows: number;
  readonly cols: number;
  /** Side of a patch in pixels; its height, where `across` says another width. */
  readonly patch: number;
  /** Width of a patch in pixels, where it is no square. */
  readonly across?: number;
  readonly channels: number;
  /** Rows of patches along time, where tokens are tubes of a video. */
  readonly frames?: number;
  /** Frames of each tube, where there are `frames`. */
  readonly tube?: number;
}

/** Where the tokens of a value sit on a grid. */
export type Positions =
  /** No token axis, or tokens that are not places (pooled, projected). */
  | { readonly kind: "none" }
  /** Every position of the grid, in raster order. */
  | { readonly kind: "all"; readonly grid: Grid }
  /** The positions drawn by a mask; `copies` sets per image, set-major on the batch axis. */
  | { readonly kind: "mask"; readonly mask: string; readonly grid: Grid }
  /** Several runs of tokens one after the other, as `concat` makes. */
  | { readonly kind: "concat"; readonly parts: readonly { readonly positions: Positions; readonly length: Dim }[] }
  /** Some positions, which this module never asks about (it treats every token alike). */
  | { readonly kind: "opaque"; readonly of: string };

/** What the numbers are coordinates of. A loss compares values of one space. */
export type Space =
  | { readonly kind: "pixels" }
  | { readonly kind: "latent"; readonly of: string }
  /** The output of a learned map whose space is decided by what it is trained to predict. */
  | { readonly kind: "free"; readonly by: string }
  | { readonly kind: "logits" }
  | { readonly kind: "labels" }
  | { readonly kind: "actions" }
  | { readonly kind: "scalar" }
  /** Parameters and constants: they fit any space. */
  | { readonly kind: "any" };

/** The type of a graph value. `shape` and `axes` have equal length; a scalar has none. */
export interface ValueType {
  readonly shape: readonly Dim[];
  readonly axes: readonly Axis[];
  readonly positions: Positions;
  readonly space: Space;
  readonly dtype: "f32" | "i32";
  /** For an image restricted by `at` before it meets a patch embedding: the masks still to apply. */
  readonly pending: string | undefined;
}

/**
 * Whether a value has a number for every pair: a matrix whose rows and columns enumerate one thing, images (`similarities`) or
 * features (`second_moments`).
 */
export function isPairwise({ axes }: Pick<ValueType, "axes">): boolean {
  return axes.length === 2 && axes[0] === axes[1];
}

/** Of each axis, whether `over` names it; `column` is the second axis of a matrix of pairs, which no name of its own tells from the first. */
export function namedAxes(axes: readonly Axis[], over: readonly string[]): readonly boolean[] {
  return axes.map((axis, i) => over.includes(axis) || (over.includes("column") && isPairwise({ axes }) && i === 1));
}

export const noPositions: Positions = { kind: "none" };
export const anySpace: Space = { kind: "any" };

/** `pixels`, `latent(teacher)`, … as written in programs. */
export function printSpace(space: Space): string {
  switch (space.kind) {
    case "latent": return `latent(${space.of})`;
    case "free": return `the output space of \`${space.by}\``;
    default: return space.kind;
  }
}

/** `all positions of the 8x8 grid`, `context`, … for messages. */
export function printPositions(positions: Positions): string {
  switch (positions.kind) {
    case "none": return "no positions";
    case "all": return `all positions of the ${positions.grid.rows}x${positions.grid.cols} grid`;
    case "mask": return `\`${positions.mask}\``;
    case "concat": return positions.parts.map((p) => printPositions(p.positions)).join(" followed by ");
    case "opaque": return `the positions of \`${positions.of}\``;
  }
}

/** How many positions a grid has: rows times columns, times the rows of tubes along time. */
export function placesOf({ rows, cols, frames = 1 }: Pick<Grid, "rows" | "cols" | "frames">): number {
  return rows * cols * frames;
}

/** Height and width of a grid's patches, in pixels. */
export function sidesOf({ patch, across = patch }: Pick<Grid, "patch" | "across">): readonly [number, number] {
  return [patch, across];
}

/** How many numbers a patch, or a tube of them, has. */
export function valuesOf({ tube = 1, channels, ...grid }: Pick<Grid, "patch" | "across" | "tube" | "channels">): number {
  const [height, width] = sidesOf(grid);
  return height * width * tube * channels;
}

/** Whether two grids are one. */
export function sameGrid(a: Grid, b: Grid): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.patch === b.patch && a.across === b.across && a.channels === b.channels && a.frames === b.frames && a.tube === b.tube;
}

/** Whether two position facts are one; opaque positions are equal when they come from the same input. */
export function samePositions(a: Positions, b: Positions): boolean {
  if (a.kind === "none" && b.kind === "none") return true;
  if (a.kind === "all" && b.kind === "all") return sameGrid(a.grid, b.grid);
  if (a.kind === "mask" && b.kind === "mask") return a.mask === b.mask;
  if (a.kind === "opaque" && b.kind === "opaque") return a.of === b.of;
  if (a.kind === "concat" && b.kind === "concat") {
    return a.parts.length === b.parts.length && a.parts.every((p, i) => {
      const q = b.parts[i];
      return q !== undefined && samePositions(p.positions, q.positions);
    });
  }
  return false;
}

/** Whether two spaces are one (free spaces are resolved by the checker before this is asked). */
export function sameSpace(a: Space, b: Space): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "latent" && b.kind === "latent") return a.of === b.of;
  if (a.kind === "free" && b.kind === "free") return a.by === b.by;
  return true;
}
