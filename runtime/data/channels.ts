/**
 * Gray and color: how many values a pixel has, and how large they are.
 *
 * Owns the two kinds of decoded pictures (one value a pixel, or red, green and blue), the way from one to the other, and
 * what 16 bits are worth. A view has as many channels as its normalization has means, so nothing else has to say it.
 */
import { HostError } from "../base/errors.js";
import type { RawImage } from "./source.js";

/** Values of a pixel: gray, or red, green and blue. */
export type Channels = 1 | 3;

/** Weights of ITU-R 601 out of 65536, as Pillow's mode L has them: a gray of three equal channels is that gray. */
const [RED, GREEN, BLUE, HALF] = [19595, 38470, 7471, 0x8000];

/** The channels that a normalization is for; undefined where it fits no pictures. */
export function channelsFor(mean: readonly number[], std: readonly number[]): Channels | undefined {
  const { length } = mean;
  const sound = (length === 1 || length === 3) && std.length === length && [...mean, ...std].every(Number.isFinite) && std.every((value) => value > 0);
  return sound ? length : undefined;
}

/** What one step of a value is worth in 0..255. */
export function levelOf(data: Float32Array | RawImage["data"]): number {
  return data instanceof Uint16Array ? 1 / 257 : 1;
}

/** The channels of a picture. Throws `HostError` "bad-data" that calls it `name` where its values are neither one nor three a pixel. */
function channelsOf({ width, height, data }: RawImage, name = "a picture"): Channels {
  const channels = data.length / (width * height);
  if (channels === 1 || channels === 3) return channels;
  throw new HostError("bad-data", `${name} of ${width} × ${height} pixels has ${data.length} values`, `a source gives ${width * height} of a gray picture, ${width * height * 3} of one in color`);
}

/** A picture with so many channels: gray is the luma of color, and color made of gray has three equal channels. Throws what {@link channelsOf} throws. */
export function inChannels(image: RawImage, channels: Channels, name?: string): RawImage {
  const from = image.data;
  if (channelsOf(image, name) === channels) return image;
  const pixels = image.width * image.height;
  const data = from instanceof Uint16Array ? new Uint16Array(pixels * channels) : new Uint8Array(pixels * channels);
  for (let i = 0, c = 0; i < pixels; i++, c += 3) {
    if (channels === 3) data[c] = data[c + 1] = data[c + 2] = from[i] ?? 0;
    else data[i] = ((from[c] ?? 0) * RED + (from[c + 1] ?? 0) * GREEN + (from[c + 2] ?? 0) * BLUE + HALF) >>> 16;
  }
  return { width: image.width, height: image.height, data };
}
