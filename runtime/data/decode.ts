/**
 * From a file to a picture, by sharp.
 *
 * Owns reading a file (what is wrong with the machine is tried again), and turning it into RGB of 8 or 16 bits, or into the bands
 * that a program takes. A picture stands as its EXIF orientation says. Which files there are is folder.ts's and films.ts's; crops
 * and resizing are our own maths, elsewhere.
 */
import { open, readFile } from "node:fs/promises";
import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import sharp, { type Sharp, type SharpOptions } from "sharp";
import { counted } from "../base/counted.js";
import { errorText, HostError, systemCode } from "../base/errors.js";
import type { Bands, RawImage } from "./source.js";
import { isTiff, TiffPages, type Banded } from "./tiff.js";

// One libvips thread per picture: pictures are decoded side by side already, and its operation cache only costs memory.
sharp.concurrency(1);
sharp.cache(false);

/** Milliseconds before a file is read again that could not be read. */
const AGAIN: readonly number[] = [100, 400, 1600];
/** Faults that may pass by themselves: those of the machine (or of the one that keeps the files), and a device's, which may as well be of this file alone. */
const MACHINE: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EBUSY", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH"]);
const DEVICE = "EIO";

/** The bytes of a file with pictures. Throws `HostError` "unreadable-image" where its file cannot be read, "io" where it is the machine that cannot. */
async function readPicture(path: string, tried = 0): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = systemCode(error);
    const wait = AGAIN[tried];
    if (wait !== undefined && (MACHINE.has(code) || code === DEVICE)) {
      await sleep(wait);
      return readPicture(path, tried + 1);
    }
    if (MACHINE.has(code)) throw new HostError("io", `cannot read ${path}, which may be a sound picture: ${errorText(error)}`, "mend that (EMFILE: raise `ulimit -n`, or take fewer --workers), then go on with --resume", { cause: error });
    throw new HostError("unreadable-image", `cannot read ${path}: ${errorText(error)}`, "bring the file back or let it be read, or write on_corrupt: skip in the program's data", { cause: error });
  }
}

/** How a file's values are to be read: `deep` where they have 16 bits, `profile` where their colors are those of a profile. */
interface Values {
  readonly deep: boolean;
  readonly profile: boolean;
}

type Head = Awaited<ReturnType<Sharp["metadata"]>>;
type Depth = Pick<Head, "depth">;

/** Throws, in words, where values are not such as have a black and a white. */
function isDeep({ depth }: Depth): boolean {
  if (depth !== "uchar" && depth !== "ushort") throw new Error(`its values are of type ${depth}; pictures have 8 or 16 bits without a sign, from black at 0 to white`);
  return depth === "ushort";
}

/** Looks at a file's head. A JPEG has 8 bits, and is not looked at: that takes a tenth of the time of decoding a photograph. Throws what is not to be read as a picture, in words. */
async function valuesOf(picture: Sharp, bytes: Uint8Array): Promise<Values> {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { deep: false, profile: false };
  const head = await picture.metadata();
  const { channels, space, icc } = head;
  const deep = isDeep(head);
  const colors = space === "b-w" || space === "grey16" ? 1 : space === "cmyk" ? 4 : 3;
  if (channels > colors + 1) throw new Error(`it has ${channels} bands; a picture is gray or in color, and may have an alpha channel, which is left out. A program takes them all with \`${channels}\` as the channels of its input, or some by \`bands\``);
  return { deep, profile: icc !== undefined && space === "rgb16" };
}

/**
 * Decodes a file to RGB of 8 bits, or of 16 where it has so many, turned as its EXIF orientation says; alpha is dropped. With
 * `bands`, to those: what a pixel holds in the file, or the pages of a file with so many gray ones, as microscopes write them.
 * Throws `HostError` "bad-image" that names it, and what reading it throws.
 */
export async function decodeFile(path: string, bands?: Bands): Promise<RawImage> {
  const [picture] = await decodePages(path, undefined, bands);
  if (picture === undefined) throw new RangeError(`${path} holds no picture`);
  return picture;
}

/** Which pictures of a file: `count` of them, from `page` (counted from 0) on. */
interface Pages {
  readonly page: number;
  readonly count: number;
}

/** Pictures of a file that holds several. All of it is one where `pages` is not given. Throws what `decodeFile` throws. */
export async function decodePages(path: string, pages?: Pages, bands?: Bands): Promise<readonly RawImage[]> {
  const bytes = await readPicture(path);
  try {
    return bands === undefined ? await inColor(bytes, pages) : await inBands(bytes, pages, bands);
  } catch (error) {
    throw new HostError("bad-image", `cannot decode ${path}: ${errorText(error).split("\n")[0] ?? ""}`, "remove or replace the file, or write on_corrupt: skip in the program's data", { cause: error });
  }
}

function optionsOf(pages: Pages | undefined): SharpOptions {
  // More than five bands are refused in words of our own.
  return { failOn: "error", limitInputChannels: 0, ...(pages === undefined ? {} : { page: pages.page, pages: pages.count }) };
}

async function inColor(bytes: Uint8Array, pages: Pages | undefined): Promise<readonly RawImage[]> {
  const picture = sharp(bytes, optionsOf(pages));
  const { deep, profile } = await valuesOf(picture, bytes);
  // Pages come as one tall picture, which must not be turned.
  if (pages === undefined) picture.autoOrient();
  picture.removeAlpha().toColourspace(deep ? "rgb16" : "srgb");
  // Colors of a profile with 16 bits come out as those of Display P3 otherwise.
  if (profile) picture.withIccProfile("srgb", { attach: false });
  const tall = await rawOf(picture, deep);
  if (tall.channels !== 3) throw new Error(`it has ${tall.channels} channels that are not red, green and blue`);
  return cut(tall, pages?.count ?? 1);
}

/** The bands of a file as numbers, without regard to what they are seen as: no profile, and alpha is a band. */
async function inBands(bytes: Uint8Array, pages: Pages | undefined, bands: Bands): Promise<readonly RawImage[]> {
  if (!isTiff(bytes)) return (await bandedOf(bytes, pages, bands)).map((picture) => chosen([picture], wantedOf(bands, picture.bands)));
  const file = await TiffPages.open(bytes);
  if (pages !== undefined) {
    const some: RawImage[] = [];
    for (let i = 0; i < pages.count; i++) {
      const page = await file.read(pages.page + i);
      some.push(chosen([page], wantedOf(bands, page.bands)));
    }
    return some;
  }
  const stack = file.bands === 1 ? file.count : 1;
  if (stack === 1 && file.count > 1) throw new Error(`it holds ${file.count} pictures of ${file.bands} bands, which are no bands of one`);
  const wanted = wantedOf(bands, stack === 1 ? file.bands : stack);
  if (stack === 1) return [chosen([await file.read(0)], wanted)];
  const read = await Promise.all(wanted.map((band) => file.read(band - 1)));
  return [chosen(read, read.map((_, i) => i + 1))];
}

/** The bands to take of so many. Throws, in words, where they are not there. */
function wantedOf(bands: Bands, found: number): readonly number[] {
  if (typeof bands === "number" ? bands !== found : bands.some((band) => band > found)) {
    throw new Error(`it has ${counted(found, "band")}, and the program takes ${typeof bands === "number" ? bands : `band ${Math.max(...bands)}`}`);
  }
  return typeof bands === "number" ? Array.from({ length: bands }, (_, i) => i + 1) : bands;
}

/** Pictures with all their bands, of what is no TIFF. */
async function bandedOf(bytes: Uint8Array, pages: Pages | undefined, bands: Bands): Promise<readonly Banded[]> {
  const head = await sharp(bytes, optionsOf(pages)).metadata();
  const deep = isDeep(head);
  const gray = head.space === "b-w" || head.space === "grey16";
  if (!gray && head.space !== "srgb" && head.space !== "rgb16") throw new Error(`its values are of the color space ${head.space}, which is not read by bands`);
  wantedOf(bands, head.channels);
  const picture = sharp(bytes, { ...optionsOf(pages), ignoreIcc: true });
  if (pages === undefined) picture.autoOrient();
  // Gray of 8 bits with alpha is read with 16: libvips gives it three equal bands in front otherwise.
  picture.toColourspace(gray ? "grey16" : deep ? "rgb16" : "srgb");
  const tall = await rawOf(picture, gray || deep);
  if (tall.channels !== head.channels) throw new Error(`its ${head.channels} bands were read as ${tall.channels}`);
  const data = deep || !gray ? tall.data : Uint8Array.from(tall.data, (value) => value >>> 8);
  return cut({ ...tall, data }, pages?.count ?? 1).map((one) => ({ ...one, bands: head.channels }));
}

/** Some bands (counted from 1 through all pictures) of pictures of one size, in their order. Throws, in words, where sizes or bits differ. */
function chosen(pictures: readonly Banded[], wanted: readonly number[]): RawImage {
  const [first] = pictures;
  if (first === undefined) throw new RangeError("no picture");
  const { width, height, bands, data } = first;
  if (pictures.some((one) => one.width !== width || one.height !== height || one.data.BYTES_PER_ELEMENT !== data.BYTES_PER_ELEMENT)) throw new Error("its pages differ in size or in bits");
  if (pictures.length === 1 && wanted.length === bands && wanted.every((band, i) => band === i + 1)) return { width, height, data };
  const size = width * height * wanted.length;
  const out = data instanceof Uint16Array ? new Uint16Array(size) : new Uint8Array(size);
  wanted.forEach((band, c) => {
    const from = pictures[Math.floor((band - 1) / bands)]?.data ?? out;
    const at = (band - 1) % bands;
    for (let i = 0; i < width * height; i++) out[i * wanted.length + c] = from[i * bands + at] ?? 0;
  });
  return { width, height, data: out };
}

interface Raw extends RawImage {
  readonly channels: number;
}

/** What a pipeline gives, of 16 bits where `deep`. */
async function rawOf(picture: Sharp, deep: boolean): Promise<Raw> {
  const { data, info } = await picture.raw({ depth: deep ? "ushort" : "uchar" }).toBuffer({ resolveWithObject: true });
  const values = deep ? new Uint16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)) : data;
  return { width: info.width, height: info.height, channels: info.channels, data: values };
}

/** The pictures that stand one above the other. */
function cut(tall: Raw, count: number): readonly RawImage[] {
  const [width, height] = [tall.width, tall.height / count];
  if (!Number.isInteger(height)) throw new Error("its pictures differ in size");
  const size = width * height * tall.channels;
  return count === 1 ? [{ width, height, data: tall.data }] : Array.from({ length: count }, (_, i) => ({ width, height, data: tall.data.slice(i * size, (i + 1) * size) }));
}

/** How many pictures a file holds: formats that can hold several are asked. Throws what their heads being damaged throws. */
export async function pagesOf(path: string): Promise<number> {
  const extension = extname(path).toLowerCase();
  if (![".gif", ".webp", ".tif", ".tiff"].includes(extension)) return 1;
  if (extension === ".webp" && !(await isAnimatedWebp(path))) return 1;
  return (await sharp(path).metadata()).pages ?? 1;
}

/** A folder may hold a hundred thousand frames in this format: the head of most says at once that it is one picture. */
async function isAnimatedWebp(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const head = new Uint8Array(21);
    await file.read(head, 0, head.length, 0);
    return String.fromCharCode(...head.subarray(12, 16)) === "VP8X" && ((head[20] ?? 0) & 2) !== 0;
  } finally {
    await file.close();
  }
}
