/**
 * Numbers as pictures, for the report: what has no black and no white is drawn by its own range.
 *
 * Owns two drawings: a field of numbers in gray, or in color where it has three channels or more, from its least number to its largest; and a
 * signal of one row as lines, its first channels one over the other. What lies over them (masks) is pictures.ts's.
 */

/** A drawing: RGB bytes. */
export interface Drawing {
  readonly rgb: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** Rows and columns of a drawn signal: twice what the report shows. */
const [HIGH, WIDE] = [112, 272];
/** Colors of lines, as the charts of the report have them in light; paper behind. */
const LINES: readonly (readonly [number, number, number])[] = [[37, 99, 168], [194, 94, 26], [46, 125, 80], [122, 79, 160]];
const PAPER = 250;

/** Draws `[height, width, channels]` numbers, row-major. */
export function drawNumbers(values: Float32Array, height: number, width: number, channels: number): Drawing {
  return height === 1 ? drawLines(values, width, channels) : drawField(values, height, width, channels);
}

function rangeOf(values: Iterable<number>): readonly [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high > low ? [low, high] : [low - 1, low + 1];
}

function drawField(values: Float32Array, height: number, width: number, channels: number): Drawing {
  const [low, high] = rangeOf(values);
  const rgb = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = Math.round((255 * ((values[i * channels + (channels < 3 ? 0 : c)] ?? 0) - low)) / (high - low));
  }
  return { rgb, height, width };
}

/** Lines in lanes, as sensors differ in what they measure; each column spans what its line passes there. */
function drawLines(values: Float32Array, length: number, channels: number): Drawing {
  const shown = Math.min(channels, LINES.length);
  const rgb = new Uint8Array(HIGH * WIDE * 3).fill(PAPER);
  for (let c = 0; c < shown; c++) {
    const line = Array.from({ length }, (_, t) => values[t * channels + c] ?? 0);
    const [low, high] = rangeOf(line);
    const rowOf = (value: number): number => Math.round(((c + 0.1 + 0.8 * (1 - (value - low) / (high - low))) * HIGH) / shown);
    const at = (x: number): number => {
      const place = Math.min(length - 1, Math.max(0, ((x + 0.5) * length) / WIDE - 0.5));
      const before = Math.floor(place);
      return (line[before] ?? 0) + ((line[Math.min(length - 1, before + 1)] ?? 0) - (line[before] ?? 0)) * (place - before);
    };
    for (let x = 0; x < WIDE; x++) {
      const inside = line.slice(Math.ceil((x * length) / WIDE), Math.ceil(((x + 1) * length) / WIDE));
      const passed = [...inside, at(x - 0.5), at(x + 0.5)].map(rowOf);
      for (let y = Math.min(...passed); y <= Math.max(...passed) + 1; y++) if (y < HIGH) rgb.set(LINES[c] ?? [0, 0, 0], (y * WIDE + x) * 3);
    }
  }
  return { rgb, height: HIGH, width: WIDE };
}
