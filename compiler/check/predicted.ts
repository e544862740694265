/**
 * What to do where two sides of a comparison sit at different positions: to pick, to pool, or to predict the one from the other.
 *
 * Owns that choice, and the edit that puts a predictor in: what was picked at one mask is nowhere else, so that its tokens can
 * only be predicted at those of another. The edit is made where one side learns and is an encoder's own, and the other does
 * not; a predictor that the program has and that asks for positions is taken, else one is declared below the encoder. Whether
 * positions meet is `positions.ts`'s.
 */
import type { Span } from "../base/span.js";
import type { Fix, ReportExtras } from "../messages/report.js";
import { constantOf } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";
import type { BodyCx } from "./body.js";
import { visibleNames } from "./body.js";

/** One side: its type, its place, and the encoder whose output it is where a gradient at it trains that one. */
export interface Side {
  readonly type: ValueType;
  readonly span: Span;
  readonly learns: string | undefined;
}

/** Help and fix for two sides whose positions differ; nothing where the usual help says it. */
export function apartExtras(cx: BodyCx, a: Side, b: Side): ReportExtras {
  const [from, to] = [a.type.positions, b.type.positions];
  if (from.kind === "mask" && to.kind === "mask") {
    const [side, other] = a.learns === undefined && b.learns !== undefined ? [b, a] : [a, b];
    const target = other === b ? to.mask : from.mask;
    const fixes = side.learns !== undefined && other.learns === undefined ? putPredictor(cx, side, side.learns, other, target) : [];
    return { help: `Predict the tokens at \`${target}\` from the others: \`predict(…, at: ${target})\`, where \`predict\` is a predictor that asks for positions (\`vit_predictor\`).`, fixes };
  }
  const pooled = [a, b].find(({ type }) => type.positions.kind === "none" && !type.axes.includes("token"));
  const tokens = [a, b].find(({ type }) => type.axes.includes("token"));
  return pooled !== undefined && tokens !== undefined ? { help: "Pool both sides (`pool(x)`), or neither." } : {};
}

function putPredictor(cx: BodyCx, side: Side, encoder: string, other: Side, target: string): readonly Fix[] {
  const beside = cx.env.instances.get(encoder)?.instance;
  const width = side.type.shape.at(-1);
  const own = width === undefined ? undefined : constantOf(width);
  const wanted = other.type.shape.at(-1);
  if (cx.kind !== "model" || beside === undefined || own === undefined || wanted === undefined || constantOf(wanted) !== own || side.span.file !== other.span.file) return [];
  const ready = [...cx.env.instances.values()].find(({ instance: { role, module } }) => role === "predictor" && asksForPositions(cx, module))?.instance.name;
  if (ready === undefined && beside.origin.file !== side.span.file) return [];
  const name = ready ?? freeName(cx, "predict");
  const { start, end } = side.span;
  const line = { span: { ...beside.origin, start: beside.origin.end }, text: `\n  predictor ${name} = vit_predictor(${sizesOf(own, Number(beside.config["heads"] ?? 1))})` };
  return [{
    title: `Predict the tokens at \`${target}\``,
    edits: [...(ready === undefined ? [line] : []), { span: { ...side.span, end: start }, text: `${name}(` }, { span: { ...side.span, start: end }, text: `, at: ${target})` }],
  }];
}

/** Whether a module is applied to tokens and positions. */
function asksForPositions(cx: BodyCx, module: string): boolean {
  const inputs = cx.env.modules.get(module)?.inputs ?? [];
  return inputs.length === 2 && inputs[1]?.name.text === "at";
}

/** Half as wide as the encoder where that suits its heads and the code of positions (I-JEPA: narrow), else as wide. */
function sizesOf(width: number, heads: number): string {
  const half = width / 2;
  const split = Number.isInteger(heads) && heads > 0 && width % heads === 0 ? heads : 1;
  const narrow = half % 4 === 0 && half >= 16 && half % split === 0;
  return `width: ${narrow ? half : width}, depth: 2, heads: ${split}`;
}

function freeName(cx: BodyCx, wanted: string): string {
  const taken = new Set([...visibleNames(cx), ...cx.env.instances.keys(), ...cx.env.masks.keys(), ...cx.env.modules.keys()]);
  for (let i = 1; ; i++) {
    const name = i === 1 ? wanted : `${wanted}_${i}`;
    if (!taken.has(name)) return name;
  }
}
