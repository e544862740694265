/**
 * Pictures in the report: training images with the masks of their step drawn over them.
 *
 * Owns a small PNG writer (8-bit RGB, filter 0, zlib), the way back from normalized floats to colors, and the drawing of
 * mask panels: the picture, then one panel per set of positions, with everything outside the set dimmed; of a clip a few of its
 * frames, each with what is kept there. The panels come
 * from the very batch that a step trains on, so they show what the sampler does and not what it should do.
 */
import { crc32 } from "../base/crc32.js";
import { isNumbers } from "../base/data-kinds.js";
import { own } from "../base/own.js";
import { deflateSync } from "node:zlib";
import type { Manifest, MaskBatch, MaskSpec, StepBatch } from "../abi.js";
import { rowOf } from "../masks/groups.js";
import { coordinate, escape } from "./markup.js";
import { drawNumbers } from "./number-pictures.js";

/** RGB bytes of normalized pixels `[height · width, channels]`: `value · std + mean`, clipped; one channel becomes gray. */
export function denormalize(pixels: Float32Array, channels: number, mean: readonly number[], std: readonly number[]): Uint8Array {
  const count = pixels.length / channels;
  const out = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) {
      const from = Math.min(c, channels - 1);
      const value = (pixels[i * channels + from] ?? 0) * (std[from] ?? 1) + (mean[from] ?? 0);
      out[i * 3 + c] = Math.max(0, Math.min(255, Math.round(value * 255)));
    }
  }
  return out;
}

/** A PNG file of `width × height` RGB bytes. */
export function encodePng(rgb: Uint8Array, width: number, height: number): Uint8Array {
  const raw = new Uint8Array(height * (width * 3 + 1));
  for (let row = 0; row < height; row++) raw.set(rgb.subarray(row * width * 3, (row + 1) * width * 3), row * (width * 3 + 1) + 1);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), chunk("IHDR", header), chunk("IDAT", deflateSync(raw)), chunk("IEND", new Uint8Array(0))]);
}

/** Frames of a clip that are shown, and clips in the place of so many pictures. */
const [SHOWN_FRAMES, CLIPS] = [3, 2];

/**
 * Rows of mask panels for the first `most` images of a batch, as HTML: picture, then every set of every mask. Of clips there are a row for each
 * of some frames, from the first to the last, of fewer clips. Empty when the program has no masks.
 */
export function maskGallery(manifest: Pick<Manifest, "masks" | "views" | "train" | "inputs">, batch: StepBatch, most = 5): string {
  const view = manifest.views[0];
  const pixels = view === undefined ? undefined : own(batch.images, view.name);
  if (view === undefined || pixels === undefined) return "";
  const channels = manifest.inputs.find((input) => input.name === view.input)?.channels ?? 3;
  const size = view.height * view.width * channels;
  const shown = manifest.masks.filter((mask) => own(batch.masks, mask.name) !== undefined);
  const rows: string[] = [];
  const numbers = isNumbers(manifest.train.data);
  for (let image = 0; image < Math.min(view.frames === undefined ? most : Math.min(most, CLIPS), batch.size); image++) {
    for (const frame of shownFrames(view.frames)) {
      const at = image * (view.frames ?? 1) + (frame ?? 0);
      const values = pixels.subarray(at * size, (at + 1) * size);
      const { rgb, height, width } = numbers ? drawNumbers(values, view.height, view.width, channels) : { ...view, rgb: denormalize(values, channels, manifest.train.mean, manifest.train.std) };
      const drawn = { height, width, frames: view.frames };
      const source = dataUri("image/png", encodePng(rgb, width, height));
      const panels = shown.flatMap((mask) => maskPanels(mask, own(batch.masks, mask.name), image, batch.size, source, drawn, frame));
      rows.push(`<div class="panels">${panel(source, frame !== undefined ? `frame ${frame + 1}` : numbers ? "sample" : "picture", "", drawn)}${panels.join("")}</div>`);
    }
  }
  return rows.join("\n");
}

/** Frames by number, from the first to the last; one that has no number for pictures. */
function shownFrames(frames: number | undefined): readonly (number | undefined)[] {
  if (frames === undefined) return [undefined];
  const count = Math.min(frames, SHOWN_FRAMES);
  return Array.from({ length: count }, (_, i) => Math.round((i * (frames - 1)) / Math.max(1, count - 1)));
}

/** Bytes as a `data:` address. */
export function dataUri(type: string, bytes: Uint8Array): string {
  return `data:${type};base64,${Buffer.from(bytes).toString("base64")}`;
}

interface Frame {
  readonly height: number;
  readonly width: number;
  readonly frames?: number | undefined;
}

function maskPanels(mask: MaskSpec, drawn: MaskBatch | undefined, image: number, batch: number, source: string, frame: Frame, number: number | undefined): string[] {
  if (drawn === undefined) return [];
  return Array.from({ length: drawn.count }, (_, set) => {
    const kept = new Set(inFrame(rowOf(drawn, set, image, batch), mask, frame, number));
    const name = drawn.count === 1 ? mask.name : `${mask.name} ${set + 1}`;
    return panel(source, `${name} · ${kept.size}`, veil(mask, kept, frame), frame);
  });
}

/** Positions of one frame of a clip, as on a picture; a mask on a grid without frames is the same in all. */
function inFrame(positions: Iterable<number>, { grid }: MaskSpec, { frames = 1 }: Frame, number: number | undefined): Iterable<number> {
  if (number === undefined || grid.frames === undefined) return positions;
  const here = Math.floor((number * grid.frames) / frames);
  const size = grid.rows * grid.cols;
  return [...positions].flatMap((at) => (Math.floor(at / size) === here ? [at % size] : []));
}

/** Everything outside `kept` covered, and the outline of what is kept. */
function veil(mask: MaskSpec, kept: ReadonlySet<number>, frame: Frame): string {
  const { rows, cols } = mask.grid;
  const high = frame.height / rows;
  const wide = frame.width / cols;
  let cover = "";
  let outline = "";
  for (let at = 0; at < rows * cols; at++) {
    const [row, col] = [Math.floor(at / cols), at % cols];
    const [x, y, right, bottom] = [col * wide, row * high, (col + 1) * wide, (row + 1) * high].map(coordinate);
    if (!kept.has(at)) {
      cover += `M${x} ${y}H${right}V${bottom}H${x}Z`;
      continue;
    }
    const inside = (r: number, c: number): boolean => r >= 0 && c >= 0 && r < rows && c < cols && kept.has(r * cols + c);
    if (!inside(row - 1, col)) outline += `M${x} ${y}H${right}`;
    if (!inside(row + 1, col)) outline += `M${x} ${bottom}H${right}`;
    if (!inside(row, col - 1)) outline += `M${x} ${y}V${bottom}`;
    if (!inside(row, col + 1)) outline += `M${right} ${y}V${bottom}`;
  }
  return `<path class="veil" d="${cover}"/><path class="outline" d="${outline}"/>`;
}

function panel(source: string, caption: string, over: string, frame: Frame): string {
  const text = escape(caption);
  return `<figure><svg viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="${text}"><image href="${source}" width="${frame.width}" height="${frame.height}"/>${over}</svg><figcaption>${text}</figcaption></figure>`;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(Buffer.from(type, "latin1"), 4);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc32(out.subarray(4, data.length + 8)));
  return out;
}
