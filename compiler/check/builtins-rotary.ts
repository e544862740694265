/**
 * `rotary(x, heads, base)`: queries and keys turned by where their tokens sit (RoFormer, Su et al. 2021; on grids as V-JEPA 2).
 *
 * Owns the table of turns and its lookup at the very positions of the tokens, whichever they are: all of a grid, those of a
 * mask, runs of these one after the other, moments of a film. One table serves all heads: `[positions, turned features of a
 * head]`, cosines before sines. What is turned with what is the rule of the op `rotate` (`lower/rotary.ts`). Leaves tables that
 * are added to tokens to `positions.ts`.
 */
import type { Span } from "../base/span.js";
import { report } from "../messages/report.js";
import type { Dim } from "../types/dim.js";
import { constantDim, constantOf, mul } from "../types/dim.js";
import type { Grid, Positions, ValueType } from "../types/value-type.js";
import { anySpace, noPositions, printPositions, sameGrid } from "../types/value-type.js";
import type { BodyCx } from "./body.js";
import { batch, declareParam, emit, maskLength, useMask } from "./body.js";
import type { Builtin, Tensor } from "./builtin-call.js";
import { count, tensor, within } from "./builtin-call.js";
import { shapeText } from "./expr.js";
import { concatTokens, ofOneBatch } from "./positions.js";
import { poison } from "./values.js";
import type { Value } from "./values.js";

/** The built-in. */
export const rotary: Builtin = {
  formals: ["x", "heads", "base?"],
  run: (call) => {
    const x = tensor(call, "x");
    const heads = count(call, "heads");
    const base = within(call, "base", 10000, 2, 1e9);
    if (x === undefined || heads === undefined || base === undefined) return poison;
    const width = constantOf(x.type.shape.at(-1) ?? constantDim(0)) ?? 0;
    if (x.type.axes.at(-1) !== "feature" || width === 0) {
      call.cx.diagnostics.add(report("JEP3003", call.at, { what: "the operand of `rotary`", expected: "queries or keys with features", found: shapeText(x.type) }));
      return poison;
    }
    if (width % heads !== 0) {
      call.cx.diagnostics.add(report("JEP3011", call.at, { width, heads }));
      return x;
    }
    return turned(call.cx, x, { heads, base, head: width / heads }, call.at);
  },
};

interface Turn {
  readonly heads: number;
  readonly base: number;
  /** Features of a head. */
  readonly head: number;
}

function turned(cx: BodyCx, x: Tensor, turn: Turn, at: Span): Value {
  const { positions } = x.type;
  if (positions.kind === "opaque") {
    cx.attempt.needsPositions = true;
    return poison;
  }
  const grid = gridOf(positions);
  const sides = sidesOf(x.type, grid);
  if (sides === undefined) {
    cx.diagnostics.add(report("JEP3033", at, { found: printPositions(positions) }));
    return poison;
  }
  const pairs = Math.floor(turn.head / (2 * sides.length));
  if (pairs === 0) {
    cx.diagnostics.add(report("JEP3031", at, { head: turn.head, axes: sides.length, least: 2 * sides.length }));
    return x;
  }
  const angles = anglesOf(cx, x, sides, 2 * pairs * sides.length, turn, at);
  return angles === undefined ? poison : emit(cx, "rotate", [x.id, angles.id], { heads: turn.heads }, x.type, at);
}

/** The grid of tokens that all sit on one; `none` of a value that has no tokens; undefined where some sit nowhere, or elsewhere. */
function gridOf(positions: Positions): Grid | "none" | undefined {
  if (positions.kind === "none") return "none";
  if (positions.kind !== "concat") return positions.kind === "opaque" ? undefined : positions.grid;
  const [first, ...rest] = positions.parts.map((p) => gridOf(p.positions));
  return first !== undefined && first !== "none" && rest.every((g) => g !== undefined && g !== "none" && sameGrid(g, first)) ? first : undefined;
}

/** How many places there are along each axis: moments or frames first, then rows and columns. */
function sidesOf({ axes, shape }: ValueType, grid: Grid | "none" | undefined): readonly number[] | undefined {
  const time = axes.indexOf("time");
  const moments = time < 0 ? undefined : constantOf(shape[time] ?? constantDim(0));
  if (grid === undefined || (grid === "none" && (moments === undefined || axes.includes("token")))) return undefined;
  const before = moments === undefined ? [] : [moments];
  return grid === "none" ? before : [...before, ...(grid.frames === undefined ? [] : [grid.frames]), grid.rows, grid.cols];
}

/** The turns of the tokens of `x`: `[…, tokens, size]`, looked up where they sit. */
function anglesOf(cx: BodyCx, x: Tensor, sides: readonly number[], size: number, turn: Turn, at: Span): Tensor | undefined {
  const table = tableOf(cx, x.type, sides, size, turn.base, at);
  if (table === undefined) return undefined;
  const { positions } = x.type;
  if (positions.kind === "mask") return lookedUp(cx, x, table, positions, at);
  if (positions.kind !== "concat") return table;
  const parts: Tensor[] = [];
  for (const { positions: own } of positions.parts) {
    if (own.kind !== "mask" && own.kind !== "all") return undefined;
    const part = own.kind === "mask" ? lookedUp(cx, x, table, own, at) : spreadOut(cx, x, table, own.grid, at);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  const joined = concatTokens(cx, parts, at);
  return joined.kind === "tensor" ? joined : undefined;
}

function lookedUp(cx: BodyCx, x: Tensor, table: Tensor, { mask, grid }: Positions & { kind: "mask" }, at: Span): Tensor | undefined {
  const sets = cx.env.masks.get(mask)?.count ?? 1;
  if (x.type.positions.kind === "mask" && !ofOneBatch(cx, x.type, sets, at)) return undefined;
  useMask(cx, mask, grid, at);
  // A table of moments gives its rows for each of them.
  const moments = table.type.axes[0] === "time" ? table.type.shape.slice(0, 1) : [];
  const type: ValueType = { ...x.type, shape: [mul(batch, constantDim(sets)), ...moments, maskLength(mask), sizeOf(table)], positions: { kind: "mask", mask, grid }, space: anySpace };
  return emit(cx, "table_at", [table.id], { mask, grid }, type, at);
}

const sizeOf = (table: Tensor): Dim => table.type.shape.at(-1) ?? constantDim(0);

/** The whole table once for each image, to stand beside runs that have their own places in each. */
function spreadOut(cx: BodyCx, x: Tensor, table: Tensor, grid: Grid, at: Span): Tensor {
  const places = table.type.shape[0] ?? constantDim(0);
  return emit(cx, "expand_at", [table.id], { grid }, { ...x.type, shape: [batch, places, sizeOf(table)], positions: { kind: "all", grid }, space: anySpace }, at);
}

/** The fixed parameter with the turns of every place: the table is one for all heads, and each body has its own. */
function tableOf(cx: BodyCx, { axes, positions }: ValueType, sides: readonly number[], size: number, base: number, at: Span): Tensor | undefined {
  const time = axes.includes("time");
  const grid = gridOf(positions);
  const places = sides.reduce((n, side) => n * side, 1);
  // With an axis of moments the tokens of a moment are an axis of their own.
  const rows = time && grid !== "none" ? [sides[0] ?? 1, places / (sides[0] ?? 1)] : [places];
  const path = nameFor(cx, sides, size, base);
  if (!declareParam(cx, { path, shape: [...rows, size], stack: [], init: { kind: "rotary", sides, base }, role: "fixed", origin: at }, at)) return undefined;
  const own = [...(time ? (["time"] as const) : []), ...(grid === "none" ? [] : (["token"] as const)), "feature" as const];
  const type: ValueType = {
    shape: [...rows, size].map(constantDim), axes: own, dtype: "f32", space: anySpace, pending: undefined,
    positions: grid === undefined || grid === "none" ? noPositions : { kind: "all", grid },
  };
  return emit(cx, "param", [], { path }, type, at);
}

/** `rotary_8x8`; where a body turns heads of several widths, or by several bases, the others say theirs. */
function nameFor(cx: BodyCx, sides: readonly number[], size: number, base: number): string {
  const short = `rotary_${sides.join("x")}`;
  const names = [short, `${short}_${size}`, `${short}_${size}_${base}`];
  return names.find((name) => {
    const old = cx.params.get(name);
    return old === undefined || (old.shape.at(-1) === size && old.init.kind === "rotary" && old.init.base === base);
  }) ?? short;
}
