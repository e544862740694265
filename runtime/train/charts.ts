/**
 * Line charts as SVG text.
 *
 * Owns scales, ticks, thinning of long series and the look of curves; colors come from CSS variables of the page
 * (`--series-1` … `--series-4`), so that one drawing serves light and dark. A chart has a title for screen readers and a
 * value at the end of every line, because a static picture has no pointer to ask.
 */
import { coordinate, escape, short } from "./markup.js";

/** One line: points by step; values that are not finite leave a gap. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [step: number, value: number])[];
  /** Drawn thin and pale: raw values behind a smoothed line. */
  readonly faint?: boolean;
  /** Index of the color, 0..3; its place in the list unless said. */
  readonly color?: number;
  /** What the label at its end tells; the last value of the line unless said. */
  readonly last?: number;
}

/** What a chart shows. */
export interface Chart {
  readonly title: string;
  readonly series: readonly Series[];
  /** Starts the value axis at zero. */
  readonly fromZero?: boolean;
}

const SIZE = { width: 520, height: 240, left: 54, right: 76, top: 14, bottom: 30 } as const;
/** Points a line is thinned to: about one per pixel. */
const MOST_POINTS = 440;

/** A chart as an `<svg>` element; a short text when there is nothing to draw. */
export function lineChart(chart: Chart): string {
  const points = chart.series.flatMap((series) => series.points.filter(([, value]) => Number.isFinite(value)));
  if (points.length === 0) return `<p class="empty">no values</p>`;
  const x = stepsOf(points.map(([step]) => step), SIZE.left, SIZE.width - SIZE.right);
  const values = points.map(([, value]) => value);
  const y = scaleOf(chart.fromZero === true ? [0, ...values] : values, SIZE.height - SIZE.bottom, SIZE.top);
  const parts = [
    `<title>${escape(chart.title)}</title>`,
    ...y.ticks.map((tick) => gridLine(tick, y.place(tick))),
    ...x.ticks.map((tick) => `<text class="tick" x="${coordinate(x.place(tick))}" y="${SIZE.height - 10}" text-anchor="middle">${short(tick)}</text>`),
    ...chart.series.map((series, at) => line(series, series.color ?? at, x.place, y.place)),
    ...endLabels(chart.series, x.place, y.place),
  ];
  return `<svg class="chart" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${escape(chart.title)}">${parts.join("")}</svg>`;
}

/** More losses than this are smoothed: fewer are seen one by one. */
const SMOOTHED_FROM = 31;

/** The loss by step. Where the line is smoothed, every step is behind it, and the number at its end is the last that was measured. */
export function lossChart(losses: Series["points"]): Chart & { readonly smooth: boolean } {
  const last = losses.filter(([, value]) => Number.isFinite(value)).at(-1)?.[1];
  const smooth = losses.length >= SMOOTHED_FROM;
  if (!smooth) return { title: "loss by step", smooth, series: [{ name: "loss", points: losses }] };
  return {
    title: "loss by step, smoothed",
    smooth,
    series: [{ name: "", points: losses, faint: true, color: 0 }, { name: "last step", points: smoothed(losses), color: 0, ...(last === undefined ? {} : { last }) }],
  };
}

/** Exponential smoothing without the pull of the first value (as in Adam): weight `share` on the past. */
export function smoothed(points: Series["points"], share = 0.95): [number, number][] {
  let mean = 0;
  let weight = 0;
  return points.map(([step, value]) => {
    mean = share * mean + (1 - share) * value;
    weight = share * weight + (1 - share);
    return [step, mean / weight];
  });
}

interface Scale {
  readonly ticks: readonly number[];
  place(value: number): number;
}

/** The value axis: from one round number to another, with room around a single value. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  let [low, high] = ends(values);
  if (low === high) {
    const pad = Math.abs(low) * 0.1 || 1;
    low -= pad;
    high += pad;
  }
  const step = niceStep((high - low) / 5);
  low = Math.floor(low / step) * step;
  high = Math.ceil(high / step) * step;
  return { ticks: ticksOf(low, high, step), place: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

/** The axis of steps: as long as the run, with ticks at whole steps; a single step has the one tick. */
function stepsOf(steps: readonly number[], from: number, to: number): Scale {
  const [low, high] = ends(steps);
  const length = high === low ? 1 : high - low;
  return { ticks: ticksOf(low, high, Math.max(1, niceStep(length / 5))), place: (step) => from + ((step - low) / length) * (to - from) };
}

function ends(values: readonly number[]): [low: number, high: number] {
  return [values.reduce((least, value) => Math.min(least, value), Infinity), values.reduce((most, value) => Math.max(most, value), -Infinity)];
}

function ticksOf(low: number, high: number, step: number): number[] {
  const ticks: number[] = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-6; k++) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}

/** The next of 1, 2, 5 times a power of ten. */
function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  const lead = raw / power;
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

function gridLine(tick: number, y: number): string {
  const at = coordinate(y);
  return `<line class="grid" x1="${SIZE.left}" x2="${SIZE.width - SIZE.right}" y1="${at}" y2="${at}"/><text class="tick" x="${SIZE.left - 8}" y="${coordinate(y + 3.5)}" text-anchor="end">${short(tick)}</text>`;
}

function line(series: Series, color: number, x: (value: number) => number, y: (value: number) => number): string {
  let path = "";
  let pen = false;
  const points = thinned(series.points);
  for (const [at, [step, value]] of points.entries()) {
    if (!Number.isFinite(value)) {
      pen = false;
      continue;
    }
    // A point without neighbours is a line to itself, which round caps make a dot.
    const alone = !pen && !Number.isFinite(points[at + 1]?.[1] ?? NaN);
    path += `${pen ? "L" : "M"}${coordinate(x(step))} ${coordinate(y(value))}${alone ? "h0" : ""}`;
    pen = true;
  }
  return `<path class="${series.faint === true ? "line faint" : "line"}" style="stroke:var(--series-${(color % 4) + 1})" d="${path}"/>`;
}

/** Names and last values at the right end, pushed apart where lines end close together. */
function endLabels(all: readonly Series[], x: (value: number) => number, y: (value: number) => number): string[] {
  const labels = all.flatMap((series, at) => {
    const last = series.points.filter(([, value]) => Number.isFinite(value)).at(-1);
    if (series.faint === true || last === undefined) return [];
    const value = series.last ?? last[1];
    return [{ series, color: series.color ?? at, x: x(last[0]) + 6, y: y(value), value }];
  });
  labels.sort((a, b) => a.y - b.y);
  let floor = -Infinity;
  return labels.map((label) => {
    const place = Math.max(label.y, floor + 24);
    floor = place;
    const color = `style="fill:var(--series-${(label.color % 4) + 1})"`;
    return `<text class="end" ${color} x="${coordinate(label.x)}" y="${coordinate(place)}">${short(label.value)}<tspan class="name" x="${coordinate(label.x)}" dy="11">${escape(label.series.name)}</tspan></text>`;
  });
}

/** Means over equal stretches of a long series, so that a chart of a million steps stays small. */
function thinned(points: Series["points"]): Series["points"] {
  if (points.length <= MOST_POINTS) return points;
  const out: [number, number][] = [];
  for (let i = 0; i < MOST_POINTS; i++) {
    const from = Math.floor((i * points.length) / MOST_POINTS);
    const to = Math.floor(((i + 1) * points.length) / MOST_POINTS);
    const part = points.slice(from, to);
    out.push([part.at(-1)?.[0] ?? 0, part.reduce((sum, [, value]) => sum + value, 0) / part.length]);
  }
  return out;
}
