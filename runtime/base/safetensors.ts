/**
 * The safetensors format: 8 bytes of header length, a JSON header, then raw little-endian tensors.
 *
 * Owns a strict reader and a writer. The reader trusts nothing: every length, offset, dimension and name is checked against
 * the bytes that are there before any tensor is allocated, so a truncated checkpoint or a hostile file is one clear
 * `HostError` and never a crash or a huge allocation. Half-precision tensors are widened to float32. What is written carries
 * checksums in its metadata, which other readers pass over; where there are some they are held to what is read, so that a bit
 * that a disk has turned is told and never trained on. What the tensors mean (parameters, optimizer slots) is for the
 * checkpoint code.
 */
import { crc32 } from "./crc32.js";
import { errorText, HostError } from "./errors.js";
import { halfToFloat } from "./half.js";

/** Element types that this project reads; it writes all but the two half-precision ones. */
export type DType = "F32" | "F16" | "BF16" | "I32" | "I64" | "U8";

/** Elements in memory: F32, F16 and BF16 as Float32Array. */
export type TensorData = Float32Array | Int32Array | BigInt64Array | Uint8Array;

/** A tensor of a file. `dtype` is that of the file. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** What a file holds, tensors in order of their place in the file. */
export interface TensorFile {
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A tensor to write; its dtype follows from the array. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

const BYTES: Readonly<Record<DType, number>> = { F32: 4, F16: 2, BF16: 2, I32: 4, I64: 8, U8: 1 };
/** Types of the format that no part of jepac reads. */
const UNREAD: ReadonlySet<string> = new Set(["F64", "U64", "U32", "U16", "I16", "I8", "BOOL", "F8_E4M3", "F8_E5M2"]);
const MAX_HEADER = 100 * 1024 * 1024;
const MAX_RANK = 32;
/** `{` */
const BRACE = 0x7b;
/** In the metadata: CRC-32 of the header without this entry, then of each tensor in the file's order, as hexadecimal words. */
const CHECKSUMS = "jepac.crc32";

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function bad(where: string, what: string): HostError {
  return new HostError("bad-file", `${where} is not a safetensors file that can be trusted: ${what}`, "use a file written by jepac or by the safetensors library; the file may be damaged");
}

/** Beginnings of files that weights are given as elsewhere, with what they are. */
const KINDS: readonly (readonly [readonly number[], string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], "a zip archive, as PyTorch (.pt, .pth, .bin) and numpy (.npz) write them"], [[0x80], "a pickle of Python"], [[0x89, 0x48, 0x44, 0x46], "HDF5, as Keras writes it"],
  [[0x93, 0x4e, 0x55, 0x4d], "an array of numpy"], [[0x47, 0x47, 0x55, 0x46], "GGUF"], [[0x1f, 0x8b], "compressed by gzip"], [[0x76, 0x65, 0x72, 0x73], "a pointer of Git LFS, and the file itself is elsewhere (git lfs pull)"],
];

function foreign(where: string, first: Uint8Array): HostError {
  const kind = KINDS.find(([bytes]) => bytes.every((byte, i) => first[i] === byte))?.[1];
  return new HostError("bad-file", `${where} is not a safetensors file: it ${kind === undefined ? "begins in another way" : `is ${kind}`}`, "save the weights as safetensors with the program that has them (in Python: safetensors.torch.save_file(model.state_dict(), \"model.safetensors\"))");
}

function truncated(where: string, what: string): HostError {
  return new HostError("truncated-file", `${where} is cut short: ${what}`, "the file was not written to its end; use the checkpoint before it");
}

function altered(where: string, what: string): HostError {
  return new HostError("bad-file", `${where} is damaged: ${what} is not what was written (its checksum differs)`, `use a copy of the file, or the checkpoint before it; if another program changed it on purpose, let that leave \`${CHECKSUMS}\` out of the metadata`);
}

function isDType(value: unknown): value is DType {
  return typeof value === "string" && Object.hasOwn(BYTES, value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** A key that a JSON object of the text has twice, which `JSON.parse` would swallow; the text must be valid JSON. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{") open.push(new Set());
    else if (c === "[") open.push(new Set());
    else if (c === "}" || c === "]") open.pop();
    else if (c === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      let after = i + 1;
      while (/\s/.test(text[after] ?? "x")) after++;
      if (text[after] !== ":") continue;
      const key: unknown = JSON.parse(text.slice(start, i + 1));
      const keys = open.at(-1);
      if (typeof key !== "string" || keys === undefined) continue;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** `size` bytes, read on demand: a file, or memory. */
export interface ByteSource {
  readonly size: number;
  /** The bytes [from, to), both within the size. */
  read(from: number, to: number): Uint8Array;
}

function readHeader(source: ByteSource, where: string): { header: Readonly<Record<string, unknown>>; dataStart: number } {
  if (source.size < 8) throw truncated(where, `it has ${source.size} bytes, and the header length alone takes 8`);
  const first = source.read(0, 8);
  const view = new DataView(first.buffer, first.byteOffset, 8);
  const length = view.getUint32(4, true) * 4294967296 + view.getUint32(0, true);
  // A header is a JSON object, so that its first letter tells of a file that is of another kind altogether.
  if (source.size > 8 && source.read(8, 9)[0] !== BRACE && (length > MAX_HEADER || length > source.size - 8)) throw foreign(where, first);
  if (length > MAX_HEADER) throw bad(where, `its header claims ${length} bytes, the most allowed is ${MAX_HEADER}`);
  if (length > source.size - 8) throw truncated(where, `its header claims ${length} bytes and ${source.size - 8} follow`);
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(source.read(8, 8 + length));
    header = JSON.parse(text);
  } catch (error) {
    throw bad(where, `its header is not JSON (${errorText(error).slice(0, 120)})`);
  }
  if (!isObject(header)) throw bad(where, "its header is not a JSON object");
  const twice = duplicateKey(text);
  if (twice !== undefined) throw bad(where, `the name ${show(twice)} occurs twice in its header`);
  return { header, dataStart: 8 + length };
}

function readMetadata(value: unknown, where: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isObject(value)) throw bad(where, "__metadata__ is not an object");
  const pairs: [string, string][] = [];
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw bad(where, `metadata ${show(key)} is not a text`);
    pairs.push([key, text]);
  }
  return Object.fromEntries(pairs);
}

function readShape(value: unknown, name: string, where: string): readonly number[] {
  if (!Array.isArray(value)) throw bad(where, `the shape of ${show(name)} is not a list`);
  if (value.length > MAX_RANK) throw bad(where, `${show(name)} has ${value.length} dimensions, the most allowed is ${MAX_RANK}`);
  const list: readonly unknown[] = value;
  return list.map((dim) => {
    if (typeof dim !== "number" || !Number.isSafeInteger(dim) || dim < 0) throw bad(where, `${show(name)} has the dimension ${show(dim)}`);
    return dim;
  });
}

function readEntry(name: string, value: unknown, dataBytes: number, where: string): Entry {
  if (!isObject(value)) throw bad(where, `the entry ${show(name)} is not an object`);
  const dtype = value["dtype"];
  if (typeof dtype === "string" && UNREAD.has(dtype)) throw new HostError("bad-file", `${where}: ${show(name)} has the element type ${dtype}, and jepac reads ${Object.keys(BYTES).join(", ")}`, "convert the weights to float32 with the tool that wrote them (in PyTorch: tensor.float())");
  if (!isDType(dtype)) throw bad(where, `${show(name)} has the element type ${show(dtype)}; known are ${Object.keys(BYTES).join(", ")}`);
  const shape = readShape(value["shape"], name, where);
  const offsets = value["data_offsets"];
  if (!Array.isArray(offsets) || offsets.length !== 2) throw bad(where, `${show(name)} has no pair of data_offsets`);
  const [begin, end]: readonly unknown[] = offsets;
  if (typeof begin !== "number" || typeof end !== "number" || !Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || begin < 0 || end < begin) {
    throw bad(where, `${show(name)} has the offsets ${show(offsets)}`);
  }
  if (end > dataBytes) throw truncated(where, `${show(name)} ends at byte ${end} of the data, which has ${dataBytes}`);
  let size = BYTES[dtype];
  for (const dim of shape) {
    size *= dim;
    if (!Number.isSafeInteger(size)) throw bad(where, `the size of ${show(name)}, ${show(shape)}, is absurd`);
  }
  if (size !== end - begin) throw bad(where, `${show(name)} of shape ${show(shape)} takes ${size} bytes and has ${end - begin}`);
  return { name, dtype, shape, begin, end };
}

/** Tensors must tile the data exactly: no overlap, no hole, nothing after the last. */
function checkTiling(sorted: readonly Entry[], dataBytes: number, where: string): void {
  let at = 0;
  for (const entry of sorted) {
    if (entry.begin < at) throw bad(where, `${show(entry.name)} overlaps the tensor before it`);
    if (entry.begin > at) throw bad(where, `there is a hole of ${entry.begin - at} bytes before ${show(entry.name)}`);
    at = entry.end;
  }
  if (at !== dataBytes) throw bad(where, `${dataBytes - at} bytes follow the last tensor`);
}

function decode(dtype: DType, raw: Uint8Array): TensorData {
  const own = new Uint8Array(raw); // not slice(): of a Node Buffer that would be a view
  switch (dtype) {
    case "U8":
      return own;
    case "F32":
      return new Float32Array(own.buffer);
    case "I32":
      return new Int32Array(own.buffer);
    case "I64":
      return new BigInt64Array(own.buffer);
    case "F16":
      return Float32Array.from(new Uint16Array(own.buffer), halfToFloat);
    case "BF16": {
      const bits = new Uint16Array(own.buffer);
      const wide = new Uint32Array(bits.length);
      for (let i = 0; i < bits.length; i++) wide[i] = (bits[i] ?? 0) << 16;
      return new Float32Array(wide.buffer);
    }
  }
}

/** A tensor whose numbers are read when they are asked for, anew each time. */
export type StoredTensor = Omit<NamedTensor, "data"> & { read(): TensorData };

/** What a file says that it holds, checked against its size; no tensor has been read. */
export interface StoredTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a whole file. `where` names it in messages, where it has a name. Throws `HostError` "truncated-file" when bytes are missing, "bad-file"
 * for anything else that is not exactly the format.
 */
export function readSafetensors(bytes: Uint8Array, where = "what was given"): TensorFile {
  const { tensors, metadata } = openSafetensors({ size: bytes.length, read: (from, to) => bytes.subarray(from, to) }, where);
  return { tensors: new Map([...tensors].map(([name, { dtype, shape, read }]) => [name, { name, dtype, shape, data: read() }])), metadata };
}

/** Reads and checks the header alone, and gives tensors one by one, each checked as it is read: for files larger than memory. Throws as `readSafetensors` does. */
export function openSafetensors(source: ByteSource, where: string): StoredTensors {
  const { header, dataStart } = readHeader(source, where);
  const dataBytes = source.size - dataStart;
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== "__metadata__") entries.push(readEntry(name, value, dataBytes, where));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkTiling(entries, dataBytes, where);
  const { [CHECKSUMS]: checksums, ...metadata } = readMetadata(Object.hasOwn(header, "__metadata__") ? header["__metadata__"] : undefined, where);
  const sums = checksums?.split(" ");
  if (sums !== undefined && (sums.length !== entries.length + 1 || sums[0] !== headerSum({ ...header, __metadata__: metadata }))) throw altered(where, "its header");
  const tensors = new Map<string, StoredTensor>();
  entries.forEach(({ name, dtype, shape, begin, end }, i) => {
    const read = (): TensorData => {
      const raw = source.read(dataStart + begin, dataStart + end);
      if (sums !== undefined && sums[i + 1] !== sum(raw)) throw altered(where, name);
      return decode(dtype, raw);
    };
    tensors.set(name, { name, dtype, shape, read });
  });
  return { tensors, metadata };
}

/** A checksum as it is written. */
function sum(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, "0");
}

/** Of what a header says, however it is spaced. */
function headerSum(header: Readonly<Record<string, unknown>>): string {
  return sum(new TextEncoder().encode(JSON.stringify(header)));
}

function dtypeOf(name: string, data: TensorData): DType {
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Int32Array) return "I32";
  if (data instanceof BigInt64Array) return "I64";
  if (data instanceof Uint8Array) return "U8";
  throw new HostError("bad-data", `${show(name)} is no array of a type that is written`, "give a Float32Array, Int32Array, BigInt64Array or Uint8Array, such as Float32Array.from(values)");
}

/**
 * The bytes of a file with these tensors, in the order given; equal input gives equal bytes. The header is padded with
 * spaces to a multiple of 8. Throws `HostError` "bad-data" when a name is taken twice, a shape does not fit its
 * data, or the data are no array of a type that is written.
 */
export function writeSafetensors(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const parts = [...safetensorsParts(tensors.map(({ name, shape, data }) => ({ name, shape, dtype: dtypeOf(name, data), length: data.length, make: () => data })), metadata)];
  const out = new Uint8Array(parts.reduce((n, part) => n + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

/** A tensor to write that is made when its turn comes, and once before for its checksum: `make` gives the same `length` elements of `dtype` each time. */
export interface TensorToMake {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly length: number;
  make(): TensorData;
}

/** The same file in parts, header first and then tensor by tensor, so that no more than one is in memory. Throws as `writeSafetensors` does. */
export function* safetensorsParts(tensors: readonly TensorToMake[], metadata: Readonly<Record<string, string>> = {}): Generator<Uint8Array> {
  yield headerOf(tensors, metadata);
  for (const tensor of tensors) yield bytesOf(tensor);
}

function bytesOf(tensor: TensorToMake): Uint8Array {
  const data = tensor.make();
  if (data.length !== tensor.length || dtypeOf(tensor.name, data) !== tensor.dtype) throw new HostError("bad-data", `${show(tensor.name)} was made with ${data.length} elements of ${dtypeOf(tensor.name, data)}`, `${tensor.length} of ${tensor.dtype} were promised`);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function headerOf(tensors: readonly TensorToMake[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const names = new Set<string>(["__metadata__"]);
  const entries: [string, unknown][] = [];
  let offset = 0;
  for (const { name, shape, dtype, length } of tensors) {
    if (names.has(name)) throw new HostError("bad-data", `two tensors to write are called ${show(name)}`, "give every tensor its own name");
    names.add(name);
    const count = shape.reduce((product, dim) => product * dim, 1);
    if (count !== length) throw new HostError("bad-data", `${show(name)} of shape ${show(shape)} has ${length} elements`, "the shape's product must be the number of elements");
    const bytes = length * BYTES[dtype];
    entries.push([name, { dtype, shape, data_offsets: [offset, offset + bytes] }]);
    offset += bytes;
  }
  const header = (words: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> => Object.fromEntries([["__metadata__", words], ...entries]);
  const sums = [headerSum(header(metadata)), ...tensors.map((tensor) => sum(bytesOf(tensor)))];
  const json = new TextEncoder().encode(JSON.stringify(header({ ...metadata, [CHECKSUMS]: sums.join(" ") })));
  const headerLength = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(8 + headerLength);
  new DataView(out.buffer).setUint32(0, headerLength, true);
  out.fill(0x20, 8, 8 + headerLength);
  out.set(json, 8);
  return out;
}
