/**
 * NumPy's files as data, written here by the format's specification and, where numpy is, by numpy: numbers come out as they stand, in
 * every type and order; samples that do not fit are named; crops and stretches of signals; generated signals.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { arraySource } from "../../../runtime/data/arrays.js";
import { applyView, compileView, viewSize } from "../../../runtime/data/augment.js";
import { evalSet } from "../../../runtime/data/eval-set.js";
import { createLoader } from "../../../runtime/data/loader.js";
import { readNpyHeader, readNpyValues } from "../../../runtime/data/npy.js";
import { waveSource } from "../../../runtime/data/synthetic.js";
import { compileWorker, view } from "./helpers.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-arrays-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const writers: Readonly<Record<string, (view: DataView, at: number, value: number, little: boolean) => void>> = {
  b1: (v, at, x) => v.setUint8(at, x), u1: (v, at, x) => v.setUint8(at, x), i1: (v, at, x) => v.setInt8(at, x),
  u2: (v, at, x, l) => v.setUint16(at, x, l), i2: (v, at, x, l) => v.setInt16(at, x, l), u4: (v, at, x, l) => v.setUint32(at, x, l), i4: (v, at, x, l) => v.setInt32(at, x, l),
  u8: (v, at, x, l) => v.setBigUint64(at, BigInt(x), l), i8: (v, at, x, l) => v.setBigInt64(at, BigInt(x), l),
  f4: (v, at, x, l) => v.setFloat32(at, x, l), f8: (v, at, x, l) => v.setFloat64(at, x, l),
};

/** A file by the specification: magic, version, length of the head, the head padded to 64 bytes, the numbers. */
function npy(shape: readonly number[], values: readonly number[], { descr = "<f4", fortran = false, version = 1 } = {}): Uint8Array {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': ${tuple}, }`;
  const front = version === 1 ? 10 : 12;
  const total = Math.ceil((front + text.length + 1) / 64) * 64;
  const size = Number(descr.slice(2));
  const out = new Uint8Array(total + values.length * size);
  const data = new DataView(out.buffer);
  out.set([0x93, ...Buffer.from("NUMPY"), version, 0]);
  if (version === 1) data.setUint16(8, total - front, true);
  else data.setUint32(8, total - front, true);
  out.set(Buffer.from(`${text.padEnd(total - front - 1)}\n`), front);
  values.forEach((value, i) => writers[descr.slice(1)]?.(data, total + i * size, value, descr[0] !== ">"));
  return out;
}

const read = (bytes: Uint8Array): number[] => {
  const head = readNpyHeader(bytes);
  return [...readNpyValues(head, bytes.subarray(head.offset))];
};
const counted = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test("numbers of every type, order of bytes and version come out as they stand", () => {
  for (const kind of Object.keys(writers)) {
    for (const order of kind.endsWith("1") ? ["|"] : ["<", ">"]) {
      const values = kind === "b1" ? [1, 0, 1] : kind.startsWith("u") ? [0, 7, 200] : [-3, 0, 100];
      for (const version of [1, 2, 3]) expect(read(npy([3], values, { descr: `${order}${kind}`, version })), `${order}${kind} ${version}`).toEqual(values);
    }
  }
  // binary16 of 1, -2, 0.5, 65504 and the least above 0.
  const half = npy([5], [0x3c00, 0xc000, 0x3800, 0x7bff, 1], { descr: "<u2" });
  expect(read(Uint8Array.from(Buffer.from(Buffer.from(half).toString("latin1").replace("<u2", "<f2"), "latin1")))).toEqual([1, -2, 0.5, 65504, 2 ** -24]);
  // Columns first: the element [r, c, d] of [2, 3, 2] lies at r + 2 c + 6 d.
  expect(read(npy([2, 3, 2], counted(12), { fortran: true }))).toEqual([0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]);
});

test("what is no plain array of finite numbers is refused in words", () => {
  const head = (text: string): Uint8Array => Uint8Array.from([0x93, ...Buffer.from("NUMPY"), 1, 0, text.length, 0, ...Buffer.from(text)]);
  const refused: readonly (readonly [Uint8Array, RegExp])[] = [
    [Uint8Array.from(Buffer.from("PK\x03\x04 an npz file")), /no \.npy file.*npz/],
    [npy([3], [1, 2]), /ends after 2 of its 3 numbers/],
    [npy([3], [1, NaN, 2]), /number 2 of 3 is NaN/],
    [npy([2], [1, 1e300], { descr: "<f8" }), /more than a float of 32 bits holds/],
    [head("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }".replace("|O", "|O8")), /Python objects/],
    [head("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }"), /records with names/],
    [head("{'descr': '<c16', 'fortran_order': False, 'shape': (3,), }"), /complex numbers/],
    [head("print('hello')"), /no plain array/],
    [npy([3], [1, 2, 3]).subarray(0, 40), /ends within its head/],
  ];
  for (const [bytes, words] of refused) expect(() => read(bytes), String(words)).toThrow(words);
});

test("files that numpy writes are read as numpy wrote them", async () => {
  const script = `import numpy as np, sys\nr = np.random.default_rng(0)\nfor i, t in enumerate(['f2', 'f4', 'f8', 'i2', '>i4', 'u1', '?']):\n    x = (r.standard_normal((3, 4, 2)) * 50).astype(t)\n    x = np.asfortranarray(x) if i % 2 else x\n    np.save(f'{sys.argv[1]}/{i}.npy', x)\n    np.savetxt(f'{sys.argv[1]}/{i}.txt', x.astype('f8').ravel(), fmt='%.17g')\n`;
  // The environment of the comparisons with PyTorch has numpy, where it is set up.
  const own = join(import.meta.dirname, "../../../.engines/torch/bin/python");
  const python = existsSync(own) ? own : "python3";
  if (spawnSync(python, ["-c", "import numpy"]).status !== 0) {
    console.warn("NOT TESTED: files that numpy writes; python3 has no numpy here, node scripts/setup.mjs --torch brings it");
    return;
  }
  const made = spawnSync(python, ["-c", script, folder], { encoding: "utf8" });
  expect(made.status, made.stderr).toBe(0);
  for (let i = 0; i < 7; i++) {
    const wanted = (await readFile(join(folder, `${i}.txt`), "utf8")).trim().split("\n").map((line) => Math.fround(Number(line)));
    expect(read(await readFile(join(folder, `${i}.npy`))), `${i}`).toEqual(wanted);
  }
});

const line = { height: 1, width: 6, channels: 2 };
const exact = { ...view(6), height: 1 };

test("a folder has a sample in each file and a class in each folder; values are normalized in their own units", async () => {
  for (const name of ["up", "down"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "up", "a.npy"), npy([6, 2], counted(12)));
  await writeFile(join(folder, "up", "b.npy"), npy([1, 6, 2], counted(12).map((v) => 1000 - v), { descr: "<i2" }));
  await writeFile(join(folder, "down", "c.npy"), npy([6, 2], counted(12).map((v) => v / 8), { descr: ">f8" }));
  await writeFile(join(folder, "down", "d.txt"), "no array");
  const source = await arraySource(folder, { sample: line });
  expect(source.report.lines).toEqual([`3 arrays in ${folder}, 2 classes`, expect.stringContaining("1 file is not an array and left out")]);
  expect([0, 1, 2].map((i) => source.factors[0]?.classes[source.label(i)])).toEqual(["down", "up", "up"]);
  const { images } = await evalSet(source, { height: 1, width: 6, mean: [10, 20], std: [2, 4] });
  const wanted = [counted(12).map((v) => v / 8), counted(12), counted(12).map((v) => 1000 - v)].flatMap((x) => x.map((v, i) => (i % 2 === 0 ? (v - 10) / 2 : (v - 20) / 4)));
  wanted.forEach((value, i) => expect(Math.abs((images[i] ?? NaN) - value), `${i}`).toBeLessThan(1e-4 * (1 + Math.abs(value))));
});

test("one file holds many samples, with labels beside it, and workers read the same as the main thread", async () => {
  const file = join(folder, "train.npy");
  await writeFile(file, npy([5, 6, 2], counted(60)));
  await writeFile(join(folder, "train.labels.npy"), npy([5], [7, 3, 7, 3, 11], { descr: "<i8" }));
  const source = await arraySource(file, { sample: line });
  expect([source.size, source.factors[0]?.classes, [0, 1, 2, 3, 4].map((i) => source.label(i))]).toEqual([5, ["3", "7", "11"], [1, 0, 1, 0, 2]]);
  expect([...(await source.decode(3)).data]).toEqual(counted(12).map((v) => 36 + v));
  const notes: string[] = [];
  const worker = compileWorker();
  try {
    const batches: { images: number[]; indices: number[] }[] = [];
    for (const workers of [0, 2]) {
      const loader = await createLoader(source, { views: [exact], batch: 4, seed: 3, mean: [0, 0], std: [1, 1], workers, workerScript: worker.script, onNote: (note) => notes.push(note) });
      expect(loader.workers).toBe(workers);
      const { images, indices, labels } = await loader.next(0);
      await loader.close();
      batches.push({ images: [...images["image"] ?? []], indices: [...indices] });
      expect([...labels]).toEqual(Array.from(indices, (i) => source.label(i)));
    }
    expect(batches[1]).toEqual(batches[0]);
    batches[0]?.images.forEach((value, i) => expect(value).toBeCloseTo(12 * (batches[0]?.indices[Math.floor(i / 12)] ?? NaN) + (i % 12), 4));
  } finally {
    await rm(worker.folder, { recursive: true, force: true });
  }
  expect(notes).toEqual([0, 1].map(() => expect.stringMatching(/^the numbers of the first samples are not near 0 .*normalize\(mean: \[\d+, \d+\], std: \[\d+, \d+\]\)/)));
  await writeFile(join(folder, "train.labels.npy"), npy([4], [0, 1, 0, 1]));
  await expect(arraySource(file, { sample: line })).rejects.toThrow(/4 labels, and there are 5 samples/);
});

test("samples of other axes and sizes are told with the way out", async () => {
  const path = join(folder, "x.npy");
  const told = async (shape: readonly number[], sample: Parameters<typeof arraySource>[1]["sample"], sized = false): Promise<string> => {
    await writeFile(path, npy(shape, counted(shape.reduce((a, b) => a * b, 1))));
    const source = await arraySource(folder, { sample, sized });
    return source.decode(0).then(({ height, width }) => `${height} x ${width}`, (error: unknown) => (error instanceof Error ? error.message : ""));
  };
  const gray = { height: 4, width: 6, channels: 1 };
  expect(await told([2, 6], line)).toMatch(/it is \[2, 6\], and the program takes \[6, 2\]; its channels come first: save np\.moveaxis\(x, 0, -1\)/);
  expect(await told([9, 2], line)).toMatch(/it is 9 numbers long, and the program takes 6: write random_crop or center_crop/);
  expect(await told([9, 2], line, true)).toBe("1 x 9");
  expect(await told([6, 3], line)).toMatch(/it is \[6, 3\], and the program takes \[6, 2\]/);
  expect([await told([6], { ...line, channels: 1 }), await told([6, 1], { ...line, channels: 1 }), await told([1, 6], { ...line, channels: 1 })]).toEqual(["1 x 6", "1 x 6", "1 x 6"]);
  expect([await told([4, 6], gray), await told([4, 6, 1], gray)]).toEqual(["4 x 6", "4 x 6"]);
  expect(await told([3, 4, 6], { height: 4, width: 6, channels: 3 })).toMatch(/moveaxis/);
  await expect(arraySource(join(folder, "none.npy"), { sample: line })).rejects.toThrow(/there is no file/);
  await expect(arraySource(join(folder, "none"), { sample: line })).rejects.toThrow(/there is no array folder/);
});

test("a sample with a number that is not finite is passed over and named, or refused", async () => {
  await writeFile(join(folder, "a.npy"), npy([6, 2], counted(12)));
  await writeFile(join(folder, "b.npy"), npy([6, 2], counted(12).map((v) => (v === 5 ? Infinity : v))));
  const set = await evalSet(await arraySource(folder, { sample: line }), { height: 1, width: 6, mean: [0, 0], std: [1, 1] });
  expect([set.count, set.corrupt]).toEqual([1, [join(folder, "b.npy")]]);
  await expect(evalSet(await arraySource(folder, { sample: line, onCorrupt: "refuse" }), { height: 1, width: 6, mean: [0, 0], std: [1, 1] })).rejects.toThrow(/b\.npy: number 6 of 12 is Infinity/);
});

test("random_crop takes a part as it stands, anywhere; probes take the middle; a signal's random share is a stretch of it", async () => {
  const long = { width: 40, height: 1, data: Float32Array.from(counted(40)) };
  const apply = (transforms: ReturnType<typeof view>["transforms"], slot: number): number[] => {
    const compiled = compileView({ ...exact, transforms }, [0], [1]);
    const out = new Float32Array(viewSize(compiled));
    applyView(compiled, long, { seed: 1, step: 0, slot }, out, 0);
    return [...out];
  };
  const starts = new Set<number>();
  for (let slot = 0; slot < 600; slot++) {
    const part = apply([{ name: "random_crop", args: {} }], slot);
    const start = Math.round(part[0] ?? NaN);
    starts.add(start);
    part.forEach((value, i) => expect(value).toBeCloseTo(start + i, 4));
  }
  expect([...starts].sort((a, b) => a - b)).toEqual(counted(35));
  for (let slot = 0; slot < 50; slot++) {
    // A half of the 40, resized to 6: neighbors are 20 / 6 apart, away from the ends of the stretch.
    const part = apply([{ name: "random_resized_crop", args: { scale: 0.5 } }], slot);
    for (let i = 2; i < 5; i++) expect((part[i] ?? NaN) - (part[i - 1] ?? NaN)).toBeCloseTo(20 / 6, 1);
  }
  await writeFile(join(folder, "a.npy"), npy([41], counted(41)));
  const source = await arraySource(folder, { sample: { ...line, channels: 1 }, sized: true });
  const middle = await evalSet(source, { height: 1, width: 5, mean: [0], std: [1], cut: true });
  middle.images.forEach((value, i) => expect(value).toBeCloseTo(18 + i, 4));
  // Pictures too: a window of two dimensions, where it lies in the picture.
  const picture = { width: 9, height: 7, data: Uint8Array.from(counted(63)) };
  const compiled = compileView({ ...exact, width: 4, height: 3, transforms: [{ name: "random_crop", args: {} }] }, [0], [1 / 255]);
  const out = new Float32Array(viewSize(compiled));
  applyView(compiled, picture, { seed: 1, step: 0, slot: 4 }, out, 0);
  const [first = NaN] = out;
  out.forEach((value, i) => expect(value).toBeCloseTo(first + Math.floor(i / 4) * 9 + (i % 4), 3));
});

test("generated signals are functions of seed and number, and their factors can be seen", async () => {
  const [one, again, other] = [0, 0, 1].map((seed) => waveSource({ count: 50, length: 256, channels: 2, seed }));
  if (one === undefined || again === undefined || other === undefined) throw new Error("three sources");
  expect((await one.decode(7)).data).toEqual((await again.decode(7)).data);
  expect((await one.decode(7)).data).not.toEqual((await other.decode(7)).data);
  // Where the wave lies, a signal is louder: of the six places the one with the most power is near the labelled one.
  let near = 0;
  for (let i = 0; i < 50; i++) {
    const data = [...(await one.decode(i)).data];
    const mean = [0, 1].map((c) => data.reduce((sum, v, at) => (at % 2 === c ? sum + v : sum), 0) / 256);
    const power = counted(6).map((part) => {
      const middle = 0.2 + (0.6 * (part + 0.5)) / 6;
      return data.reduce((sum, v, at) => (Math.abs(Math.floor(at / 2) / 256 - middle) < 0.1 ? sum + Math.abs(v - (mean[at % 2] ?? 0)) : sum), 0);
    });
    if (Math.abs(power.indexOf(Math.max(...power)) - one.label(i, "place")) <= 1) near++;
  }
  expect(near).toBeGreaterThan(35);
});
