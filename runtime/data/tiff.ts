/**
 * Bands of TIFF files, by geotiff.
 *
 * Owns what a file of satellites or of a microscope holds beside colors: any number of values a pixel, stored beside each other or
 * band after band, in strips or tiles, or gray pages that are the bands of one picture. Values are taken as they stand, with no
 * profile. sharp reads all other pictures (decode.ts); of TIFF it reads at most red, green, blue and alpha: libvips takes lines of
 * gray files with whole bands one after the other from wrong places.
 */
import { fromArrayBuffer, type GeoTIFFImage } from "geotiff";
import { errorText } from "../base/errors.js";
import type { RawImage } from "./source.js";

/** A picture with so many values a pixel. */
export interface Banded extends RawImage {
  readonly bands: number;
}

const KINDS: Readonly<Record<number, string>> = { 0: "black is its largest value", 3: "its values are places in a palette", 6: "its colors are luma and two differences of color", 8: "its colors are of the space Lab" };
/** Bits of the tag NewSubfileType: a smaller copy of another page, or a mask. */
const NO_PICTURE = 1 | 4;

/** Whether a file is a TIFF, of either order of bytes, with places of 4 or 8 bytes. */
export function isTiff(bytes: Uint8Array): boolean {
  const [a, b, c, d] = bytes;
  return (a === 0x49 && b === 0x49 && (c === 42 || c === 43) && d === 0) || (a === 0x4d && b === 0x4d && c === 0 && (d === 42 || d === 43));
}

/** The pages of a file, read when they are asked for. Opening throws, in words, what is no such file. */
export class TiffPages {
  readonly #images: readonly GeoTIFFImage[];

  private constructor(images: readonly GeoTIFFImage[]) {
    this.#images = images;
  }

  static open(bytes: Uint8Array): Promise<TiffPages> {
    return whole(() => TiffPages.#open(bytes));
  }

  static async #open(bytes: Uint8Array): Promise<TiffPages> {
    const file = await fromArrayBuffer(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
    const all: GeoTIFFImage[] = [];
    const count = await file.getImageCount();
    for (let i = 0; i < count; i++) all.push(await file.getImage(i));
    return new TiffPages(all.filter((image) => (numberOf(image, "NewSubfileType", 0) & NO_PICTURE) === 0));
  }

  get count(): number {
    return this.#images.length;
  }

  /** Values of a pixel of the first page. */
  get bands(): number {
    return this.#images[0]?.getSamplesPerPixel() ?? 0;
  }

  /** A page as it stands. Throws, in words, where its values are not of 8 or 16 bits from black to white. */
  async read(page: number): Promise<Banded> {
    const image = this.#images[page];
    if (image === undefined) throw new Error(`it has ${this.count} pages, and page ${page + 1} is asked for`);
    const bands = image.getSamplesPerPixel();
    for (let i = 0; i < bands; i++) {
      const [bits, kind] = [image.getBitsPerSample(i) as number, image.getSampleFormat(i)];
      if ((bits !== 8 && bits !== 16) || kind !== 1) throw new Error(`its values are ${kind === 3 ? "floats" : kind === 2 ? "numbers with a sign" : "numbers"} of ${bits} bits; pictures have 8 or 16 bits without a sign, from black at 0 to white`);
      if (bits !== image.getBitsPerSample(0)) throw new Error("its bands differ in their bits");
    }
    const other = KINDS[numberOf(image, "PhotometricInterpretation", 1)];
    if (other !== undefined) throw new Error(`${other}, which is not read by bands`);
    if (((await image.fileDirectory.loadValue("Orientation")) ?? 1) !== 1) throw new Error("it is stored turned or mirrored, which is not read by bands: save it upright");
    const [width, height] = [image.getWidth(), image.getHeight()];
    const data = await whole(() => image.readRasters({ interleave: true }));
    if (!(data instanceof Uint8Array || data instanceof Uint16Array) || data.length !== width * height * bands) throw new Error(`${width} x ${height} pixels of ${bands} bands were read as ${data.length} values`);
    return { width, height, bands, data };
  }
}

/** What geotiff says of a damaged file is of its own inside. */
async function whole<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new Error(`it is damaged, cut short or of a kind that is not read (${errorText(error)})`, { cause: error });
  }
}

function numberOf(image: GeoTIFFImage, tag: "NewSubfileType" | "PhotometricInterpretation", fallback: number): number {
  const value: unknown = image.fileDirectory.getValue(tag);
  return typeof value === "number" ? value : fallback;
}
