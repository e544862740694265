/** The safetensors reader and writer: round trips, a file laid out by hand, and damage of every kind. */
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { openSafetensors, readSafetensors, writeSafetensors } from "../../../runtime/base/safetensors.js";

function file(header: unknown, data: readonly number[] = [], length?: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  out.set(json, 8);
  out.set(data, 8 + json.length);
  return out;
}

function refusal(bytes: Uint8Array): string {
  try {
    readSafetensors(bytes, "x.safetensors");
  } catch (error) {
    if (error instanceof HostError) {
      expect(error.help).not.toBe("");
      return `${error.code}: ${error.message}`;
    }
    throw error;
  }
  return "accepted";
}

const four = { dtype: "F32", shape: [1], data_offsets: [0, 4] };

test("what is written is read back, bit for bit, in order", () => {
  const bytes = writeSafetensors(
    [
      { name: "w", shape: [2, 3], data: Float32Array.of(1, -0, Infinity, Number.NaN, 1e-45, 3.4e38) },
      { name: "odd", shape: [3], data: Uint8Array.of(1, 2, 255) },
      { name: "step", shape: [], data: Int32Array.of(-7) },
      { name: "big", shape: [1], data: BigInt64Array.of(-(2n ** 62n)) },
      { name: "empty", shape: [0, 5], data: new Float32Array(0) },
    ],
    { program: "ünï", hash: "ab" },
  );
  const read = readSafetensors(bytes, "mem");
  expect(read.metadata).toEqual({ program: "ünï", hash: "ab" });
  expect([...read.tensors.keys()]).toEqual(["w", "odd", "step", "big", "empty"]);
  expect(read.tensors.get("w")?.data).toEqual(Float32Array.of(1, -0, Infinity, Number.NaN, 1e-45, 3.4e38));
  expect(read.tensors.get("odd")).toEqual({ name: "odd", dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 255) });
  expect(read.tensors.get("step")?.data).toEqual(Int32Array.of(-7));
  expect(read.tensors.get("big")?.data).toEqual(BigInt64Array.of(-(2n ** 62n)));
  expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
});

test("a file laid out by hand after the format's description is read", () => {
  const bytes = file({ a: { dtype: "I32", shape: [2], data_offsets: [0, 8] }, __metadata__: { k: "v" } }, [1, 0, 0, 0, 255, 255, 255, 255]);
  expect(readSafetensors(bytes, "hand").tensors.get("a")?.data).toEqual(Int32Array.of(1, -1));
});

test("half precision is widened exactly", () => {
  const half = file({ h: { dtype: "F16", shape: [6], data_offsets: [0, 12] } }, [0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c, 0xff, 0x7b, 0x00, 0x7e]);
  expect(readSafetensors(half, "half").tensors.get("h")?.data).toEqual(Float32Array.of(1, -2, 2 ** -24, Infinity, 65504, Number.NaN));
  const brain = file({ b: { dtype: "BF16", shape: [3], data_offsets: [0, 6] } }, [0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f]);
  expect(readSafetensors(brain, "brain").tensors.get("b")?.data).toEqual(Float32Array.of(1, -3.140625, Infinity));
});

test("every kind of damage is told apart before anything is allocated", () => {
  expect(refusal(new Uint8Array(3))).toMatch(/^truncated-file: .*header length/);
  expect(refusal(file({ a: four }, [0, 0, 0, 0], 5000))).toMatch(/^truncated-file: .*claims 5000 bytes/);
  expect(refusal(file("{}", [], 2 ** 40))).toMatch(/^bad-file: .*most allowed/);
  expect(refusal(file({ a: four }, [0, 0]))).toMatch(/^truncated-file: .*ends at byte 4/);
  expect(refusal(file("not json"))).toMatch(/^bad-file: .*not JSON/);
  expect(refusal(file("[1]"))).toMatch(/not a JSON object/);
  expect(refusal(file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', [0, 0, 0, 0, 0, 0, 0, 0]))).toMatch(/"a" occurs twice/);
  expect(refusal(file({ a: { ...four, dtype: "F31" } }, [0, 0, 0, 0]))).toMatch(/element type "F31"/);
  expect(refusal(file({ a: { ...four, dtype: "toString" } }, [0, 0, 0, 0]))).toMatch(/element type/);
  expect(refusal(file({ a: { ...four, shape: [-1] } }, [0, 0, 0, 0]))).toMatch(/dimension -1/);
  expect(refusal(file({ a: { ...four, shape: [1.5] } }, [0, 0, 0, 0]))).toMatch(/dimension 1.5/);
  expect(refusal(file({ a: { ...four, shape: [1e9] } }, [0, 0, 0, 0]))).toMatch(/takes 4000000000 bytes and has 4/);
  expect(refusal(file({ a: { ...four, shape: [1e9, 1e9, 1e9] } }, [0, 0, 0, 0]))).toMatch(/absurd/);
  expect(refusal(file({ a: { ...four, shape: new Array(40).fill(1) } }, [0, 0, 0, 0]))).toMatch(/40 dimensions/);
  expect(refusal(file({ a: { ...four, data_offsets: [-4, 0] } }, [0, 0, 0, 0]))).toMatch(/offsets \[-4,0\]/);
  expect(refusal(file({ a: { ...four, data_offsets: [4, 0] } }, [0, 0, 0, 0]))).toMatch(/offsets \[4,0\]/);
  expect(refusal(file({ a: { ...four, data_offsets: [0] } }, [0, 0, 0, 0]))).toMatch(/no pair/);
  expect(refusal(file({ a: four, b: { ...four, data_offsets: [2, 6] } }, [0, 0, 0, 0, 0, 0]))).toMatch(/overlaps/);
  expect(refusal(file({ a: four, b: { ...four, data_offsets: [6, 10] } }, new Array(10).fill(0)))).toMatch(/hole of 2 bytes/);
  expect(refusal(file({ a: four }, [0, 0, 0, 0, 9]))).toMatch(/1 bytes follow/);
  expect(refusal(file({ a: 5 }))).toMatch(/not an object/);
  expect(refusal(file({ __metadata__: { a: 5 } }))).toMatch(/metadata "a"/);
});

test("names that mean something to JavaScript are only names", () => {
  const bytes = file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"constructor":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', [7, 8]);
  expect([...readSafetensors(bytes, "names").tensors.keys()]).toEqual(["__proto__", "constructor"]);
  const round = readSafetensors(writeSafetensors([{ name: "__proto__", shape: [1], data: Uint8Array.of(1) }]), "round");
  expect([...round.tensors.keys()]).toEqual(["__proto__"]);
});

test("any change of bytes or length gives a value or a HostError, nothing else", () => {
  const good = writeSafetensors([{ name: "w", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, { name: "b", shape: [2], data: Float32Array.of(5, 6) }], { a: "b" });
  fc.assert(
    fc.property(fc.nat(good.length), fc.nat(255), fc.nat(good.length), (at, value, cut) => {
      const bytes = good.slice(0, cut < 5 ? good.length : good.length - (cut % 7));
      if (at < bytes.length) bytes[at] = value;
      refusal(bytes);
    }),
    { numRuns: 2000 },
  );
});

test("a tensor that does not fit its shape, or a name taken twice, is not written", () => {
  expect(() => writeSafetensors([{ name: "a", shape: [3], data: new Float32Array(2) }])).toThrow(/has 2 elements/);
  expect(() => writeSafetensors([{ name: "a", shape: [1], data: new Float32Array(1) }, { name: "a", shape: [1], data: new Float32Array(1) }])).toThrow(/called "a"/);
});

test("bytes without a name are told without one", () => {
  expect(() => readSafetensors(new Uint8Array(3))).toThrow(/^what was given is /);
});

test("checksums are metadata like any other: of the header, then of each tensor in the file's order", () => {
  const bytes = writeSafetensors([{ name: "w", shape: [2], data: Float32Array.of(1, 2) }, { name: "n", shape: [3], data: Uint8Array.of(7, 8, 9) }], { a: "b" });
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const header: { readonly __metadata__: Readonly<Record<string, string>> } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { "jepac.crc32": sums, ...rest } = header.__metadata__;
  const hex = (part: Uint8Array | string): string => crc32(part).toString(16).padStart(8, "0");
  expect(rest).toEqual({ a: "b" });
  expect(sums).toBe([hex(JSON.stringify({ ...header, __metadata__: rest })), hex(bytes.subarray(8 + length, 16 + length)), hex(bytes.subarray(16 + length))].join(" "));
  expect(readSafetensors(bytes).metadata).toEqual({ a: "b" });
});

test("a turned bit is told with what it is in, and tensors that are read one by one are held to their own checksums", () => {
  const good = writeSafetensors([{ name: "w", shape: [2], data: Float32Array.of(1, 2) }, { name: "n", shape: [3], data: Uint8Array.of(7, 8, 9) }], { step: "20" });
  const turned = (at: number, bit: number): Uint8Array => good.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
  expect(refusal(turned(good.length - 4, 0))).toBe("bad-file: x.safetensors is damaged: w is not what was written (its checksum differs)");
  expect(refusal(turned(good.length - 1, 7))).toContain("damaged: n is not what was written");
  expect(refusal(turned(new TextDecoder("latin1").decode(good).indexOf('"20"') + 1, 0))).toContain("damaged: its header is not what was written");
  const bytes = turned(good.length - 1, 0);
  const { tensors } = openSafetensors({ size: bytes.length, read: (from, to) => bytes.subarray(from, to) }, "x.safetensors");
  expect(tensors.get("w")?.read()).toEqual(Float32Array.of(1, 2));
  expect(() => tensors.get("n")?.read()).toThrow(/n is not what was written/);
});
