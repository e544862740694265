/**
 * The attentive head: a learned query that reads the tokens of a frozen encoder, and a linear classifier.
 *
 * Owns its parameters and its gradient, in float64. The head is that of V-JEPA (Bardes et al., 2024, "Revisiting Feature Prediction for
 * Learning Visual Representations from Video", attentive probing): cross-attention of one query over all tokens, added to the query; a
 * layer norm and an MLP with GELU, added again; a linear map to the classes. With tokens x and parameters q, W, b:
 *
 *     y = W_o · concat_h(Σ_n softmax_n((W_q q + b_q)_h · (W_k x_n)_h / √d) (W_v x_n + b_v)_h) + b_o
 *     r = q + y;   t = r + MLP(norm(r));   logits = W_c t + b_c
 *
 * As there is one query, no key or value of a token is ever made: `(W_q q + b_q)_h · (W_k x_n)_h` is `u_h · x_n` with one u_h for the batch,
 * and weighted sums of values are W_v of weighted sums of tokens. That is the same function with a cost a token of 2 · heads · width
 * instead of 2 · width². Keys have no offset, which a softmax over them would not see. Data and recipe are `attentive.ts`'s.
 */
import { stream } from "../base/random.js";
import type { View } from "../base/product.js";
import { addProduct, transposed, view, within } from "../base/product.js";

/** The sizes of a head; `heads` divides `width`. */
export interface HeadShape {
  readonly width: number;
  readonly heads: number;
  readonly classes: number;
}

/** A head: all parameters in one array, and where each lies. */
export interface AttentiveHead {
  readonly shape: HeadShape;
  readonly values: Float64Array;
  readonly parts: Readonly<Record<PartName, Part>>;
}

/** A parameter of a head: matrices are `[in, out]`. */
export interface Part {
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
}

export type PartName = "query" | "wq" | "bq" | "wk" | "wv" | "bv" | "wo" | "bo" | "gain" | "shift" | "w1" | "b1" | "w2" | "b2" | "wc" | "bc";

/** Width of the MLP's middle, in widths (V-JEPA). */
const RATIO = 4;
/** Of the layer norm (V-JEPA). */
const EPS = 1e-6;

/** Where the parameters of a head lie. */
function headParts({ width, classes }: HeadShape): Readonly<Record<PartName, Part>> {
  let at = 0;
  const part = (rows: number, columns: number): Part => {
    const here = { at, rows, columns };
    at += rows * columns;
    return here;
  };
  return {
    query: part(1, width), wq: part(width, width), bq: part(1, width), wk: part(width, width), wv: part(width, width), bv: part(1, width), wo: part(width, width), bo: part(1, width),
    gain: part(1, width), shift: part(1, width), w1: part(width, RATIO * width), b1: part(1, RATIO * width), w2: part(RATIO * width, width), b2: part(1, width), wc: part(width, classes), bc: part(1, classes),
  };
}

/** Parts that weight decay is for: matrices and the query, as in training. */
export const DECAYED: readonly PartName[] = ["query", "wq", "wk", "wv", "wo", "w1", "w2", "wc"];

/** A new head for a seed: normal numbers of deviation 1/√(inputs), offsets 0, gains 1; `purpose` tells the heads of one seed apart. */
export function newHead(shape: HeadShape, seed: number, purpose: number = 0): AttentiveHead {
  const parts = headParts(shape);
  const values = new Float64Array(parts.bc.at + parts.bc.columns);
  DECAYED.forEach((name, i) => {
    const draws = stream(seed, "attentive head", purpose, i);
    const { at, rows, columns } = parts[name];
    // One row of `width` is the query: it begins as a token of deviation 1 over the width, like a row of a matrix.
    const deviation = 1 / Math.sqrt(name === "query" ? columns : rows);
    for (let j = 0; j < rows * columns; j++) values[at + j] = deviation * draws.normal();
  });
  values.fill(1, parts.gain.at, parts.gain.at + shape.width);
  return { shape, values, parts };
}

/** What a pass over a batch keeps for its gradient; each is `[batch, …]`. */
interface Pass {
  /** Per head of the attention, what tokens are multiplied with: `[heads, width]`. */
  readonly asked: Float64Array;
  readonly turned: Float64Array;
  /** `[batch, tokens, heads]`. */
  readonly attention: Float64Array;
  /** Weighted sums of tokens `[batch, heads, width]`. */
  readonly read: Float64Array;
  readonly values: Float64Array;
  readonly centered: Float64Array;
  readonly inverse: Float64Array;
  readonly normed: Float64Array;
  /** The MLP's middle: before its GELU, the GELU's hyperbolic tangent, and after. */
  readonly inside: Float64Array;
  readonly bent: Float64Array;
  readonly active: Float64Array;
  readonly top: Float64Array;
  readonly logits: Float64Array;
}

/** Logits `[batch, classes]` of tokens `[batch, tokens, width]`. */
export function headLogits(head: AttentiveHead, tokens: Float64Array, batch: number): Float64Array {
  return forward(head, tokens, batch).logits;
}

/**
 * The mean cross-entropy of a batch in nats. Adds its gradient to `gradient`, which lies as `head.values` does; `tokens` are
 * `[batch, tokens, width]`, labels class numbers.
 */
export function headGradient(head: AttentiveHead, tokens: Float64Array, labels: ArrayLike<number>, gradient: Float64Array): number {
  const batch = labels.length;
  const pass = forward(head, tokens, batch);
  const { classes } = head.shape;
  const slopes = pass.logits;
  let loss = 0;
  for (let b = 0; b < batch; b++) {
    const row = slopes.subarray(b * classes, (b + 1) * classes);
    softmax(row, 0, 1, classes);
    const label = labels[b] ?? 0;
    loss -= Math.log(Math.max(1e-300, row[label] ?? 0)) / batch;
    row[label] = (row[label] ?? 0) - 1;
    for (let c = 0; c < classes; c++) row[c] = (row[c] ?? 0) / batch;
  }
  backward(head, tokens, batch, pass, slopes, gradient);
  return loss;
}

function forward(head: AttentiveHead, tokens: Float64Array, batch: number): Pass {
  const { width, heads, classes } = head.shape;
  const { values: p, parts } = head;
  const [each, count, middle] = [width / heads, tokens.length / (batch * width), RATIO * width];
  const turned = rowsOf(p, parts.bq, 1);
  addProduct(view(turned, width), view(p, width, parts.query.at), matrix(p, parts.wq), 1, width, width);
  const asked = new Float64Array(heads * width);
  for (let h = 0; h < heads; h++) addProduct(view(asked, 1, h * width), within(matrix(p, parts.wk), 0, h * each), view(turned, 1, h * each), width, each, 1);
  for (let j = 0; j < asked.length; j++) asked[j] = (asked[j] ?? 0) / Math.sqrt(each);
  const attention = new Float64Array(batch * count * heads);
  addProduct(view(attention, heads), view(tokens, width), transposed(view(asked, width)), batch * count, width, heads);
  const read = new Float64Array(batch * heads * width);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) softmax(attention, b * count * heads + h, heads, count);
    addProduct(view(read, width, b * heads * width), transposed(view(attention, heads, b * count * heads)), view(tokens, width, b * count * width), heads, count, width);
  }
  const values = rowsOf(p, parts.bv, batch);
  for (let h = 0; h < heads; h++) addProduct(view(values, width, h * each), view(read, heads * width, h * width), within(matrix(p, parts.wv), 0, h * each), batch, width, each);
  const top = rowsOf(p, parts.bo, batch);
  addProduct(view(top, width), view(values, width), matrix(p, parts.wo), batch, width, width);
  for (let i = 0; i < top.length; i++) top[i] = (top[i] ?? 0) + (p[parts.query.at + (i % width)] ?? 0);
  const [centered, inverse, normed] = [new Float64Array(batch * width), new Float64Array(batch), new Float64Array(batch * width)];
  for (let b = 0; b < batch; b++) {
    inverse[b] = normalizeRow(top, centered, b * width, width);
    for (let j = 0; j < width; j++) normed[b * width + j] = (centered[b * width + j] ?? 0) * (p[parts.gain.at + j] ?? 0) + (p[parts.shift.at + j] ?? 0);
  }
  const inside = rowsOf(p, parts.b1, batch);
  addProduct(view(inside, middle), view(normed, width), matrix(p, parts.w1), batch, width, middle);
  const [bent, active] = [new Float64Array(inside.length), new Float64Array(inside.length)];
  for (let i = 0; i < inside.length; i++) {
    const value = inside[i] ?? 0;
    bent[i] = Math.tanh(ROOT * value * (1 + CUBIC * value * value));
    active[i] = 0.5 * value * (1 + (bent[i] ?? 0));
  }
  for (let i = 0; i < top.length; i++) top[i] = (top[i] ?? 0) + (p[parts.b2.at + (i % width)] ?? 0);
  addProduct(view(top, width), view(active, middle), matrix(p, parts.w2), batch, middle, width);
  const logits = rowsOf(p, parts.bc, batch);
  addProduct(view(logits, classes), view(top, width), matrix(p, parts.wc), batch, width, classes);
  return { asked, turned, attention, read, values, centered, inverse, normed, inside, bent, active, top, logits };
}

/** From the slopes of the logits to those of all parameters, last to first. */
function backward(head: AttentiveHead, tokens: Float64Array, batch: number, pass: Pass, slopes: Float64Array, gradient: Float64Array): void {
  const { width, classes } = head.shape;
  const { values: p, parts } = head;
  const middle = RATIO * width;
  addLinear(gradient, parts.wc, parts.bc, pass.top, slopes, batch);
  const dTop = new Float64Array(batch * width);
  addProduct(view(dTop, width), view(slopes, classes), transposed(matrix(p, parts.wc)), batch, classes, width);
  addLinear(gradient, parts.w2, parts.b2, pass.active, dTop, batch);
  const dInside = new Float64Array(batch * middle);
  addProduct(view(dInside, middle), view(dTop, width), transposed(matrix(p, parts.w2)), batch, width, middle);
  for (let i = 0; i < dInside.length; i++) dInside[i] = (dInside[i] ?? 0) * geluSlope(pass.inside[i] ?? 0, pass.bent[i] ?? 0);
  addLinear(gradient, parts.w1, parts.b1, pass.normed, dInside, batch);
  const dNormed = new Float64Array(batch * width);
  addProduct(view(dNormed, width), view(dInside, middle), transposed(matrix(p, parts.w1)), batch, middle, width);
  for (let b = 0; b < batch; b++) backThroughNorm(head, pass, b, dNormed, dTop, gradient);
  addRows(gradient, parts.query, dTop, batch);
  addLinear(gradient, parts.wo, parts.bo, pass.values, dTop, batch);
  const dValues = new Float64Array(batch * width);
  addProduct(view(dValues, width), view(dTop, width), transposed(matrix(p, parts.wo)), batch, width, width);
  addRows(gradient, parts.bv, dValues, batch);
  const dAsked = throughAttention(head, tokens, batch, pass, dValues, gradient);
  throughQuery(head, pass.turned, dAsked, gradient);
}

function throughAttention(head: AttentiveHead, tokens: Float64Array, batch: number, pass: Pass, dValues: Float64Array, gradient: Float64Array): Float64Array {
  const { width, heads } = head.shape;
  const { values: p, parts } = head;
  const [each, count] = [width / heads, tokens.length / (batch * width)];
  const dRead = new Float64Array(batch * heads * width);
  for (let h = 0; h < heads; h++) {
    const slopes = view(dValues, width, h * each);
    addProduct(within(matrix(gradient, parts.wv), 0, h * each), transposed(view(pass.read, heads * width, h * width)), slopes, width, batch, each);
    addProduct(view(dRead, heads * width, h * width), slopes, transposed(within(matrix(p, parts.wv), 0, h * each)), batch, each, width);
  }
  const dScores = new Float64Array(batch * count * heads);
  for (let b = 0; b < batch; b++) {
    const at = b * count * heads;
    addProduct(view(dScores, heads, at), view(tokens, width, b * count * width), transposed(view(dRead, width, b * heads * width)), count, width, heads);
    for (let h = 0; h < heads; h++) {
      let mean = 0;
      for (let i = at + h; i < at + count * heads; i += heads) mean += (dScores[i] ?? 0) * (pass.attention[i] ?? 0);
      for (let i = at + h; i < at + count * heads; i += heads) dScores[i] = ((dScores[i] ?? 0) - mean) * (pass.attention[i] ?? 0);
    }
  }
  const dAsked = new Float64Array(heads * width);
  addProduct(view(dAsked, width), transposed(view(dScores, heads)), view(tokens, width), heads, batch * count, width);
  for (let i = 0; i < dAsked.length; i++) dAsked[i] = (dAsked[i] ?? 0) / Math.sqrt(each);
  return dAsked;
}

function throughQuery(head: AttentiveHead, turned: Float64Array, dAsked: Float64Array, gradient: Float64Array): void {
  const { width, heads } = head.shape;
  const { values: p, parts } = head;
  const each = width / heads;
  const dTurned = new Float64Array(width);
  for (let h = 0; h < heads; h++) {
    const slopes = view(dAsked, 1, h * width);
    addProduct(within(matrix(gradient, parts.wk), 0, h * each), slopes, view(turned, each, h * each), width, 1, each);
    addProduct(view(dTurned, 1, h * each), transposed(within(matrix(p, parts.wk), 0, h * each)), slopes, each, width, 1);
  }
  addLinear(gradient, parts.wq, parts.bq, p.subarray(parts.query.at, parts.query.at + width), dTurned, 1);
  addProduct(view(gradient, width, parts.query.at), view(dTurned, width), transposed(matrix(p, parts.wq)), 1, width, width);
}

/** Through `centered * gain + shift` of a row and its normalization; adds to `dTop`, where the residual's slope is already. */
function backThroughNorm({ shape: { width }, values: p, parts }: AttentiveHead, { centered, inverse }: Pass, b: number, dNormed: Float64Array, dTop: Float64Array, gradient: Float64Array): void {
  let [mean, along] = [0, 0];
  for (let j = 0; j < width; j++) {
    const [slope, x] = [dNormed[b * width + j] ?? 0, centered[b * width + j] ?? 0];
    gradient[parts.gain.at + j] = (gradient[parts.gain.at + j] ?? 0) + slope * x;
    gradient[parts.shift.at + j] = (gradient[parts.shift.at + j] ?? 0) + slope;
    const scaled = slope * (p[parts.gain.at + j] ?? 0);
    mean += scaled / width;
    along += (scaled * x) / width;
  }
  for (let j = 0; j < width; j++) {
    const i = b * width + j;
    dTop[i] = (dTop[i] ?? 0) + (inverse[b] ?? 0) * ((dNormed[i] ?? 0) * (p[parts.gain.at + j] ?? 0) - mean - (centered[i] ?? 0) * along);
  }
}

/** Writes a row with mean 0 and deviation 1 to `out`; returns what its differences to the mean were multiplied with. */
function normalizeRow(from: Float64Array, out: Float64Array, at: number, width: number): number {
  let mean = 0;
  for (let j = at; j < at + width; j++) mean += (from[j] ?? 0) / width;
  let variance = 0;
  for (let j = at; j < at + width; j++) variance += ((from[j] ?? 0) - mean) ** 2 / width;
  const inverse = 1 / Math.sqrt(variance + EPS);
  for (let j = at; j < at + width; j++) out[j] = ((from[j] ?? 0) - mean) * inverse;
  return inverse;
}

/** The gradient of `x · w + b` with respect to w and b. */
function addLinear(gradient: Float64Array, w: Part, b: Part, x: Float64Array, slopes: Float64Array, batch: number): void {
  addProduct(matrix(gradient, w), transposed(view(x, w.rows)), view(slopes, w.columns), w.rows, batch, w.columns);
  addRows(gradient, b, slopes, batch);
}

function addRows(gradient: Float64Array, part: Part, rows: Float64Array, batch: number): void {
  for (let i = 0; i < batch * part.columns; i++) {
    const at = part.at + (i % part.columns);
    gradient[at] = (gradient[at] ?? 0) + (rows[i] ?? 0);
  }
}

function matrix(data: Float64Array, { at, columns }: Part): View {
  return view(data, columns, at);
}

/** As many rows of a row. */
function rowsOf(data: Float64Array, { at, columns }: Part, count: number): Float64Array {
  const out = new Float64Array(count * columns);
  for (let i = 0; i < count; i++) out.set(data.subarray(at, at + columns), i * columns);
  return out;
}

function softmax(data: Float64Array, at: number, stride: number, count: number): void {
  let top = -Infinity;
  for (let n = 0; n < count; n++) top = Math.max(top, data[at + n * stride] ?? 0);
  let total = 0;
  for (let n = 0; n < count; n++) {
    const value = Math.exp((data[at + n * stride] ?? 0) - top);
    data[at + n * stride] = value;
    total += value;
  }
  for (let n = 0; n < count; n++) data[at + n * stride] = (data[at + n * stride] ?? 0) / total;
}

/** GELU in its form with a hyperbolic tangent (Hendrycks and Gimpel, 2016, section 2): x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))). */
const ROOT = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** The slope of GELU at x, given its hyperbolic tangent. */
function geluSlope(x: number, bent: number): number {
  return 0.5 * (1 + bent) + 0.5 * x * (1 - bent * bent) * ROOT * (1 + 3 * CUBIC * x * x);
}
