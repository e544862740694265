/**
 * NumPy's file of one array (`.npy`, format 1.0 to 3.0), read.
 *
 * Owns the header, a Python literal of three keys, and the way from its numbers to floats in row-major order. What an array is to a
 * program is arrays.ts's. Pure: bytes in, numbers out; what is not read is refused in words, to which the caller adds the file.
 * Source: NumPy Enhancement Proposal 1 and `numpy.lib.format`.
 */

/** What a header says. */
export interface NpyHeader {
  readonly shape: readonly number[];
  /** Where the numbers begin, in bytes from the file's start. */
  readonly offset: number;
  /** Bytes of one number. */
  readonly bytes: number;
  /** Whether the first axis is the fastest. */
  readonly fortran: boolean;
  readonly read: (view: DataView, at: number) => number;
}

/** So many bytes hold any header that is read here; longer ones are those of records. */
export const NPY_HEAD = 4096;

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

type Read = (view: DataView, at: number, little: boolean) => number;

/** Readers by kind and bytes of a number; `bool` is 0 or 1. */
const readers: Readonly<Record<string, Read>> = {
  b1: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  u1: (view, at) => view.getUint8(at), u2: (view, at, little) => view.getUint16(at, little), u4: (view, at, little) => view.getUint32(at, little),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  i1: (view, at) => view.getInt8(at), i2: (view, at, little) => view.getInt16(at, little), i4: (view, at, little) => view.getInt32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  f2: (view, at, little) => fromHalf(view.getUint16(at, little)), f4: (view, at, little) => view.getFloat32(at, little), f8: (view, at, little) => view.getFloat64(at, little),
};

const otherKinds: Readonly<Record<string, string>> = { O: "Python objects", U: "texts", S: "texts", V: "records", c: "complex numbers", M: "dates", m: "spans of time" };

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const part = bits & 1023;
  if (exponent === 31) return part === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? part * 2 ** -24 : (1 + part / 1024) * 2 ** (exponent - 15));
}

/** Reads the header at the front of some bytes of a file. Throws an Error in words where they are no such file, or one whose numbers are not read. */
export function readNpyHeader(bytes: Uint8Array): NpyHeader {
  if (bytes.length < 10 || MAGIC.some((value, i) => bytes[i] !== value)) throw new Error("it is no .npy file (`np.save` writes one; of an `.npz`, save each array by itself)");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6] ?? 0;
  if (version < 1 || version > 3) throw new Error(`its format ${version}.${bytes[7] ?? 0} is not known; 1.0 to 3.0 are`);
  const [start, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, bytes.length < 12 ? 0 : view.getUint32(8, true)];
  if (start + length > NPY_HEAD) throw new Error(`its head has ${length} bytes, as that of records has; one plain array is read`);
  if (start + length > bytes.length) throw new Error("it ends within its head");
  const text = new TextDecoder().decode(bytes.subarray(start, start + length)).trim();
  // A dictionary of three keys, as NumPy writes it: anything else is not a plain array.
  const found = /^\{(?=.*'descr':\s*'([<>|=])([a-zA-Z])(\d+)')(?=.*'fortran_order':\s*(True|False))(?=.*'shape':\s*\(([\d\s,L]*)\)).*\}$/s.exec(text);
  if (found === null) throw new Error(/'descr':\s*\[/.test(text) ? "its numbers are records with names; save one plain array" : "its head says no plain array of numbers");
  const [, order = "", kind = "", size = "", fortran, dims = ""] = found;
  const read = readers[`${kind}${size}`];
  if (read === undefined) throw new Error(`it holds ${otherKinds[kind] ?? `numbers of type ${kind}${size}`}; whole numbers and floats of 8 to 64 bits are read`);
  const little = order !== ">";
  const shape = dims.split(",").map((part) => part.replace("L", "").trim()).filter((part) => part !== "").map(Number);
  return { shape, offset: start + length, bytes: Number(size), fortran: fortran === "True", read: (from, at) => read(from, at, little) };
}

/** How many numbers a shape has. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/**
 * Numbers of an array as floats, row-major in its shape. `bytes` are its numbers alone, without the head. Throws an Error in words where
 * they are fewer than the shape asks for, and where one is not finite, or too large for a float.
 */
export function readNpyValues({ shape, bytes: size, fortran, read }: Pick<NpyHeader, "shape" | "bytes" | "fortran" | "read">, bytes: Uint8Array): Float32Array {
  const count = countOf(shape);
  if (bytes.length < count * size) throw new Error(`it ends after ${Math.floor(bytes.length / size)} of its ${count} numbers`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array(count);
  const steps = fortran ? firstFastest(shape) : undefined;
  for (let i = 0; i < count; i++) {
    const value = read(view, size * (steps === undefined ? i : steps(i)));
    out[i] = value;
    if (!Number.isFinite(out[i])) throw new Error(`number ${i + 1} of ${count} is ${Number.isFinite(value) ? `${value}, more than a float of 32 bits holds` : value}`);
  }
  return out;
}

/** Where the element of a row-major place lies when the first axis is the fastest. */
function firstFastest(shape: readonly number[]): (place: number) => number {
  const strides = shape.map((_, axis) => countOf(shape.slice(0, axis)));
  return (place) => {
    let at = 0;
    for (let axis = shape.length - 1, rest = place; axis >= 0; axis--) {
      const side = shape[axis] ?? 1;
      at += (rest % side) * (strides[axis] ?? 0);
      rest = Math.floor(rest / side);
    }
    return at;
  };
}
