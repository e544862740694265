/** Uncompressed TIFF files by the specification (TIFF 6.0), for bands and types of values that image libraries do not write. */

export interface TiffOptions {
  readonly width: number;
  readonly height: number;
  /** Values of a pixel. */
  readonly bands: number;
  readonly bits: 8 | 16 | 32;
  /** Values without a sign (1, unless said), with one (2), or floats (3). */
  readonly format?: 1 | 2 | 3;
  /** Black is zero (1, unless said), or the first three bands are red, green and blue (2). */
  readonly photometric?: 1 | 2;
  /** Bands beside each other in a pixel (1, unless said), or one whole band after the other (2). */
  readonly planar?: 1 | 2;
  /** Of each page its values, as bytes, little end first. */
  readonly pages: readonly ArrayBufferView[];
}

const [SHORT, LONG] = [3, 4] as const;

type Tag = readonly [tag: number, type: typeof SHORT | typeof LONG, values: readonly number[]];

/** The bytes of such a file. */
export function tiff({ width, height, bands, bits, format = 1, photometric = 1, planar = 1, pages }: TiffOptions): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0x49, 0x49, 42, 0, 0, 0, 0, 0)];
  let length = 8;
  const append = (bytes: Uint8Array): number => {
    const at = length;
    const padded = bytes.length % 2 === 0 ? bytes : Uint8Array.of(...bytes, 0);
    parts.push(padded);
    length += padded.length;
    return at;
  };
  const numbers = (type: Tag[1], values: readonly number[]): Uint8Array => new Uint8Array((type === SHORT ? Uint16Array.from(values) : Uint32Array.from(values)).buffer);
  /** Where the place of the next directory is to be written. */
  let link: { readonly part: Uint8Array; readonly at: number } = { part: parts[0] ?? new Uint8Array(), at: 4 };
  for (const page of pages) {
    const data = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
    const strips = planar === 1 ? 1 : bands;
    const strip = data.length / strips;
    const start = append(data);
    const all = (value: number, count: number): number[] => Array.from({ length: count }, () => value);
    const extra = bands - (photometric === 2 ? 3 : 1);
    const tags: Tag[] = [
      [256, LONG, [width]], [257, LONG, [height]], [258, SHORT, all(bits, bands)], [259, SHORT, [1]], [262, SHORT, [photometric]],
      [273, LONG, Array.from({ length: strips }, (_, i) => start + i * strip)], [277, SHORT, [bands]], [278, LONG, [height]], [279, LONG, all(strip, strips)], [284, SHORT, [planar]],
      ...(extra > 0 ? [[338, SHORT, all(0, extra)] as const] : []), [339, SHORT, all(format, bands)],
    ];
    const directory = new Uint8Array(2 + 12 * tags.length + 4);
    const write = new DataView(directory.buffer);
    write.setUint16(0, tags.length, true);
    tags.forEach(([tag, type, values], i) => {
      const at = 2 + 12 * i;
      write.setUint16(at, tag, true);
      write.setUint16(at + 2, type, true);
      write.setUint32(at + 4, values.length, true);
      const bytes = numbers(type, values);
      if (bytes.length <= 4) directory.set(bytes, at + 8);
      else write.setUint32(at + 8, append(bytes), true);
    });
    new DataView(link.part.buffer).setUint32(link.at, append(directory), true);
    link = { part: directory, at: directory.length - 4 };
  }
  const file = new Uint8Array(length);
  let to = 0;
  for (const part of parts) {
    file.set(part, to);
    to += part.length;
  }
  return file;
}
