/**
 * What the page draws: curves, masks, patch features.
 *
 * Curves are the report's (runtime/train/charts); pictures are canvases, one for each picture, made once and drawn again.
 */
import { lineChart, lossChart } from "./runtime/train/charts.js";
import { isNumbers } from "./runtime/base/data-kinds.js";
import { drawNumbers } from "./runtime/train/number-pictures.js";
import { patchColors } from "./features.js";

/** Device pixels for each pixel of a picture, so that outlines are thin. */
const SCALE = 4;

/** Loss and rank, from rows `[step, value]`. */
export function showCurves(loss, rank, losses, ranks) {
  const chart = lossChart(losses);
  loss.innerHTML = lineChart(chart) + (chart.smooth ? '<p class="caption">The line is smoothed, and lags; pale behind it is every step. The number at its end is the loss of the last step.</p>' : "");
  if (ranks.size > 0) rank.innerHTML = lineChart({ title: "effective rank by step", fromZero: true, series: [...ranks].map(([name, points]) => ({ name, points })) });
}

/** The first pictures of a batch, of clips the frame in the middle; what the context encoder does not see is veiled, targets are outlined. */
export function showMasks(box, manifest, batch, most = 8) {
  const [view] = manifest.views;
  const pixels = batch.images[view.name];
  const size = view.height * view.width * manifest.train.mean.length;
  const drawn = manifest.masks.filter((spec) => batch.masks[spec.name] !== undefined);
  // The mask that takes others out of itself, or the only one, is what the encoder sees; programs name it as they like.
  const seen = drawn.find((spec) => spec.name === "context") ?? drawn.find((spec) => spec.count === 1) ?? drawn[0];
  const shown = Math.min(most, batch.size);
  const frames = view.frames ?? 1;
  const middle = Math.floor((frames - 1) / 2);
  const canvases = canvasesIn(box, shown, 1, shapeOf(view), "a training picture with its masks");
  for (let b = 0; b < shown; b++) {
    const pen = canvases[b][0].getContext("2d");
    const at = b * frames + middle;
    paintPicture(pen, pixels.subarray(at * size, (at + 1) * size), view, manifest.train);
    if (seen === undefined) continue;
    const set = (spec, m) => { const { indices, length } = batch.masks[spec.name]; return inFrame(spec.grid, indices.subarray((m * batch.size + b) * length, (m * batch.size + b + 1) * length), middle, frames); };
    veil(pen, seen.grid, set(seen, 0));
    for (const spec of drawn) if (spec !== seen) for (let m = 0; m < batch.masks[spec.name].count; m++) outline(pen, spec.grid, set(spec, m), seriesColor(m));
  }
}

/** Positions that lie in one of the frames of a clip, as on a picture; on a grid without frames all of them. */
function inFrame(grid, positions, frame, frames) {
  if (grid.frames === undefined) return new Set(positions);
  const [here, size] = [Math.floor((frame * grid.frames) / frames), grid.rows * grid.cols];
  return new Set([...positions].filter((at) => Math.floor(at / size) === here).map((at) => at % size));
}

/** Pictures above, principal components of their patch features below. `last` keeps colors alike from one time to the next. */
export function showFeatures(box, manifest, { pixels, picture, encoder }, tokens, last) {
  const { rows, cols } = encoder.grid;
  const n = tokens.length / (rows * cols * encoder.width);
  const size = picture.height * picture.width * manifest.train.mean.length;
  const { colors, components } = patchColors(tokens, n, rows * cols, encoder.width, last);
  const canvases = canvasesIn(box, n, 2, shapeOf(picture), "a picture, and its patches colored by their features");
  for (let b = 0; b < n; b++) {
    paintPicture(canvases[b][0].getContext("2d"), pixels.subarray(b * size, (b + 1) * size), picture, manifest.train);
    const pen = canvases[b][1].getContext("2d");
    const [wide, high] = [pen.canvas.width / cols, pen.canvas.height / rows];
    for (let at = 0; at < rows * cols; at++) {
      const from = (b * rows * cols + at) * 3;
      pen.fillStyle = `rgb(${colors[from]} ${colors[from + 1]} ${colors[from + 2]})`;
      pen.fillRect((at % cols) * wide, Math.floor(at / cols) * high, wide, high);
    }
  }
  return components;
}

/** `count` boxes of `each` canvases, reused when they are there. */
function canvasesIn(box, count, each, view, label) {
  if (box.children.length !== count || box.querySelectorAll("canvas").length !== count * each) {
    box.replaceChildren(...Array.from({ length: count }, () => {
      const cell = document.createElement("div");
      for (let i = 0; i < each; i++) {
        const canvas = document.createElement("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", label);
        cell.append(canvas);
      }
      return cell;
    }));
  }
  return [...box.children].map((cell) => [...cell.children].map((canvas) => {
    if (canvas.width !== view.width * SCALE || canvas.height !== view.height * SCALE) Object.assign(canvas, { width: view.width * SCALE, height: view.height * SCALE });
    return canvas;
  }));
}

/** What a picture is drawn in; a signal of one row has room for its lines. */
function shapeOf({ height, width }) {
  return height === 1 ? { width: 68, height: 28 } : { width, height };
}

/** There are as many means as channels; one is shown as gray, numbers without black and white by their range. */
function paintPicture(pen, pixels, view, train) {
  paint(pen, isNumbers(train.data) ? imageOf(drawNumbers(pixels, view.height, view.width, train.mean.length)) : shades(pixels, view, train));
}

function imageOf({ rgb, height, width }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2], 255], i * 4);
  return image;
}

function shades(pixels, view, { mean, std }) {
  const channels = mean.length;
  const image = new ImageData(view.width, view.height);
  for (let i = 0; i < view.width * view.height; i++) {
    for (let c = 0; c < 3; c++) {
      const from = Math.min(c, channels - 1);
      image.data[i * 4 + c] = (pixels[i * channels + from] * std[from] + mean[from]) * 255;
    }
    image.data[i * 4 + 3] = 255;
  }
  return image;
}

function paint(pen, image) {
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, pen.canvas.width, pen.canvas.height);
}

function veil(pen, { rows, cols }, kept) {
  const [wide, high] = [pen.canvas.width / cols, pen.canvas.height / rows];
  pen.globalAlpha = 0.82;
  pen.fillStyle = cssColor("--page");
  for (let at = 0; at < rows * cols; at++) if (!kept.has(at)) pen.fillRect((at % cols) * wide, Math.floor(at / cols) * high, wide, high);
  pen.globalAlpha = 1;
}

/** The border of a set of patches. */
function outline(pen, { rows, cols }, kept, color) {
  const [wide, high] = [pen.canvas.width / cols, pen.canvas.height / rows];
  const inside = (r, c) => r >= 0 && c >= 0 && r < rows && c < cols && kept.has(r * cols + c);
  pen.strokeStyle = color;
  pen.lineWidth = 3;
  pen.beginPath();
  for (const at of kept) {
    const [r, c] = [Math.floor(at / cols), at % cols];
    const [x, y] = [c * wide, r * high];
    for (const [dr, dc, ax, ay, bx, by] of [[-1, 0, 0, 1.5, wide, 1.5], [1, 0, 0, high - 1.5, wide, high - 1.5], [0, -1, 1.5, 0, 1.5, high], [0, 1, wide - 1.5, 0, wide - 1.5, high]]) {
      if (inside(r + dr, c + dc)) continue;
      pen.moveTo(x + ax, y + ay);
      pen.lineTo(x + bx, y + by);
    }
  }
  pen.stroke();
}

function seriesColor(m) {
  return cssColor(`--series-${(m % 4) + 1}`);
}

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
