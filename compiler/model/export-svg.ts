/**
 * The model graph as an SVG that a person likes to look at.
 *
 * Owns the look: a title, boxes by kind (shape and color both, so that it reads without color), arrows that say whether a
 * gradient comes back along them, bars where it is stopped, dashes for moving averages, dots for masks, a legend of what
 * occurs. Light and dark follow the reader's setting through a media query. Text is measured by a table of approximate
 * widths, there being no font here. Everything that comes from the program is escaped; the file has no script, no link
 * and no external resource. What is shown is `diagram.ts`'s choice, where it goes is `layout.ts`'s.
 */
import type { Arrow, Box, BoxKind, Diagram } from "./diagram.js";
import { diagram } from "./diagram.js";
import type { ModelGraph } from "./ir.js";
import type { Layout, Placed, Point } from "./layout.js";
import { layout } from "./layout.js";
import { escapeXml, fit, textWidth } from "./text.js";

/** How to draw. */
export interface SvgOptions {
  /** `auto` follows the reader's color scheme. */
  readonly theme?: "auto" | "light" | "dark";
}

const margin = 28;
const headHeight = 62;
const mostWidth = 290;

interface Line {
  readonly text: string;
  readonly style: "title" | "small" | "name" | "type" | "op";
}

const styles: Readonly<Record<Line["style"], { readonly size: number; readonly advance: number; readonly mono: boolean; readonly bold: boolean }>> = {
  title: { size: 15, advance: 20, mono: false, bold: true },
  op: { size: 13, advance: 18, mono: false, bold: false },
  small: { size: 11, advance: 16, mono: false, bold: false },
  name: { size: 12, advance: 17, mono: false, bold: true },
  type: { size: 10.5, advance: 15, mono: true, bold: false },
};

/** The picture as SVG text. */
export function toSvg(graph: ModelGraph, options: SvgOptions = {}): string {
  const content = diagram(graph);
  const texts = new Map(content.boxes.map((box) => [box.id, linesOf(box)]));
  const placed = layout(content.boxes.map((box) => ({ id: box.id, ...sizeOf(box, texts.get(box.id) ?? []) })), content.arrows.filter((a) => a.kind !== "ema"), {
    gapX: 30, gapY: 50,
    level: content.arrows.flatMap((a) => (a.kind === "ema" ? [{ from: a.from, to: a.to, space: textWidth(a.label ?? "", 11) + 36 }] : [])),
  });
  const key = legend(content);
  const titleWidth = textWidth(content.title, 20, true);
  const width = Math.ceil(Math.max(placed.width + bulge(content, placed), Math.min(900, key.width), titleWidth, textWidth(content.subtitle, 12)) + 2 * margin);
  const keyed = wrapLegend(key.items, width - 2 * margin);
  const height = Math.ceil(headHeight + margin + placed.height + 34 + keyed.height + 14);
  const dx = margin + Math.max(0, (width - 2 * margin - placed.width - bulge(content, placed)) / 2);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="jepac-graph" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(`model graph of ${content.title}`)}" font-family="Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif">`,
    `<style>${styleSheet(options.theme ?? "auto")}</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="10"/>`,
    `<text class="ink" x="${margin}" y="40" font-size="20" font-weight="700">${escapeXml(content.title)}</text>`,
    `<text class="soft" x="${margin}" y="60" font-size="12">${escapeXml(content.subtitle)}</text>`,
    `<g transform="translate(${round(dx)} ${headHeight + margin})">`,
    ...drawArrows(content, placed),
    ...content.boxes.map((box) => drawBox(box, placed.nodes.get(box.id), texts.get(box.id) ?? [])),
    ...content.arrows.flatMap((a) => (a.kind === "ema" ? [drawAverage(a, placed, content)] : [])),
    "</g>",
    `<g transform="translate(${margin} ${height - keyed.height - 14})">${keyed.svg}</g>`,
    "</svg>",
    "",
  ].join("\n");
}

function linesOf(box: Box): Line[] {
  const lines: Line[] = [{ text: box.title, style: box.kind === "op" ? "op" : "title" }];
  for (const text of box.details) lines.push({ text, style: "small" });
  if (box.value !== undefined) lines.push({ text: box.value, style: "name" });
  if (box.shape !== undefined) lines.push({ text: box.shape, style: "type" });
  if (box.place !== undefined) lines.push({ text: box.place, style: "small" });
  return lines.map((line) => ({ ...line, text: fit(line.text, mostWidth, styles[line.style].size, styles[line.style]) }));
}

const lineWidth = (line: Line): number => textWidth(line.text, styles[line.style].size, styles[line.style].bold, styles[line.style].mono);
const separated = (box: Box): boolean => box.shape !== undefined && box.kind !== "op" && box.kind !== "input" && box.kind !== "view";

const paddings: Readonly<Record<BoxKind, number>> = { input: 46, view: 46, mask: 40, loss: 44, encoder: 30, predictor: 30, head: 30, op: 26 };

function sizeOf(box: Box, lines: readonly Line[]): { width: number; height: number } {
  const width = Math.max(76, ...lines.map(lineWidth)) + paddings[box.kind];
  return { width: Math.ceil(width), height: lines.reduce((h, l) => h + styles[l.style].advance, 0) + (separated(box) ? 24 : 14) };
}

function drawBox(box: Box, at: Placed | undefined, lines: readonly Line[]): string {
  if (at === undefined) return "";
  const x = round(at.x - at.width / 2);
  const parts = [`<g class="box ${box.kind} ${box.state}"><title>${escapeXml(box.tip)}</title>`, outline(box, x, round(at.y), at.width, at.height)];
  let y = at.y + 7;
  let divided = false;
  for (const line of lines) {
    const style = styles[line.style];
    if (separated(box) && !divided && (line.style === "name" || line.style === "type")) {
      divided = true;
      y += 5;
      parts.push(`<path class="rule" d="M${round(x + 12)} ${round(y)}H${round(x + at.width - 12)}"/>`);
      y += 5;
    }
    y += style.advance;
    const css = line.style === "small" || line.style === "type" ? "soft" : "ink";
    const font = style.mono ? ` font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"` : "";
    const weight = style.bold ? ` font-weight="600"` : "";
    parts.push(`<text class="${css}" x="${round(at.x)}" y="${round(y - style.advance * 0.28)}" text-anchor="middle" font-size="${style.size}"${font}${weight}>${escapeXml(line.text)}</text>`);
  }
  parts.push("</g>");
  return parts.join("");
}

/** Shape by kind: inputs are slanted, masks pills, losses have cut corners, predictors are narrower at the foot. */
function outline(box: Box, x: number, y: number, w: number, h: number): string {
  switch (box.kind) {
    case "input": case "view": return `<path class="shape" d="M${x + 12} ${y}H${x + w}L${x + w - 12} ${y + h}H${x}Z"/>`;
    case "mask": return `<rect class="shape" x="${x}" y="${y}" width="${w}" height="${h}" rx="${round(h / 2)}"/>`;
    case "loss": return `<path class="shape" d="M${x + 14} ${y}H${x + w - 14}L${x + w} ${round(y + h / 2)}L${x + w - 14} ${y + h}H${x + 14}L${x} ${round(y + h / 2)}Z"/>`;
    case "op": return `<rect class="shape" x="${x}" y="${y}" width="${w}" height="${h}" rx="7"/>`;
    default: return `<rect class="shape" x="${x}" y="${y}" width="${w}" height="${h}" rx="9"/><rect class="tab" x="${x + 10}" y="${y}" width="${w - 20}" height="3.5" rx="1.75"/>`;
  }
}

function drawArrows(content: Diagram, placed: Layout): string[] {
  const arrows = content.arrows.filter((a) => a.kind !== "ema");
  const drawn = arrows.map((a, i) => ({ a, svg: drawArrow(a, placed.routes[i] ?? []) }));
  // Gradient-carrying arrows are drawn last, so that they lie on top.
  return [...drawn.filter((d) => !d.a.gradient), ...drawn.filter((d) => d.a.gradient)].map((d) => d.svg);
}

function drawArrow(arrow: Arrow, points: readonly Point[]): string {
  const end = points.at(-1);
  if (end === undefined) return "";
  const css = arrow.kind === "mask" ? "choose" : arrow.gradient ? "gradient" : arrow.stopped ? "plain stopped" : "plain";
  const bar = arrow.stopped ? `<path class="bar" d="M${round(end.x - 9)} ${round(end.y - 15)}h18M${round(end.x - 9)} ${round(end.y - 19.5)}h18"/>` : "";
  return `<g class="arrow ${css}"><path class="line" d="${curve(points, arrow.stopped ? 23 : 10)}"/><path class="tip" d="${head(end, 0, 1)}"/>${bar}</g>`;
}

/** Vertical curves from point to point; ends in `straight` pixels of line and stops short, so that the head is sharp. */
function curve(points: readonly Point[], straight: number): string {
  const last = points.at(-1);
  const [first, ...rest] = points.filter((p, i) => i < points.length - 1 && (last === undefined || p.y < last.y - straight));
  if (first === undefined || last === undefined) return "";
  let at = first;
  let d = `M${round(at.x)} ${round(at.y)}`;
  for (const next of [...rest, { x: last.x, y: last.y - straight }]) {
    const middle = (at.y + next.y) / 2;
    d += Math.abs(at.x - next.x) < 0.5 ? `V${round(next.y)}` : `C${round(at.x)} ${round(middle)} ${round(next.x)} ${round(middle)} ${round(next.x)} ${round(next.y)}`;
    at = next;
  }
  return `${d}V${round(last.y - 6)}`;
}

/** A head at `p` that points along (dx, dy), which is a unit vector along an axis. */
function head(p: Point, dx: number, dy: number): string {
  const back = { x: p.x - 9 * dx, y: p.y - 9 * dy };
  return `M${round(p.x)} ${round(p.y)}L${round(back.x - 4.5 * dy)} ${round(back.y - 4.5 * dx)}L${round(back.x + 4.5 * dy)} ${round(back.y + 4.5 * dx)}Z`;
}

/** Neighbours of one rank are joined directly; others through the gap above, or around the right side. */
function drawAverage(arrow: Arrow, placed: Layout, content: Diagram): string {
  const from = placed.nodes.get(arrow.from);
  const to = placed.nodes.get(arrow.to);
  if (from === undefined || to === undefined) return "";
  const label = arrow.label ?? "";
  const draw = (d: string, tip: string, x: number, y: number): string => {
    const w = textWidth(label, 11) + 12;
    return `<g class="arrow average"><path class="line" d="${d}"/><path class="tip" d="${tip}"/><rect class="plate" x="${round(x - w / 2)}" y="${round(y - 9)}" width="${round(w)}" height="18" rx="4"/><text class="note" x="${round(x)}" y="${round(y + 4)}" text-anchor="middle" font-size="11">${escapeXml(label)}</text></g>`;
  };
  const sign = to.x > from.x ? 1 : -1;
  if (from.rank !== to.rank) {
    const start = { x: from.x + from.width / 2, y: from.y + from.height / 2 };
    const end = { x: to.x + to.width / 2, y: to.y + to.height / 2 };
    const far = Math.max(start.x, end.x) + 46;
    return draw(`M${round(start.x)} ${round(start.y)}C${round(far)} ${round(start.y)} ${round(far)} ${round(end.y)} ${round(end.x + 6)} ${round(end.y)}`, head(end, -1, 0), (start.x + end.x) / 8 + far * 0.75, (start.y + end.y) / 2);
  }
  const between = content.boxes.some((b) => {
    const box = placed.nodes.get(b.id);
    return box !== undefined && box.rank === from.rank && (box.x - from.x) * sign > 0 && (to.x - box.x) * sign > 0;
  });
  if (!between) {
    const start = { x: from.x + (sign * from.width) / 2, y: from.y + from.height / 2 };
    const end = { x: to.x - (sign * to.width) / 2, y: start.y };
    return draw(`M${round(start.x)} ${round(start.y)}H${round(end.x - 6 * sign)}`, head(end, sign, 0), (start.x + end.x) / 2, start.y - 13);
  }
  const start = { x: from.x + sign * from.width * 0.4, y: from.y };
  const end = { x: to.x - sign * to.width * 0.4, y: to.y };
  const peak = Math.min(start.y, end.y) - 34;
  return draw(`M${round(start.x)} ${round(start.y)}C${round(start.x)} ${round(peak)} ${round(end.x)} ${round(peak)} ${round(end.x)} ${round(end.y - 6)}`, head(end, 0, 1), (start.x + end.x) / 2, (start.y + end.y) / 8 + peak * 0.75);
}

/** Room at the right for averages that go around. */
function bulge(content: Diagram, placed: Layout): number {
  return content.arrows.some((a) => a.kind === "ema" && placed.nodes.get(a.from)?.rank !== placed.nodes.get(a.to)?.rank) ? 130 : 0;
}

interface LegendItem {
  readonly width: number;
  readonly svg: (x: number, y: number) => string;
}

/** Only what occurs is explained. */
function legend(content: Diagram): { items: LegendItem[]; width: number } {
  const items: LegendItem[] = [];
  const arrow = (css: string, text: string, bar = false): void => {
    items.push(item(text, 34, (x, y) => `<g class="arrow ${css}"><path class="line" d="M${x} ${y}H${x + 22}"/><path class="tip" d="${head({ x: x + 28, y }, 1, 0)}"/>${bar ? `<path class="bar" d="M${x + 10} ${y - 7}v14M${x + 14} ${y - 7}v14"/>` : ""}</g>`));
  };
  const swatch = (css: string, text: string): void => {
    items.push(item(text, 26, (x, y) => `<g class="box ${css}"><rect class="shape" x="${x}" y="${y - 6}" width="20" height="12" rx="3"/></g>`));
  };
  const has = (test: (a: Arrow) => boolean): boolean => content.arrows.some(test);
  if (has((a) => a.gradient)) arrow("gradient", "data, gradient flows back");
  if (has((a) => a.kind === "data" && !a.gradient && !a.stopped)) arrow("plain", "data, no gradient");
  if (has((a) => a.stopped)) arrow("plain stopped", "stop-gradient", true);
  if (has((a) => a.kind === "ema")) arrow("average", "moving average of parameters");
  if (has((a) => a.kind === "mask")) arrow("choose", "mask chooses positions");
  const kinds = [["input", "input"], ["view", "view"], ["mask", "mask"], ["encoder", "encoder"], ["predictor", "predictor"], ["head", "head"], ["loss", "loss"]] as const;
  for (const [kind, text] of kinds) if (content.boxes.some((b) => b.kind === kind)) swatch(kind === "encoder" || kind === "predictor" || kind === "head" ? `${kind} learns` : kind, text);
  if (content.boxes.some((b) => b.state === "follows")) swatch("encoder follows", "not trained: follows");
  if (content.boxes.some((b) => b.state === "frozen")) swatch("encoder frozen", "not trained: frozen");
  return { items, width: items.reduce((w, i) => w + i.width, 0) };
}

function item(text: string, icon: number, draw: (x: number, y: number) => string): LegendItem {
  return { width: icon + textWidth(text, 11) + 22, svg: (x, y) => `${draw(x, y)}<text class="soft" x="${round(x + icon)}" y="${y + 4}" font-size="11">${escapeXml(text)}</text>` };
}

function wrapLegend(items: readonly LegendItem[], width: number): { svg: string; height: number } {
  let x = 0;
  let y = 8;
  const parts = items.map((i) => {
    if (x > 0 && x + i.width - 22 > width) {
      x = 0;
      y += 22;
    }
    const svg = i.svg(round(x), y);
    x += i.width;
    return svg;
  });
  return { svg: parts.join(""), height: y + 10 };
}

function round(n: number): number {
  return Math.round(n * 10) / 10;
}

type Palette = Readonly<Record<"page" | "ink" | "soft" | "rule" | "input" | "inputLine" | "view" | "viewLine" | "mask" | "maskLine" | "encoder" | "encoderLine" | "predictor" | "predictorLine" | "head" | "headLine" | "op" | "opLine" | "loss" | "lossLine" | "plain" | "gradient" | "stop" | "average", string>>;

const light: Palette = {
  page: "#ffffff", ink: "#1c2430", soft: "#5b6675", rule: "#00000018", input: "#eef1f5", inputLine: "#7d8a9b", view: "#e9f5ee", viewLine: "#4d9a6d",
  mask: "#fff6dc", maskLine: "#c28f11", encoder: "#e5effd", encoderLine: "#2f6fd0", predictor: "#f1e9fc", predictorLine: "#8247cf", head: "#e2f5f4", headLine: "#1d8f89",
  op: "#fafbfc", opLine: "#b8c1cd", loss: "#fde8ea", lossLine: "#cf3548", plain: "#93a0b0", gradient: "#e07714", stop: "#cf3548", average: "#2f6fd0",
};

const dark: Palette = {
  page: "#14181f", ink: "#e8ecf2", soft: "#9aa6b6", rule: "#ffffff20", input: "#252c37", inputLine: "#76849a", view: "#1b3227", viewLine: "#5fb585",
  mask: "#352c12", maskLine: "#d9a92e", encoder: "#182b49", encoderLine: "#5b9bf3", predictor: "#2d2147", predictorLine: "#ab7cf0", head: "#13322f", headLine: "#3fb8b0",
  op: "#1c222b", opLine: "#4b5665", loss: "#41191f", lossLine: "#ee5f70", plain: "#68768a", gradient: "#f59a3c", stop: "#ee5f70", average: "#5b9bf3",
};

function styleSheet(theme: "auto" | "light" | "dark"): string {
  const fixed = [
    ".jepac-graph .shape{stroke-width:1.3}.jepac-graph .learns .shape{stroke-width:2}.jepac-graph .follows .shape,.jepac-graph .frozen .shape{stroke-width:1.5}",
    ".jepac-graph .follows .shape{stroke-dasharray:6 4}.jepac-graph .frozen .shape{stroke-dasharray:1.5 3.5}.jepac-graph .follows .tab,.jepac-graph .frozen .tab,.jepac-graph .none .tab{fill:none}",
    ".jepac-graph .line{fill:none;stroke-width:1.5}.jepac-graph .gradient .line{stroke-width:2.4}.jepac-graph .average .line{stroke-width:1.8;stroke-dasharray:7 5}.jepac-graph .choose .line{stroke-width:1.6;stroke-dasharray:0.1 4.6;stroke-linecap:round}",
    ".jepac-graph .bar{fill:none;stroke-width:2.6}.jepac-graph .rule{fill:none;stroke-width:1}",
  ].join("");
  if (theme !== "auto") return fixed + colors(theme === "dark" ? dark : light);
  return `${fixed}${colors(light)}@media (prefers-color-scheme: dark){${colors(dark)}}`;
}

function colors(p: Palette): string {
  const boxes = [
    ["input", p.input, p.inputLine], ["view", p.view, p.viewLine], ["mask", p.mask, p.maskLine], ["encoder", p.encoder, p.encoderLine],
    ["predictor", p.predictor, p.predictorLine], ["head", p.head, p.headLine], ["op", p.op, p.opLine], ["loss", p.loss, p.lossLine],
  ] as const;
  const arrows = [["plain", p.plain], ["gradient", p.gradient], ["choose", p.maskLine], ["average", p.average]] as const;
  return [
    `.jepac-graph .page{fill:${p.page}}.jepac-graph .ink{fill:${p.ink}}.jepac-graph .soft{fill:${p.soft}}.jepac-graph .rule{stroke:${p.rule}}.jepac-graph .bar{stroke:${p.stop}}`,
    ...boxes.map(([kind, fill, line]) => `.jepac-graph .${kind} .shape{fill:${fill};stroke:${line}}.jepac-graph .${kind}.learns .tab{fill:${line}}`),
    ...arrows.map(([kind, line]) => `.jepac-graph .${kind} .line{stroke:${line}}.jepac-graph .${kind} .tip{fill:${line}}`),
    `.jepac-graph .plate{fill:${p.page}}.jepac-graph .note{fill:${p.average}}`,
  ].join("");
}
