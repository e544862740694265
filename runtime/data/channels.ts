/**
 * Gray, color and other bands: how many values a pixel has, and how large they are.
 *
 * Owns the kinds of decoded pictures (one value a pixel, or red, green and blue, or other bands), the way from gray to color and
 * back, and what 16 bits are worth. A view has as many channels as its normalization has means, so nothing else has to say it.
 */
import { counted } from "../base/counted.js";
import { HostError } from "../base/errors.js";
import type { RawImage } from "./source.js";

/** Weights of ITU-R 601 out of 65536, as Pillow's mode L has them: a gray of three equal channels is that gray. */
const [RED, GREEN, BLUE, HALF] = [19595, 38470, 7471, 0x8000];

/** The channels that a normalization is for; undefined where it fits no pictures. */
export function channelsFor(mean: readonly number[], std: readonly number[]): number | undefined {
  const { length } = mean;
  const sound = length > 0 && std.length === length && [...mean, ...std].every(Number.isFinite) && std.every((value) => value > 0);
  return sound ? length : undefined;
}

/** What one step of a picture's value is worth in 0..255. */
export function levelOf(data: RawImage["data"]): number {
  return data instanceof Uint16Array ? 1 / 257 : 1;
}

/** The channels of a picture. Throws `HostError` "bad-data" that calls it `name` where its values are not as many for every pixel. */
function channelsOf({ width, height, data }: RawImage, name = "a picture"): number {
  const channels = data.length / (width * height);
  if (Number.isInteger(channels) && channels > 0) return channels;
  throw new HostError("bad-data", `${name} of ${width} × ${height} pixels has ${data.length} values`, `a source gives ${width * height} of a gray picture, ${width * height * 3} of one in color`);
}

/**
 * A picture with so many channels: gray is the luma of color, and color made of gray has three equal channels. Throws what
 * {@link channelsOf} throws, and `HostError` "bad-data" where one cannot be made of the other.
 */
export function inChannels(image: RawImage, channels: number, name = "a picture"): RawImage {
  const from = image.data;
  const has = channelsOf(image, name);
  if (has === channels) return image;
  if ((!(channels === 1 && has === 3) && !(channels === 3 && has === 1)) || from instanceof Float32Array) {
    throw new HostError("bad-data", `${name} has ${counted(has, "channel")}, and the program takes ${channels}`, "give pictures with as many bands as the program's input has channels (generated ones are gray or in color)");
  }
  const pixels = image.width * image.height;
  const data = from instanceof Uint16Array ? new Uint16Array(pixels * channels) : new Uint8Array(pixels * channels);
  for (let i = 0, c = 0; i < pixels; i++, c += 3) {
    if (channels === 3) data[c] = data[c + 1] = data[c + 2] = from[i] ?? 0;
    else data[i] = ((from[c] ?? 0) * RED + (from[c + 1] ?? 0) * GREEN + (from[c + 2] ?? 0) * BLUE + HALF) >>> 16;
  }
  return { width: image.width, height: image.height, data };
}
