/**
 * Tiles: every candidate computes the same product, measured ones are used and recorded, and the search is not fooled by noise.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PlanTile } from "../../../../runtime/abi.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { openSession, readBuffer } from "../../../../runtime/backends/webgpu/session.js";
import { timePlan } from "../../../../runtime/backends/webgpu/stopwatch.js";
import { readTiles, tileFolder, tilesOfPlan, writeTiles } from "../../../../compiler/cli/tile-cache.js";
import { tuneProduct } from "../../../../compiler/cli/tune.js";
import type { GemmShape } from "../../../../compiler/targets/wgsl/kernels/tiles.js";
import { defaultTile } from "../../../../compiler/targets/wgsl/kernels/tiles.js";
import { productModule } from "../../../../compiler/targets/wgsl/product.js";
import { TileBook, planTile, productKey, shapeOf, tileOf } from "../../../../compiler/targets/wgsl/tile-book.js";
import { generatorName, partTrials, productsOf, trialsOf } from "../../../../compiler/targets/wgsl/tuning.js";
import { compilePlan, deviceFor, moduleOf } from "./programs.js";

const folder = mkdtempSync(join(tmpdir(), "jepac-tiles-"));
/** A device with subgroups where there are any, and one without. */
let node: NodeDevice | undefined;
let plain: NodeDevice | undefined;

beforeAll(async () => {
  const product: GemmShape = { form: "nn", batch: 1, m: 8, n: 8, k: 8, kind: "f32" };
  node = await deviceFor(productModule(product, defaultTile(product, true)));
  plain = await deviceFor(productModule(product));
  if (node !== undefined && !node.device.features.has("subgroups")) console.warn(`NOT TESTED: products by subgroups: ${node.name} has none`);
}, 60_000);
afterAll(() => {
  for (const opened of [node, plain]) {
    opened?.device.destroy();
    opened?.release();
  }
  rmSync(folder, { recursive: true, force: true });
});

/** Values that sums of hundreds of products keep apart. */
function values(count: number, salt: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + salt));
}

/** A product in float64, from its definition. */
function expected({ form, m, n, k }: GemmShape, a: Float32Array, b: Float32Array): number[] {
  const [ta, tb] = [form.startsWith("t"), form.endsWith("t")];
  return Array.from({ length: m * n }, (_, i) => {
    const [row, col] = [Math.floor(i / n), i % n];
    let sum = 0;
    for (let j = 0; j < k; j++) sum += (a[ta ? j * m + row : row * k + j] ?? 0) * (b[tb ? col * k + j : j * n + col] ?? 0);
    return sum;
  });
}

async function computed(device: GPUDevice, shape: GemmShape, tile: PlanTile): Promise<Float32Array> {
  const module = productModule(shape, tileOf(tile));
  const session = await openSession(device, module, "a device");
  device.queue.writeBuffer(session.buffer("a"), 0, values(shape.m * shape.k, 1));
  device.queue.writeBuffer(session.buffer("b"), 0, values(shape.n * shape.k, 2));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  session.encode(pass, module.plan.step, new Map());
  pass.end();
  device.queue.submit([encoder.finish()]);
  const result = (await readBuffer(session, session.buffer("y"))).slice(0, shape.m * shape.n);
  session.check();
  session.close();
  return result;
}

const forms = ["nn", "nt", "tn"] as const;
type Form = (typeof forms)[number];
/** Sizes that fit no tile: rows read one by one, and by fours. */
const sizes = [{ batch: 1, m: 72, n: 134, k: 129, kind: "f32" }, { batch: 1, m: 72, n: 132, k: 76, kind: "f32" }] as const;

/** Each tile by the forms that have it. */
const tiles = new Map<string, { readonly tile: PlanTile; readonly form: Form }[]>();
for (const form of forms) for (const tile of trialsOf({ form, ...sizes[0] }, true)) tiles.set(tile.tile.join(), [...tiles.get(tile.tile.join()) ?? [], { tile, form }]);

/** What is run: tiles without workgroup memory in every form, each other one in one form, in turns. */
const chosen = [...tiles.values()].flatMap((own, i) => own.filter(({ tile }, j) => tile.tile[2] === 0 || j === i % own.length));

test("every tile is chosen for some form, and every form has several", () => {
  expect(tiles.size).toBeGreaterThan(14);
  expect(new Set(chosen.map((c) => c.tile.tile.join()))).toEqual(new Set(tiles.keys()));
  for (const form of forms) expect(chosen.filter((c) => c.form === form && c.tile.tile[2] > 0).length).toBeGreaterThan(2);
});

test.each(forms)("tiles and numbers of parts give the product %s, at sizes that fit none", async (form) => {
  if (node === undefined || plain === undefined) return;
  const shapes = sizes.map((s) => ({ form, ...s }));
  const wanted = shapes.map((s) => expected(s, values(s.m * s.k, 1), values(s.n * s.k, 2)));
  const [odd = { form, ...sizes[0] }] = shapes;
  const small = planTile(odd, defaultTile(odd, true));
  const parts = [...partTrials(odd, small, 1), ...(form === "tn" ? [{ ...small, parts: 3 }] : [])];
  const own = chosen.filter((c) => c.form === form).map((c) => c.tile);
  for (const [i, tile] of [...own, ...parts].entries()) {
    const way = i % 2;
    const got = await computed(node.device, shapes[way] ?? odd, tile);
    const worst = Math.max(...(wanted[way] ?? []).map((w, j) => Math.abs(w - (got[j] ?? NaN))));
    expect({ tile, way, fits: worst < 1e-4 }).toEqual({ tile, way, fits: true });
    // The same sums in the same order, so the same bits.
    if (tile.tile[2] === 0) expect([...await computed(plain.device, shapes[way] ?? odd, tile)], `${tile.tile.join()} by subgroups and without`).toEqual([...got]);
  }
}, 600_000);

test("a product is timed, and the device lives on", async () => {
  if (node === undefined) return;
  const module = productModule({ form: "nn", batch: 1, m: 64, n: 64, k: 64, kind: "f32" });
  for (const repeats of [0, 2]) {
    const ms = await timePlan(module, { device: node.device, name: node.name, clock: () => performance.now(), repeats, enough: 1000 });
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThan(60_000);
  }
}, 60_000);

const shape: GemmShape = { form: "tn", batch: 1, m: 96, n: 288, k: 4096, kind: "f32" };

test("measured tiles take their products, illegal ones do not, and what was used is recorded", () => {
  const other = trialsOf(shape)[1];
  if (other === undefined) throw new Error("there is only one tile");
  const book = new TileBook([{ ...other, parts: 5 }, { ...other, m: 97, tile: [100, 7, 3, 2, 2] }]);
  expect(book.choose(shape)).toEqual({ ...tileOf(other), parts: 5 });
  expect(book.choose({ ...shape, m: 97 })).toEqual(defaultTile({ ...shape, m: 97 }));
  expect(book.choose({ ...shape, k: 7 })).toEqual(defaultTile({ ...shape, k: 7 }));
  expect(book.used().map((t) => productKey(shapeOf(t)))).toEqual([shape, { ...shape, m: 97 }, { ...shape, k: 7 }].map(productKey));
});

test("a plan names the tile of every product; compiled with them again it is the same plan", () => {
  const ready = compilePlan();
  const { plan } = ready.module;
  const products = productsOf(plan);
  expect(products.length).toBeGreaterThan(8);
  const sizes = products.map((p) => p.batch * p.m * p.n * p.k);
  expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
  const limits = { bindingBytes: 2 ** 27, bufferBytes: 2 ** 28 };
  const chosen = products.map((p) => trialsOf(p).at(-1) ?? planTile(p, defaultTile(p)));
  const tuned = moduleOf(ready, { ...limits, tiles: chosen });
  const byKey = (tiles: readonly PlanTile[]): string[] => tiles.map((t) => JSON.stringify(t)).sort();
  expect(byKey(tuned.plan.tiles ?? [])).toEqual(byKey(chosen));
  expect(tuned.kernels).not.toEqual(ready.module.kernels);
  expect(moduleOf(ready, { ...limits, tiles: tuned.plan.tiles ?? [] })).toEqual(tuned);
});

test("the fastest tile wins when it is clearly faster; noise, failures and the end of time change nothing", async () => {
  const trials = trialsOf(shape);
  const [first, second, third] = trials;
  if (first === undefined || second === undefined || third === undefined) throw new Error("too few tiles");
  const is = (t: PlanTile, of: PlanTile): boolean => t.tile.join() === of.tile.join() && t.parts === of.parts;
  const measured = (special: (t: PlanTile) => number | undefined) => (t: PlanTile) => Promise.resolve(special(t));
  const always = (): boolean => true;
  const fast = await tuneProduct(shape, measured((t) => (is(t, third) ? 4 : is(t, second) ? undefined : 10)), always);
  expect(fast).toEqual({ best: third, milliseconds: 4, before: 10 });
  const parts = await tuneProduct(shape, measured((t) => (t.parts === undefined ? 10 : 5)), always);
  expect(parts?.best.tile).toEqual(first.tile);
  expect(parts?.best.parts).toBeGreaterThan(0);
  expect((await tuneProduct(shape, measured((t) => (is(t, first) ? 10 : 9.9)), always))?.best).toEqual(first);
  let looks = 0;
  const late = await tuneProduct(shape, measured((t) => (is(t, first) ? 10 : 1)), () => looks++ < 0);
  expect(late?.best).toEqual(first);
  expect(await tuneProduct(shape, measured(() => undefined), always)).toBeUndefined();
});

test("tiles on disk: kept and extended for one device and generator, ignored with a note when anything is wrong", () => {
  const env = { XDG_CACHE_HOME: folder };
  const key = { device: "a device, driver 1", generator: generatorName() };
  expect(generatorName()).toMatch(/^[0-9a-f]{16}$/);
  expect(readTiles(key, env)).toEqual({ tiles: [] });
  const [a, b] = [shape, { ...shape, k: 512 }].map((s) => planTile(s, { ...defaultTile(s), parts: 4 }));
  if (a === undefined || b === undefined) throw new Error("no tiles");
  const path = writeTiles(key, [a], env);
  writeTiles(key, [{ ...a, parts: 7 }, b], env);
  expect(readTiles(key, env)).toEqual({ tiles: [{ ...a, parts: 7 }, b] });
  expect(readTiles({ ...key, device: "a device, driver 2" }, env)).toEqual({ tiles: [] });
  const good = readFileSync(path, "utf8");
  const damaged: readonly [string, RegExp][] = [
    [good.slice(0, 40), /cannot be read/], ["[]", /not such a file/], [good.replace("driver 1", "driver 9"), /another device/], [good.replace("\"parts\":4", "\"parts\":-4"), /not sound/],
    // Numbers, and of a tile or of parts that no kernel is written for.
    [good.replace("\"parts\":4", "\"parts\":1000000"), /not sound/], [good.replace(/"tile":\[\d+,/, "\"tile\":[63,"), /not sound/],
  ];
  for (const [text, why] of damaged) {
    writeFileSync(path, text);
    const found = readTiles(key, env);
    expect(found.tiles).toEqual([]);
    expect(found.note).toMatch(why);
  }
  writeTiles(key, [b], env);
  expect(readTiles(key, env)).toEqual({ tiles: [b] });
  expect(readdirSync(join(folder, "jepac/tiles")).length).toBe(1);
  expect(tilesOfPlan(join(folder, "nothing.json"))).toEqual([]);
});

test("a cache is kept where a whole path says, else where the system keeps caches, and one that cannot be written is told", () => {
  const usual = tileFolder({});
  expect(isAbsolute(usual)).toBe(true);
  for (const none of ["", "cache", "./cache"]) expect(tileFolder({ XDG_CACHE_HOME: none })).toBe(usual);
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  expect(() => writeTiles({ device: "a device", generator: "any" }, [], { XDG_CACHE_HOME: file })).toThrow(expect.objectContaining({ name: "HostError", message: expect.stringContaining(`cannot write ${join(file, "jepac/tiles")}`) }));
});
