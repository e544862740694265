/**
 * Positions: picking tokens at a mask, adding position tables, joining runs of tokens.
 *
 * Owns the rules that change or read the positions of a value: `at`, `spread`, `concat`, tables, `patches`, `tubes`. The point
 * of the rules is that an index never loses its provenance: a table is always looked up at the very positions that the
 * tokens came from (the classic mistake is to number the kept tokens 0…k-1), and tokens of different positions never meet.
 * Leaves which masks are disjoint to the mask analysis.
 */
import type { Span } from "../base/span.js";
import { report } from "../messages/report.js";
import type { Initializer } from "../../runtime/abi.js";
import type { Dim } from "../types/dim.js";
import { add, constantDim, constantOf, equal, mul, total } from "../types/dim.js";
import type { Grid, Positions, ValueType } from "../types/value-type.js";
import { anySpace, placesOf, printPositions, sameGrid, samePositions, valuesOf } from "../types/value-type.js";
import type { BodyCx } from "./body.js";
import { batch, declareParam, emit, maskLength, useMask } from "./body.js";
import { multipleOf, shapeText } from "./expr.js";
import { poison } from "./values.js";
import type { Value } from "./values.js";

type Tensor = Value & { kind: "tensor" };

/** `value at mask`. On an image the choice waits for the patch embedding; on a concat it picks the run of that mask. */
export function placeAt(cx: BodyCx, value: Tensor, mask: string, at: Span): Value {
  const type = value.type;
  if (type.axes.includes("height")) return emit(cx, "at", [value.id], { mask }, { ...type, pending: mask }, at);
  if (isVector(type)) return spread(cx, value, mask, at);
  switch (type.positions.kind) {
    case "opaque":
      cx.attempt.needsPositions = true;
      return poison;
    case "all": return gather(cx, value, mask, type.positions.grid, at);
    case "concat": return pickRun(cx, value, type.positions.parts, mask, at);
    case "mask":
      if (type.positions.mask === mask) return value;
      break;
    case "none": break;
  }
  const picked = type.positions.kind === "mask" ? { help: `Apply \`at\` to tokens of the whole grid, or predict those at \`${mask}\` from these: \`predict(…, at: ${mask})\`.` } : {};
  cx.diagnostics.add(report("JEP3007", at, { mask, found: printPositions(type.positions) }, picked));
  return poison;
}

/** One vector of features; leading axes of size 1 are allowed, as in a mask token `[1, 1, width]`. */
function isVector(type: ValueType): boolean {
  return !type.axes.includes("batch") && type.axes.at(-1) === "feature" && type.shape.slice(0, -1).every((d) => constantOf(d) === 1);
}

function gather(cx: BodyCx, value: Tensor, mask: string, grid: Grid, at: Span): Value {
  if (!ofOneBatch(cx, value.type, 1, at)) return poison;
  useMask(cx, mask, grid, at);
  const copies = constantDim(maskCount(cx, mask));
  const shape = value.type.shape.map((d, i) => (i === 0 ? mul(d, copies) : value.type.axes[i] === "token" ? maskLength(mask) : d));
  return emit(cx, "at", [value.id], { mask, grid }, { ...value.type, shape, positions: { kind: "mask", mask, grid }, pending: undefined }, at);
}

function pickRun(cx: BodyCx, value: Tensor, parts: (Positions & { kind: "concat" })["parts"], mask: string, at: Span): Value {
  let start: Dim = constantDim(0);
  for (const part of parts) {
    if (part.positions.kind === "mask" && part.positions.mask === mask) {
      if (maskCount(cx, mask) === outerSets(cx, value.type, parts)) {
        cx.diagnostics.add(report("JEP3007", at, { mask, found: `${printPositions(value.type.positions)}, where each of its sets stands several times in a row` }, { help: "Pick the other tokens, or look at one context at a time." }));
        return poison;
      }
      const shape = value.type.shape.map((d, i) => (i === 1 ? part.length : d));
      return emit(cx, "at", [value.id], { mask, select: { start, length: part.length } }, { ...value.type, shape, positions: part.positions }, at);
    }
    start = add(start, part.length);
  }
  cx.diagnostics.add(report("JEP3007", at, { mask, found: printPositions(value.type.positions) }));
  return poison;
}

/** Whether tokens are those of a batch of images, in so many sets for each; a union's rows are more than a mask has places for. */
export function ofOneBatch(cx: BodyCx, type: ValueType, sets: number, at: Span): boolean {
  const batches = (multipleOf(type.shape[0] ?? batch, batch) ?? sets) / sets;
  if (batches === 1) return true;
  cx.diagnostics.add(report("JEP3022", at, { batches }));
  return false;
}

/** How many sets per image a mask draws. */
function maskCount(cx: BodyCx, mask: string): number {
  return cx.env.masks.get(mask)?.count ?? 1;
}

/** One copy of a vector at each position of a mask (the mask token of a predictor, MAE 3 and I-JEPA 3.2). */
export function spread(cx: BodyCx, vector: Tensor, mask: string, at: Span): Value {
  const known = cx.env.masks.get(mask)?.grid;
  const grids = known === undefined ? gridsHere(cx) : [];
  const grid = known ?? grids.find((g) => g !== "opaque");
  const width = vector.type.shape.at(-1);
  if (width === undefined || !isVector(vector.type)) {
    cx.diagnostics.add(report("JEP3003", at, { what: "the vector to spread", expected: "one vector of features", found: shapeText(vector.type) }));
    return poison;
  }
  if (grid === undefined) {
    if (grids.some((g) => g === "opaque")) cx.attempt.needsPositions = true;
    else cx.diagnostics.add(report("JEP3009", at, { mask }));
    return poison;
  }
  useMask(cx, mask, grid, at);
  const shape = [mul(batch, constantDim(maskCount(cx, mask))), maskLength(mask), width];
  const type: ValueType = { shape, axes: ["batch", "token", "feature"], positions: { kind: "mask", mask, grid }, space: anySpace, dtype: "f32", pending: undefined };
  return emit(cx, "expand_at", [vector.id], { mask, grid }, type, at);
}

/** Grids of the tokens that a body is given (a model: that it has made so far, the latest first). */
function gridsHere(cx: BodyCx): (Grid | "opaque")[] {
  const nodes = cx.kind === "model" ? cx.nodes.toReversed() : cx.inputs.flatMap((id) => cx.nodes[id] ?? []);
  return nodes.flatMap(({ type: { positions } }): (Grid | "opaque")[] => {
    if (positions.kind === "opaque") return ["opaque"];
    if (positions.kind === "concat") return positions.parts.flatMap((p) => (p.positions.kind === "all" || p.positions.kind === "mask" ? [p.positions.grid] : []));
    return positions.kind === "none" ? [] : [positions.grid];
  });
}

/** `replace(x, vector, at: mask)`: the tokens at the positions of a mask give way to one vector (BEiT, data2vec 3.1). */
export function replaceAt(cx: BodyCx, x: Tensor, vector: Tensor, mask: string, at: Span): Value {
  const { positions } = x.type;
  if (positions.kind === "opaque") {
    cx.attempt.needsPositions = true;
    return poison;
  }
  if (positions.kind !== "all" || maskCount(cx, mask) !== 1) {
    cx.diagnostics.add(report("JEP3007", at, { mask, found: positions.kind === "all" ? `all positions, as it draws ${maskCount(cx, mask)} sets` : printPositions(positions) }));
    return poison;
  }
  const width = x.type.shape.at(-1);
  const own = vector.type.shape.at(-1);
  if (width === undefined || own === undefined || !isVector(vector.type) || !equal(width, own)) {
    cx.diagnostics.add(report("JEP3001", at, { op: "replace", left: shapeText(x.type), right: shapeText(vector.type) }));
    return poison;
  }
  if (!ofOneBatch(cx, x.type, 1, at)) return poison;
  useMask(cx, mask, positions.grid, at);
  return emit(cx, "replace_at", [x.id, vector.id], { mask, grid: positions.grid }, x.type, at);
}

/** Whether a table of this kind can be so wide that no two positions have one code; reports where not. */
export function codes(cx: BodyCx, name: "sincos2d" | "sincos3d", width: number, at: Span): boolean {
  if (name === "sincos2d" ? width % 4 === 0 : width % 2 === 0 && width >= 10) return true;
  const two = name === "sincos2d";
  const help = two ? "Use a multiple of 4." : "Use an even number from 10.";
  cx.diagnostics.add(report("JEP3012", at, { table: two ? "two-dimensional" : "three-dimensional", needs: two ? "a width divisible by 4" : "an even width of at least 10", width }, { help }));
  return false;
}

/** The table that fits a grid: `sincos` has three dimensions where tokens are tubes, and two elsewhere. Undefined after a report. */
function tableFor(cx: BodyCx, { name, width, span }: Value & { kind: "table" }, { rows, cols, frames }: Grid, at: Span): Initializer | undefined {
  const kind = name !== "sincos" ? name : frames === undefined ? "sincos2d" : "sincos3d";
  if (!codes(cx, kind, width, span)) return undefined;
  if (kind === "sincos2d") return { kind, rows, cols, ...(frames === undefined ? {} : { frames }) };
  if (frames !== undefined) return { kind, frames, rows, cols };
  cx.diagnostics.add(report("JEP3003", at, { what: "what `sincos3d` is added to", expected: "tokens of `tubes`", found: "patches of single pictures" }, { help: "`sincos2d` codes rows and columns; `sincos` takes the table that fits." }));
  return undefined;
}

/** Adds a sine-cosine table to tokens, looked up where they sit. The table is the fixed parameter `pos_embed`. */
export function addTable(cx: BodyCx, x: Tensor, table: Value & { kind: "table" }, at: Span): Value {
  const positions = x.type.positions;
  if (positions.kind === "opaque") {
    cx.attempt.needsPositions = true;
    return poison;
  }
  const width = x.type.shape.at(-1);
  if (positions.kind !== "all" && positions.kind !== "mask") {
    cx.diagnostics.add(report("JEP3010", at, { found: printPositions(positions) }));
    return poison;
  }
  if (width === undefined || constantOf(width) !== table.width) {
    cx.diagnostics.add(report("JEP3001", at, { op: "+", left: shapeText(x.type), right: `[positions, ${table.width}]` }));
    return poison;
  }
  const { grid } = positions;
  const size = placesOf(grid);
  const init = tableFor(cx, table, grid, at);
  if (init === undefined) return poison;
  const path = tableName(cx, grid, init.kind);
  if (!declareParam(cx, { path, shape: [size, table.width], stack: [], init, role: "fixed", origin: table.span }, at)) return poison;
  const type: ValueType = { shape: [constantDim(size), width], axes: ["token", "feature"], positions: { kind: "all", grid }, space: anySpace, dtype: "f32", pending: undefined };
  const param = emit(cx, "param", [], { path }, type, table.span);
  if (positions.kind === "all") return emit(cx, "add", [x.id, param.id], {}, x.type, at);
  if (!ofOneBatch(cx, x.type, maskCount(cx, positions.mask), at)) return poison;
  useMask(cx, positions.mask, grid, at);
  const moments = x.type.axes.includes("time") ? constantOf(x.type.shape[1] ?? constantDim(0)) : undefined;
  const rows = emit(cx, "table_at", [param.id], { mask: positions.mask, grid, ...(moments === undefined ? {} : { size: moments }) }, { ...x.type, space: anySpace }, table.span);
  return emit(cx, "add", [x.id, rows.id], {}, x.type, at);
}

/** The first table that a program looks up is `pos_embed`; those of further grids say their size, and those of another kind theirs. */
function tableName(cx: BodyCx, grid: Grid, kind: Initializer["kind"]): string {
  const first = (cx.env.tableGrid.first ??= { grid, kind });
  if (sameGrid(first.grid, grid) && first.kind === kind) return "pos_embed";
  return `pos_embed_${grid.rows}x${grid.cols}${grid.frames === undefined ? "" : `x${grid.frames}${kind === "sincos3d" ? "_3d" : ""}`}`;
}

/** Height and width of a patch, in pixels. */
export type Sides = readonly [number, number];

/** A grid of patches of these sides, where they tile the image. */
function gridOver(height: number, width: number, channels: number, [high, wide]: Sides): Grid | undefined {
  if (height % high !== 0 || width % wide !== 0) return undefined;
  return { rows: height / high, cols: width / wide, patch: high, channels, ...(wide === high ? {} : { across: wide }) };
}

/** `patches(image, patch)`: `[B, tokens, height · width of a patch · channels]`, in the pixel space; only the chosen ones of `image at mask`. */
export function patches(cx: BodyCx, image: Tensor, patch: Sides, at: Span): Value {
  const timed = image.type.axes.includes("time");
  const [rows, ...sizes] = image.type.shape;
  const moments = timed ? sizes[0] : undefined;
  const [h, w, c] = timed ? sizes.slice(1) : sizes;
  const height = h === undefined ? undefined : constantOf(h);
  const width = w === undefined ? undefined : constantOf(w);
  const channels = c === undefined ? undefined : constantOf(c);
  if (rows === undefined || height === undefined || width === undefined || channels === undefined || !image.type.axes.includes("height")) {
    cx.diagnostics.add(report("JEP3003", at, { what: "the operand of `patches`", expected: "an image", found: shapeText(image.type) }));
    return poison;
  }
  const grid = gridOver(height, width, channels, patch);
  if (grid === undefined) {
    // Other libraries put the channels first: `Image[3, 32, 32]` is an image of 3 rows with 32 bands.
    const turned = !timed && (height === 1 || height === 3) && width === channels;
    const [high, wide] = patch;
    // A signal is a picture of one row: what is said of its patches is their length.
    const line = high !== wide ? undefined : height === 1 && width % wide === 0 ? `[1, ${wide}]` : width === 1 && height % high === 0 ? `[${high}, 1]` : undefined;
    const help = turned ? `An image is \`Image[height, width, channels]\`: write \`Image[${width}, ${channels}, ${height}]\`.` : line === undefined ? undefined : `Patches of two sides are a list of height and width: \`patch: ${line}\`.`;
    const extras = help === undefined ? {} : { help };
    cx.diagnostics.add(report("JEP3005", at, { what: `A ${height}x${width} image`, parts: `${patch.join("x")} patches` }, extras));
    return poison;
  }
  const shape = [rows, ...(moments === undefined ? [] : [moments]), constantDim(grid.rows * grid.cols), constantDim(valuesOf(grid))];
  const type: ValueType = { shape, axes: timed ? ["batch", "time", "token", "feature"] : ["batch", "token", "feature"], positions: { kind: "all", grid }, space: { kind: "pixels" }, dtype: "f32", pending: undefined };
  const all = emit(cx, "patches", [image.id], { patch: grid.patch, grid }, type, at);
  return image.type.pending === undefined ? all : gather(cx, all, image.type.pending, grid, at);
}

/** `tubes(video, patch, frames)`: tokens of `frames` frames each, on a grid that also runs along time (V-JEPA 3). */
export function tubes(cx: BodyCx, video: Tensor, patch: Sides, frames: number, at: Span): Value {
  const [rows, ...sizes] = video.type.shape;
  const [moments, height, width, channels] = sizes.map(constantOf);
  if (rows === undefined || moments === undefined || height === undefined || width === undefined || channels === undefined || !video.type.axes.includes("time") || !video.type.axes.includes("height")) {
    cx.diagnostics.add(report("JEP3003", at, { what: "the operand of `tubes`", expected: "a video", found: shapeText(video.type) }));
    return poison;
  }
  const plane = gridOver(height, width, channels, patch);
  if (plane === undefined || moments % frames !== 0) {
    const help = plane !== undefined ? "Choose a number of frames for each tube that divides those of the clip." : moments % frames === 0 ? undefined : "Choose a patch size that divides both sides, and a number of frames for each tube that divides those of the clip.";
    const numbers = { what: `A clip of ${moments} ${moments === 1 ? "frame" : "frames"} of ${height}x${width}`, parts: `tubes of ${frames} ${frames === 1 ? "frame" : "frames"} of ${patch.join("x")}` };
    cx.diagnostics.add(report("JEP3005", at, numbers, help === undefined ? {} : { help }));
    return poison;
  }
  const grid: Grid = { ...plane, frames: moments / frames, tube: frames };
  const shape = [rows, constantDim(placesOf(grid)), constantDim(valuesOf(grid))];
  const type: ValueType = { shape, axes: ["batch", "token", "feature"], positions: { kind: "all", grid }, space: { kind: "pixels" }, dtype: "f32", pending: undefined };
  const all = emit(cx, "patches", [video.id], { patch: grid.patch, grid, size: frames }, type, at);
  return video.type.pending === undefined ? all : gather(cx, all, video.type.pending, grid, at);
}

/**
 * Runs of tokens one after the other. A run of one set for each image (one context for four targets) is repeated to fit; of as many
 * sets, the first goes with the first; of other numbers each goes with each (I-JEPA's code, for several contexts): the sets of the
 * run that comes first are then the outer ones, so that the rows are those of a union of one batch for each context.
 */
export function concatTokens(cx: BodyCx, items: readonly Tensor[], at: Span): Value {
  // A learned vector, a picture or a pooled value is no run of tokens that others could follow.
  const other = items.findIndex((x) => x.type.axes[0] !== "batch" || x.type.axes.at(-1) !== "feature" || !x.type.axes.includes("token"));
  const first = items[0];
  const features = first?.type.shape.at(-1);
  if (other >= 0 || first === undefined || features === undefined) {
    const found = items[other]?.type;
    const help = found === undefined || !isVector(found) ? {} : { help: "A learned vector stands at positions by `spread(vector, at: mask)`; there is no token beside those of positions." };
    cx.diagnostics.add(report("JEP3003", at, { what: found === undefined ? "what `concat` joins" : `operand ${other + 1} of \`concat\``, expected: "tokens, a run of them for each image", found: found === undefined ? "nothing" : shapeText(found) }, help));
    return poison;
  }
  const sets = items.map((x) => multipleOf(rowsOf(x) ?? batch, batch) ?? 1);
  const [outer = 1, inner = 1, ...more] = [...new Set(sets)].filter((n) => n > 1);
  const widest = items.reduce((best, x) => (rowsOf(x) !== undefined && rowsOf(best) !== undefined && (multipleOf(rowsOf(x) ?? batch, rowsOf(best) ?? batch) ?? 0) > 1 ? x : best), first);
  const rows = inner > 1 ? mul(batch, constantDim(outer * inner)) : rowsOf(widest);
  if (rows === undefined) return poison;
  // Sets that are counted by no mask may be pairs already.
  const pairable = inner === 1 || (more.length === 0 && outer * inner <= mostPairs && items.every((x, i) => sets[i] === 1 || (x.type.positions.kind === "mask" && maskCount(cx, x.type.positions.mask) === sets[i])));
  if (!pairable) {
    cx.diagnostics.add(report("JEP3021", at, { sets: outer, most: more.at(-1) ?? inner }));
    return poison;
  }
  for (const item of items) {
    const own = rowsOf(item);
    const width = item.type.shape.at(-1);
    const fits = item.type.axes.join() === "batch,token,feature" && own !== undefined && multipleOf(rows, own) !== undefined;
    if (fits && width !== undefined && equal(width, features)) continue;
    if (item.type.axes.includes("time") && item.type.axes.includes("token")) {
      const help = "An encoder of tubes (`video_vit`) gives one run of tokens for a clip, of which some can be predicted from others. What an encoder of pictures gives for each frame can be pooled, and goes on by `earlier` and `later`.";
      cx.diagnostics.add(report("JEP3003", at, { what: "an operand of `concat`", expected: "one run of tokens", found: `a run for each frame, ${shapeText(item.type)}` }, { help }));
      return poison;
    }
    cx.diagnostics.add(report("JEP3001", at, { op: "concat", left: shapeText(first.type), right: shapeText(item.type) }));
    return poison;
  }
  const runs = items.map((x, i) => (inner > 1 && sets[i] === outer ? eachAgain(cx, x, outer, inner, at) : x));
  const lengths = items.map((x) => x.type.shape[1] ?? constantDim(0));
  const parts = items.flatMap((x, i) => {
    const p = x.type.positions;
    return p.kind === "concat" ? p.parts : [{ positions: p, length: lengths[i] ?? constantDim(0) }];
  });
  const type: ValueType = { ...first.type, shape: [rows, total(lengths), features], positions: { kind: "concat", parts } };
  return emit(cx, "concat", runs.map((x) => x.id), {}, type, at);
}

/** More pairs of sets for each image are refused. */
const mostPairs = 256;

/** Every set of a run so many times in a row. */
function eachAgain(cx: BodyCx, x: Tensor, sets: number, times: number, at: Span): Tensor {
  const one: ValueType = { ...x.type, shape: [batch, ...x.type.shape.slice(1)] };
  const rows = Array.from({ length: sets }, (_, index) => emit(cx, "slice_batch", [x.id], { index, count: sets }, one, at).id);
  return emit(cx, "union", rows.flatMap((id) => Array.from({ length: times }, () => id)), {}, { ...x.type, shape: [mul(batch, constantDim(sets * times)), ...x.type.shape.slice(1)] }, at);
}

/** The sets of the outer run, where tokens are those of each set with each of another number of sets; undefined elsewhere. */
function outerSets(cx: BodyCx, type: ValueType, parts: (Positions & { kind: "concat" })["parts"]): number | undefined {
  const [outer = 1, inner = 1] = [...new Set(parts.map(({ positions: p }) => (p.kind === "mask" ? maskCount(cx, p.mask) : 1)))].filter((n) => n > 1);
  return inner > 1 && equal(type.shape[0] ?? batch, mul(batch, constantDim(outer * inner))) ? outer : undefined;
}

/** The tokens of a mask again for each batch of a union that is compared with them: several contexts have one set of targets. */
export function againFor(cx: BodyCx, own: Tensor, other: Tensor, at: Span): Tensor {
  const { positions, shape } = own.type;
  if (positions.kind !== "mask" || !samePositions(positions, other.type.positions)) return own;
  const [rows, most] = [rowsOf(own), rowsOf(other)];
  const times = rows === undefined || most === undefined ? undefined : multipleOf(most, rows);
  if (times === undefined || times < 2 || times > mostPairs || most === undefined || multipleOf(rows ?? batch, batch) !== maskCount(cx, positions.mask)) return own;
  return emit(cx, "union", Array.from({ length: times }, () => own.id), {}, { ...own.type, shape: [most, ...shape.slice(1)] }, at);
}

function rowsOf(x: Tensor): Dim | undefined {
  return x.type.axes[0] === "batch" ? x.type.shape[0] : undefined;
}

/** Whether two values may be compared token by token. */
export function positionsMeet(a: ValueType, b: ValueType): boolean {
  return samePositions(a.positions, b.positions);
}
