/** The loader: a batch is a function of the step, whoever computes it. Threads run a worker compiled for this test. */
import { execFile, spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderSource } from "../../../runtime/data/folder.js";
import { createLoader, type Loader, type LoaderBatch, type LoaderOptions } from "../../../runtime/data/loader.js";
import type { ImageSource } from "../../../runtime/data/source.js";
import { syntheticSource } from "../../../runtime/data/synthetic.js";
import { cifar, compileWorker, view } from "./helpers.js";

const worker = compileWorker();
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-loader-"));
});
afterAll(async () => {
  await rm(worker.folder, { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
});

const crop = view(16, [{ name: "random_resized_crop", args: { scale: [0.3, 1] } }, { name: "flip", args: {} }]);

function options(rest: Partial<LoaderOptions> = {}): LoaderOptions {
  return { batch: 8, seed: 5, views: [crop], mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], workers: 0, workerScript: worker.script, ...rest };
}

async function withLoader<T>(source: ImageSource, rest: Partial<LoaderOptions>, use: (loader: Loader) => Promise<T>): Promise<T> {
  const loader = await createLoader(source, options(rest));
  try {
    return await use(loader);
  } finally {
    await loader.close();
  }
}

async function batches(source: ImageSource, steps: readonly number[], rest: Partial<LoaderOptions> = {}): Promise<LoaderBatch[]> {
  return withLoader(source, rest, async (loader) => {
    const list: LoaderBatch[] = [];
    for (const step of steps) list.push(await loader.next(step));
    return list;
  });
}

const pictures = syntheticSource({ count: 45, side: 24, seed: 7 });

test("worker count and prefetching change no bit", async () => {
  const steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
  const alone = await batches(pictures, steps);
  for (const workers of [1, 3]) {
    for (const prefetch of [0, 3]) expect(await batches(pictures, steps, { workers, prefetch }), `${workers} workers`).toEqual(alone);
  }
  await withLoader(pictures, { workers: 3 }, async (loader) => expect(loader.workers).toBe(3));
});

test("resuming at any step gives the batches of the run that never stopped", async () => {
  const whole = await batches(pictures, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(await batches(pictures, [7, 8])).toEqual(whole.slice(7));
  expect(await batches(pictures, [4, 3, 8], { workers: 1 })).toEqual([whole[4], whole[3], whole[8]]);
  expect(await batches(pictures, [4], { seed: 6 })).not.toEqual([whole[4]]);
});

test("an epoch shows no picture twice, each epoch has its own order, and the last partial batch is dropped", async () => {
  await withLoader(pictures, {}, async (loader) => {
    expect(loader.stepsPerEpoch).toBe(5);
    const orders: number[][] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      const seen: number[] = [];
      for (let i = 0; i < 5; i++) {
        const batch = await loader.next(epoch * 5 + i);
        expect(batch.epoch).toBe(epoch);
        seen.push(...batch.indices);
      }
      expect(new Set(seen).size).toBe(40);
      orders.push(seen);
    }
    expect(orders[0]).not.toEqual(orders[1]);
    expect(orders[1]).not.toEqual(orders[2]);
  });
});

test("labels follow the pictures, of the factor asked for", async () => {
  const [batch] = await batches(pictures, [2], { factor: "color" });
  expect(Array.from(batch?.labels ?? [])).toEqual(Array.from(batch?.indices ?? [], (index) => pictures.label(index, "color")));
});

test("several views of one picture are drawn apart and have their own sizes", async () => {
  const views = [view(16, crop.transforms, "a"), view(16, crop.transforms, "b"), view(8, crop.transforms, "small")];
  const [batch] = await batches(pictures, [0], { views, workers: 1 });
  expect(batch?.images["a"]?.length).toBe(8 * 16 * 16 * 3);
  expect(batch?.images["small"]?.length).toBe(8 * 8 * 8 * 3);
  expect(batch?.images["a"]).not.toEqual(batch?.images["b"]);
});

async function folderWithDamage(): Promise<string> {
  const root = await mkdtemp(join(folder, "set-"));
  await mkdir(join(root, "a"));
  for (let i = 0; i < 12; i++) {
    await sharp({ create: { width: 20, height: 20, channels: 3, background: { r: i * 20, g: 100, b: 255 - i * 20 } } }).png().toFile(join(root, "a", `${String(i).padStart(2, "0")}.png`));
  }
  await writeFile(join(root, "a", "03.png"), "broken");
  await writeFile(join(root, "a", "04.png"), "broken too");
  return root;
}

test("a corrupt picture is replaced by the next good one, named once, and the same for any worker count", async () => {
  const source = await folderSource(await folderWithDamage());
  const notes: string[] = [];
  const found = await withLoader(source, { batch: 6, onNote: (text) => notes.push(text) }, async (loader) => {
    const list = [await loader.next(0), await loader.next(1), await loader.next(2), await loader.next(3)];
    expect(loader.report().corrupt.map((path) => path.slice(-6)).sort()).toEqual(["03.png", "04.png"]);
    return list;
  });
  expect(notes.filter((text) => text.includes("03.png")).length).toBe(1);
  const used = found.slice(0, 2).flatMap((batch) => Array.from(batch.indices));
  expect(used.sort((a, b) => a - b)).toEqual([0, 1, 2, 5, 5, 5, 6, 7, 8, 9, 10, 11]);
  expect(await batches(source, [0, 1, 2, 3], { batch: 6, workers: 3 })).toEqual(found);
});

test("a source that refuses corrupt pictures fails the batch by name, from threads too", async () => {
  const source = await folderSource(await folderWithDamage(), { onCorrupt: "refuse" });
  for (const workers of [0, 2]) {
    await withLoader(source, { batch: 12, workers }, async (loader) => {
      await expect(loader.next(0)).rejects.toMatchObject({ name: "HostError", code: "bad-image", message: expect.stringMatching(/0[34]\.png/) });
    });
  }
});

test("a picture whose file cannot be read is told as that, and is taken again once it can", async () => {
  const root = await folderWithDamage();
  const source = await folderSource(root);
  const gone = join(root, "a", "05.png");
  const bytes = await readFile(gone);
  const notes: string[] = [];
  await rm(gone);
  await withLoader(source, { batch: 12, workers: 0, onNote: (text) => notes.push(text) }, async (loader) => {
    expect(Array.from((await loader.next(0)).indices)).not.toContain(5);
    expect(notes).toContain(`cannot read ${gone}: ENOENT: no such file or directory, open '${gone}'; another picture takes its place`);
    expect(notes.filter((text) => text.startsWith("cannot decode")).length).toBe(2);
    await writeFile(gone, bytes);
    expect(Array.from((await loader.next(1)).indices)).toContain(5);
    expect(notes.length).toBe(3);
  });
  await rm(gone);
  await withLoader(await folderSource(root, { onCorrupt: "refuse" }), { batch: 8, workers: 1 }, async (loader) => {
    await rm(join(root, "a"), { recursive: true });
    await expect(loader.next(0)).rejects.toMatchObject({ code: "unreadable-image", message: expect.stringContaining("cannot read"), help: expect.stringContaining("on_corrupt: skip") });
  });
});

test("a folder that is gone ends the run, where single pictures would be passed over", async () => {
  const root = await folderWithDamage();
  const source = await folderSource(root);
  await rm(join(root, "a"), { recursive: true });
  for (const workers of [0, 2]) {
    await withLoader(source, { batch: 12, workers }, async (loader) => {
      await expect(loader.next(0)).rejects.toMatchObject({ code: "io", message: expect.stringMatching(/cannot read .*\.png: ENOENT.*, nor the 7 pictures before it/), help: expect.stringContaining("--resume") });
    });
  }
});

test("a process that may open no more files tries again, and then ends: a sound picture is not replaced", { timeout: 60_000 }, async () => {
  if (process.platform !== "linux") return console.warn("NOT TESTED: a process that may open no more files: only tried on Linux");
  const root = await folderWithDamage();
  const code = `
    import { closeSync, openSync } from "node:fs";
    import { folderSource } from ${JSON.stringify(new URL("../../../dist/runtime/data/folder.js", import.meta.url).href)};
    const source = await folderSource(${JSON.stringify(root)});
    await source.decode(0);
    const held = [];
    const fill = () => { try { for (;;) held.push(openSync("/dev/null")); } catch {} };
    fill();
    setTimeout(() => held.splice(0).forEach((one) => closeSync(one)), 50);
    const first = await source.decode(1);
    fill();
    const second = await source.decode(1).catch((error) => error);
    held.forEach((one) => closeSync(one));
    console.log(JSON.stringify([first.width, second.code, second.message, second.help]));`;
  const { stdout, stderr } = spawnSync("sh", ["-c", 'ulimit -n 100; exec "$0" --input-type=module -e "$1"', process.execPath, code], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual([20, "io", expect.stringMatching(/cannot read .*01\.png, which may be a sound picture: EMFILE/), expect.stringContaining("--resume")]);
});

test("a picture smaller than a view is scaled up and counted, replaced, or refused by name, as the source says", async () => {
  const root = await mkdtemp(join(folder, "small-"));
  for (let i = 0; i < 6; i++) await sharp({ create: { width: i === 2 ? 5 : 20, height: 20, channels: 3, background: { r: i * 20, g: 100, b: 0 } } }).png().toFile(join(root, `${i}.png`));
  const all = { batch: 6, workers: 0 };
  await withLoader(await folderSource(root), all, async (loader) => {
    expect(Array.from((await loader.next(0)).indices).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(loader.report()).toEqual({ corrupt: [], small: 1 });
  });
  await withLoader(await folderSource(root, { onSmall: "skip" }), all, async (loader) => {
    expect(Array.from((await loader.next(0)).indices).sort()).toEqual([0, 1, 3, 3, 4, 5]);
    expect(loader.report()).toEqual({ corrupt: [join(root, "2.png")], small: 0 });
  });
  await withLoader(await folderSource(root, { onSmall: "refuse" }), { batch: 6, workers: 2 }, async (loader) => {
    await expect(loader.next(0)).rejects.toMatchObject({ code: "small-image", message: expect.stringMatching(/2\.png has 5 x 20 pixels, smaller than a view of/), help: expect.stringContaining("on_small") });
  });
});

test("a folder of nothing but garbage ends in an error, not in a search for ever", async () => {
  const root = await mkdtemp(join(folder, "garbage-"));
  for (let i = 0; i < 9; i++) await writeFile(join(root, `${i}.jpg`), "garbage");
  await expect(batches(await folderSource(root), [0])).rejects.toMatchObject({ code: "bad-image", message: expect.stringContaining("not one picture") });
});

test("closing ends the process well after a batch that failed in a thread, instead of leaving in the middle", async () => {
  const root = await mkdtemp(join(folder, "garbage-"));
  for (let i = 0; i < 8; i++) await writeFile(join(root, `${i}.jpg`), "garbage");
  const script = join(worker.folder, "close.mjs");
  await writeFile(script, `
    import { folderSource } from "./data/folder.js";
    import { createLoader } from "./data/loader.js";
    const loader = await createLoader(await folderSource(${JSON.stringify(root)}), ${JSON.stringify({ ...options({ workers: 1 }), workerScript: undefined })});
    await loader.next(0).catch((error) => console.log(error.code));
    await loader.close();
    console.log("closed");
  `);
  const said = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [script], (error, out) => (error === null ? resolve(out) : reject(new Error(`${error.message}\n${out}`))));
  });
  expect(said).toBe("bad-image\nclosed\n");
});

test("pictures smaller than the view are scaled up and counted", async () => {
  const notes: string[] = [];
  await withLoader(syntheticSource({ count: 8, side: 8, seed: 1 }), { onNote: (text) => notes.push(text) }, async (loader) => {
    await loader.next(0);
    expect(loader.report().small).toBe(8);
  });
  expect(notes.join("\n")).toMatch(/smaller than a view/);
});

test("a cache too small for the pictures changes no bit", async () => {
  expect(await batches(pictures, [0, 6, 7], { cacheMegabytes: 0 })).toEqual(await batches(pictures, [0, 6, 7]));
});

test("options that make no sense are refused, and a closed loader says so", async () => {
  await expect(createLoader(pictures, options({ batch: 46 }))).rejects.toThrow(/has 45 pictures, and a batch takes 46/);
  await expect(createLoader(pictures, options({ batch: 0 }))).rejects.toThrow(/batch is 0/);
  await expect(createLoader(pictures, options({ views: [] }))).rejects.toThrow(/at least one view/);
  await expect(createLoader(pictures, options({ views: [view(8, [{ name: "warp", args: {} }])] }))).rejects.toThrow(/no such transform/);
  const loader = await createLoader(pictures, options({ workers: 1 }));
  const open = loader.next(0);
  const settled = expect(open).rejects.toMatchObject({ code: "closed" });
  await loader.close();
  await settled;
  await expect(loader.next(1)).rejects.toMatchObject({ code: "closed" });
});

test("a worker that dies fails the batch instead of hanging it", async () => {
  const broken = join(worker.folder, "data", "broken.js");
  await writeFile(broken, "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('boom'); });");
  await withLoader(pictures, { workers: 1, workerScript: new URL(`file://${broken}`) }, async (loader) => {
    await expect(loader.next(0)).rejects.toMatchObject({ code: "io", message: expect.stringContaining("boom") });
    await expect(loader.next(1)).rejects.toMatchObject({ code: "io" });
  });
});

test("a source without a spec is decoded in-process, and that is said", async () => {
  const notes: string[] = [];
  const own: ImageSource = { ...pictures, spec: undefined };
  await withLoader(own, { workers: 2, onNote: (text) => notes.push(text) }, async (loader) => {
    expect(loader.workers).toBe(0);
    expect((await loader.next(1)).images).toEqual((await batches(pictures, [1]))[0]?.images);
  });
  expect(notes).toEqual([expect.stringContaining("in-process")]);
});

test("pictures are decoded once: an epoch later their files are not read", async () => {
  const root = cifar("test");
  if (root === undefined) return;
  const own = join(folder, "decoded once");
  for (const name of ["frog", "ship"]) {
    await mkdir(join(own, name), { recursive: true });
    const files = (await readdir(join(root, name))).sort().slice(0, 32);
    for (const file of files) await copyFile(join(root, name, file), join(own, name, file));
  }
  const source = await folderSource(own);
  const real = { batch: 16, views: [view(32, [{ name: "random_resized_crop", args: { scale: [0.3, 1] } }])] };
  const wanted = await batches(source, [4, 5, 6, 7], real);
  for (const workers of [0, 1]) {
    await withLoader(source, { ...real, workers, prefetch: 0 }, async (loader) => {
      for (let step = 0; step < 4; step++) await loader.next(step);
      await rename(own, `${own} before`);
      for (const [i, step] of [4, 5, 6, 7].entries()) expect(await loader.next(step), `step ${step}, ${workers} workers`).toEqual(wanted[i]);
      await rename(`${own} before`, own);
    });
  }
}, 60_000);
