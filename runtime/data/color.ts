/**
 * Changes of color and sharpness, in place, on floats in 0..255: RGB, or so many channels where that is said.
 *
 * Owns the photometric half of augmentation: brightness, contrast, saturation and hue by the definitions of Pillow and
 * torchvision, grayscale, gaussian blur (a true gaussian; Pillow approximates it by boxes) and solarization. Geometry is
 * in `resample.ts`, and which of these happen, and how strongly, in `augment.ts`.
 */

/** Luma of ITU-R 601, as Pillow's mode L. */
function luma(red: number, green: number, blue: number): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

function clip(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Scales all values. */
export function brightness(data: Float32Array, factor: number): void {
  for (let i = 0; i < data.length; i++) data[i] = clip((data[i] ?? 0) * factor);
}

/** Blends with the mean luma of the picture; each channel with its own mean where it is not in color. */
export function contrast(data: Float32Array, channels: number, factor: number): void {
  const means = channels === 3 ? new Float64Array(3).fill(meanLuma(data)) : channelMeans(data, channels);
  for (let i = 0; i < data.length; i++) {
    const mean = means[i % channels] ?? 0;
    data[i] = clip(mean + factor * ((data[i] ?? 0) - mean));
  }
}

function meanLuma(data: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 3) sum += luma(data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0);
  return sum / (data.length / 3);
}

function channelMeans(data: Float32Array, channels: number): Float64Array {
  const sums = new Float64Array(channels);
  for (let i = 0; i < data.length; i++) sums[i % channels] = (sums[i % channels] ?? 0) + (data[i] ?? 0);
  return sums.map((sum) => sum / (data.length / channels));
}

/** Blends every pixel of RGB with its own luma; factor 0 is grayscale. */
export function saturation(data: Float32Array, factor: number): void {
  for (let i = 0; i < data.length; i += 3) {
    const gray = luma(data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0);
    for (let c = i; c < i + 3; c++) data[c] = clip(gray + factor * ((data[c] ?? 0) - gray));
  }
}

/** Turns the hue of RGB by `shift` of a full circle (−0.5..0.5), keeping saturation and value. */
export function hue(data: Float32Array, shift: number): void {
  for (let i = 0; i < data.length; i += 3) {
    const red = data[i] ?? 0;
    const green = data[i + 1] ?? 0;
    const blue = data[i + 2] ?? 0;
    const value = Math.max(red, green, blue);
    const chroma = value - Math.min(red, green, blue);
    if (chroma === 0) continue;
    let sector = value === red ? (green - blue) / chroma : value === green ? 2 + (blue - red) / chroma : 4 + (red - green) / chroma;
    sector = (((sector + shift * 6) % 6) + 6) % 6;
    for (let c = 0; c < 3; c++) {
      const k = ((c === 0 ? 5 : c === 1 ? 3 : 1) + sector) % 6;
      data[i + c] = value - chroma * Math.max(0, Math.min(k, 4 - k, 1));
    }
  }
}

/** Inverts values at or above `threshold` (0..255). */
export function solarize(data: Float32Array, threshold: number): void {
  for (let i = 0; i < data.length; i++) if ((data[i] ?? 0) >= threshold) data[i] = 255 - (data[i] ?? 0);
}

/** Mirrors left to right. */
export function mirror(data: Float32Array, channels: number, width: number, height: number): void {
  for (let r = 0; r < height; r++) {
    for (let a = 0, b = width - 1; a < b; a++, b--) {
      for (let c = 0; c < channels; c++) {
        const i = (r * width + a) * channels + c;
        const j = (r * width + b) * channels + c;
        const held = data[i] ?? 0;
        data[i] = data[j] ?? 0;
        data[j] = held;
      }
    }
  }
}

function gaussian(sigma: number): Float32Array {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)));
  const sum = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((value) => value / sum);
}

/** One pass of a kernel along an axis of `length` with the given stride; edges repeat. */
function blurLine(data: Float32Array, start: number, length: number, stride: number, kernel: Float32Array, line: Float32Array): void {
  const radius = (kernel.length - 1) / 2;
  for (let i = 0; i < length; i++) line[i] = data[start + i * stride] ?? 0;
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (let k = -radius; k <= radius; k++) sum += (kernel[k + radius] ?? 0) * (line[Math.min(length - 1, Math.max(0, i + k))] ?? 0);
    data[start + i * stride] = sum;
  }
}

/** Gaussian blur with standard deviation `sigma` in pixels. */
export function blur(data: Float32Array, channels: number, width: number, height: number, sigma: number): void {
  const kernel = gaussian(sigma);
  const line = new Float32Array(Math.max(width, height));
  const row = width * channels;
  for (let r = 0; r < height; r++) for (let c = 0; c < channels; c++) blurLine(data, r * row + c, width, channels, kernel, line);
  for (let at = 0; at < row; at++) blurLine(data, at, height, row, kernel, line);
}
