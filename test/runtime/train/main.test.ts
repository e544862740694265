/**
 * Whole runs in one process, on a small real problem over the embedded pictures: files, exit codes, resuming, Ctrl-C.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Engine, Manifest, StepBatch } from "../../../runtime/abi.js";
import { drawPicture } from "../../../runtime/data/synthetic.js";
import { readRows } from "../../../runtime/log/jsonl.js";
import type { CompiledModule } from "../../../runtime/train/engines.js";
import type { TrainerOptions } from "../../../runtime/train/options.js";
import { runTrainer } from "../../../runtime/train/main.js";
import { probeRun } from "../../../runtime/train/probe-main.js";
import { fakeManifest, linearEngine, monitor, WIDTH } from "./fakes.js";
import type { Faults } from "./fakes.js";

const SIDE = 8;
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jepac-run-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function pictureManifest(change: Partial<Manifest> = {}): Manifest {
  const mask = { name: "half", grid: { rows: 2, cols: 2 }, kind: "random", count: 1, scale: [0, 1], aspect: [1, 1], ratio: [0.5, 0.5], minKeep: 0, minus: [], sampler: "corrected", allowOverlap: false, trim: "random" } as const;
  return fakeManifest({
    inputs: [{ name: "image", height: SIDE, width: SIDE, channels: 3 }],
    views: [{ name: "image", input: "image", height: SIDE, width: SIDE, transforms: [] }],
    masks: [mask],
    ...change,
  });
}

/** Six means over stripes of a picture. */
function stripes(images: Float32Array, n: number): Float32Array {
  const size = images.length / n;
  const out = new Float32Array(n * WIDTH);
  for (let i = 0; i < n * size; i++) {
    const at = Math.floor(i / size) * WIDTH + Math.floor(((i % size) * WIDTH) / size);
    out[at] = (out[at] ?? 0) + ((images[i] ?? 0) * WIDTH) / size;
  }
  return out;
}

function pictureEngine(manifest: Manifest, seed: number, faults: Faults, onStep: (step: number | "probe") => void): Engine {
  const inner = linearEngine(manifest, seed, faults);
  const small = (batch: StepBatch): StepBatch => ({ ...batch, images: { image: stripes(batch.images["image"] ?? new Float32Array(0), batch.size) } });
  return {
    ...inner,
    step(batch, hyper, want) {
      onStep(hyper.step);
      return inner.step(small(batch), hyper, want);
    },
    encode(encoder, images, n) {
      onStep("probe");
      return inner.encode(encoder, stripes(images, n), n);
    },
  };
}

interface Outcome {
  readonly code: number;
  readonly text: string;
}

const noModule: CompiledModule = { step: () => raise("the fake engine runs no module"), encoders: {} };

async function run(argv: readonly string[], options: { manifest?: Manifest; faults?: Faults; pressAt?: number; clock?: () => number; each?: () => void; at?: { step: number | "probe"; then: () => void } } = {}): Promise<Outcome> {
  let text = "";
  const handlers = new Set<() => void>();
  const code = await runTrainer({
    manifest: options.manifest ?? pictureManifest(),
    module: noModule,
    argv: ["--workers", "0", ...argv],
    command: "node train.mjs",
    host: {
      terminal: { write: (part) => (text += part) },
      signals: { on: (_, handler) => handlers.add(handler), off: (_, handler) => handlers.delete(handler), exit: () => raise("the run tried to quit at once") },
      clock: options.clock ?? (() => 0),
      createEngine: (program, _module, _options, seed) =>
        Promise.resolve({
          engine: pictureEngine(program, seed, options.faults ?? {}, (step) => {
            if (step === options.pressAt) [...handlers][0]?.();
            if (step === options.at?.step) options.at.then();
            options.each?.();
          }),
          notes: ["engine fast: not installed; install it"],
          why: "as asked",
        }),
    },
  });
  expect(handlers.size).toBe(0);
  return { code, text };
}

function bytes(...path: string[]): Buffer {
  return readFileSync(join(folder, ...path));
}

test("a run says its engine and data, and leaves metrics, checkpoints, probe and report", async () => {
  const out = join(folder, "a");
  const { code, text } = await run(["--out", out]);
  expect(text).toContain("80 synthetic pictures");
  expect(text).toContain("passed over engine fast: not installed; install it");
  expect(text).toContain("engine: fake 1 (as asked)");
  expect(text).toMatch(/linear probe of student: shape \(8 classes\) +\d+\.\d % +\d+\.\d %/);
  expect(text).toMatch(/effective rank of student/);
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual(["checkpoint.previous.safetensors", "checkpoint.safetensors", "metrics.jsonl", "probe.json", "report.html", "run.json"]);
  expect(readRows(join(out, "metrics.jsonl")).length).toBe(40);
  const probe: unknown = JSON.parse(bytes("a", "probe.json").toString());
  expect(probe).toMatchObject({ program: "line", step: 40, trainImages: 80, testImages: 500 });
  // Every factor is in the words after the table, once for each thing that is said of it.
  const said = /the trained student beside the untrained one: (.*)/.exec(text)?.[1] ?? "";
  expect([...new Set([...said.matchAll(/shape|texture|color|cell/g)].map((m) => m[0]))].sort()).toEqual(["cell", "color", "shape", "texture"]);
  const html = bytes("a", "report.html").toString();
  expect(html).toContain("Sampled masks");
  expect(html).toContain(`<p>the trained student beside the untrained one: ${said}`);
  expect(html).toContain("half · 2");
});

test("Ctrl-C ends with a checkpoint, code 130 and the way to go on; going on gives the same bytes as never stopping", async () => {
  const whole = join(folder, "whole");
  const parts = join(folder, "parts");
  expect((await run(["--out", whole, "--no-probe"])).code).toBe(0);
  const first = await run(["--out", parts, "--no-probe"], { pressAt: 17 });
  expect(first.code).toBe(130);
  expect(first.text).toContain("stopped after step 17 of 40; go on with: node train.mjs --out");
  expect(existsSync(join(parts, "report.html"))).toBe(false);
  const second = await run(["--out", parts, "--resume", "--no-probe"]);
  expect(second.text).toContain("going on after step 17");
  expect(second.code).toBe(0);
  for (const name of ["checkpoint.safetensors", "metrics.jsonl"]) expect(bytes("parts", name).equals(bytes("whole", name))).toBe(true);
});

test("rows after the resumed checkpoint are replaced by those of the resumed run, the same ones", async () => {
  expect((await run(["--out", join(folder, "whole"), "--no-probe", "--no-report"])).code).toBe(0);
  const parts = join(folder, "parts");
  expect((await run(["--out", parts, "--no-probe", "--no-report"], { faults: { nanAt: 27 } })).code).toBe(1);
  expect(readRows(join(parts, "metrics.jsonl")).length).toBe(26);
  expect((await run(["--out", parts, "--resume", "--no-probe", "--no-report"])).code).toBe(0);
  expect(bytes("parts", "metrics.jsonl").equals(bytes("whole", "metrics.jsonl"))).toBe(true);
});

test("a loss that is not a number ends with code 1, the step and the last good checkpoint, which is still whole", async () => {
  const { code, text } = await run(["--out", join(folder, "n"), "--no-report"], { faults: { nanAt: 33 } });
  expect(code).toBe(1);
  expect(text).toMatch(/error: step 33: the loss is NaN; the last good state is step 30 in .*checkpoint\.safetensors/);
  expect(text).toMatch(/help: .*--resume/);
  expect((await run(["--out", join(folder, "n"), "--resume", "--no-probe", "--no-report"])).text).toContain("going on after step 30");
});

test("a collapse stops a run that asks for it with code 3, and names monitor and reason", async () => {
  const manifest = pictureManifest({ monitors: [monitor("embedding-std", 0.02, 3)] });
  const { code, text } = await run(["--out", join(folder, "c"), "--no-probe"], { manifest: { ...manifest, train: { ...manifest.train, onCollapse: "stop" } }, faults: { collapseFrom: 10 } });
  expect(text).toMatch(/collapse alarm at step 1\d: embedding-std of student is .* the loss is protected by dynamics only/);
  expect(text).not.toContain("the run goes on");
  expect(code).toBe(3);
  expect(bytes("c", "report.html").toString()).toContain("collapse alarm at step");
});

test("a damaged latest checkpoint is refused with the way out, and the one before it goes on to the same end", async () => {
  expect((await run(["--out", join(folder, "whole"), "--no-probe", "--no-report"])).code).toBe(0);
  const parts = join(folder, "parts");
  expect((await run(["--out", parts, "--no-probe"], { pressAt: 25 })).code).toBe(130);
  const path = join(parts, "checkpoint.safetensors");
  writeFileSync(path, readFileSync(path).subarray(0, 300));
  const refused = await run(["--out", parts, "--resume"]);
  expect(refused.code).toBe(2);
  expect(refused.text).toMatch(/step 20\) is whole: resume from it with --resume previous/);
  expect((await run(["--out", parts, "--resume", "previous", "--no-probe", "--no-report"])).code).toBe(0);
  expect(bytes("parts", "checkpoint.safetensors").equals(bytes("whole", "checkpoint.safetensors"))).toBe(true);
});

test("a run never writes over another one, and a resumed one must be the same run", async () => {
  const out = join(folder, "a");
  await run(["--out", out, "--no-probe", "--no-report"]);
  const again = await run(["--out", out]);
  expect([again.code, again.text.includes("already holds a run")]).toEqual([2, true]);
  const seed = await run(["--out", out, "--resume", "--seed", "8"]);
  expect([seed.code, seed.text.includes("made with seed 7, this run has 8")]).toEqual([2, true]);
  const batch = await run(["--out", out, "--resume", "--batch", "4"]);
  expect([batch.code, batch.text.includes("batches of 8, this run has 4")]).toEqual([2, true]);
  const other = await run(["--out", out, "--resume"], { manifest: pictureManifest({ program: "curve" }) });
  expect([other.code, other.text.includes("belongs to the program line, not to curve")]).toEqual([2, true]);
});

test("into the folder of a process that trains no other one does; that of one which is gone goes on, and what it was writing is removed", async () => {
  const out = join(folder, "a");
  expect((await run(["--out", out, "--no-probe", "--no-report"], { pressAt: 15 })).code).toBe(130);
  const sign = join(out, "running.json");
  expect(existsSync(sign)).toBe(false);
  const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const ended = once(other, "exit");
  const signed = (change: Readonly<Record<string, unknown>> = {}): void => writeFileSync(sign, JSON.stringify({ pid: other.pid, host: hostname(), since: new Date().toISOString(), ...change }));
  signed();
  const before = readdirSync(out).map((name) => [name, readFileSync(join(out, name)).toString("base64")]);
  const refused = await run(["--out", out, "--resume"]);
  expect(refused).toEqual({ code: 2, text: `error: another process (${other.pid}) is training into ${out}\nhelp: wait until it ends, stop it, or give another folder with --out; if process ${other.pid} is no run of jepac, remove ${sign}\n` });
  expect(readdirSync(out).map((name) => [name, readFileSync(join(out, name)).toString("base64")])).toEqual(before);
  // A sign of another machine that is no longer renewed, and one of a time before this machine was started.
  for (const [at, change] of [{ host: "elsewhere" }, { since: "2001-01-01T00:00:00Z" }].entries()) {
    signed(change);
    utimesSync(sign, new Date(0), new Date(0));
    expect((await run(["--out", out, "--resume", "--no-probe", "--no-report"], { pressAt: 16 + at })).text).toContain(`going on after step ${15 + at}`);
  }
  signed();
  other.kill("SIGKILL");
  await ended;
  for (const name of [".checkpoint.next.safetensors.123.4.tmp", ".metrics.jsonl.123.5.tmp", "mine.tmp"]) writeFileSync(join(out, name), "half");
  const on = await run(["--out", out, "--resume", "--no-probe", "--no-report"]);
  expect([on.code, on.text.includes("going on after step 17")]).toEqual([0, true]);
  expect(readdirSync(out).sort()).toEqual(["checkpoint.previous.safetensors", "checkpoint.safetensors", "metrics.jsonl", "mine.tmp", "run.json"]);
});

test("a run whose folder is taken while it probes leaves neither probe nor report there", async () => {
  const out = join(folder, "a");
  const other = JSON.stringify({ pid: 78, host: "elsewhere", since: new Date().toISOString() });
  const { code, text } = await run(["--out", out], { at: { step: "probe", then: () => writeFileSync(join(out, "running.json"), other) } });
  expect(text).toContain(`another process (78 on elsewhere) has taken over ${out}: this one stops, and writes nothing more there`);
  expect(code).toBe(2);
  expect(readdirSync(out).sort()).toEqual(["checkpoint.previous.safetensors", "checkpoint.safetensors", "metrics.jsonl", "run.json", "running.json"]);
});

test("a run whose folder another process has taken stops before it writes anything more there", async () => {
  const out = join(folder, "a");
  const sign = join(out, "running.json");
  const other = JSON.stringify({ pid: 78, host: "elsewhere", since: new Date().toISOString() });
  const { code, text } = await run(["--out", out, "--no-probe", "--no-report"], { at: { step: 15, then: () => writeFileSync(sign, other) } });
  expect(text).toContain(`error: another process (78 on elsewhere) has taken over ${out}: this one stops, and writes nothing more there; the last good state is step 10`);
  expect(code).toBe(2);
  expect(readFileSync(sign, "utf8")).toBe(other);
  expect(readdirSync(out).sort()).toEqual(["checkpoint.safetensors", "metrics.jsonl", "run.json", "running.json"]);
});

test("options of the first start are remembered by a resumed run", async () => {
  const out = join(folder, "a");
  expect((await run(["--out", out, "--steps", "20", "--batch", "4", "--seed", "3", "--no-probe"], { pressAt: 5 })).code).toBe(130);
  const { code, text } = await run(["--out", out, "--resume", "--no-probe", "--no-report"]);
  expect(text).toContain("20 steps, batches of 4, seed 3");
  expect(code).toBe(0);
});

test("options that a resumed run was given are remembered by the next one: the hint that it prints goes on with what it did", async () => {
  const root = join(folder, "pictures");
  await writePictures(root, ["cat", "dog"], 20, 1);
  const out = join(folder, "a");
  const short = await run(["--out", out, "--data", root, "--steps", "4", "--no-probe", "--no-report"]);
  expect([short.code, short.text]).toEqual([0, expect.stringContaining("warning: the learning rate rises for 5 steps, and the run has 4: it ends at 4.2e-2 of 5.0e-2; train for longer, or with a shorter warm-up\n")]);
  const moved = join(folder, "moved");
  renameSync(root, moved);
  const longer = await run(["--out", out, "--resume", "--steps", "30", "--data", moved, "--no-probe", "--no-report"], { pressAt: 9 });
  expect(longer.text).not.toContain("the learning rate rises");
  expect(longer.text).toContain(`stopped after step 9 of 30; go on with: node train.mjs --out ${out} --resume --workers 0 --no-probe --no-report\n`);
  const again = await run(["--out", out, "--resume", "--no-probe", "--no-report"]);
  expect(again.text).toContain("going on after step 9: 30 steps");
  expect(again.code).toBe(0);
});

test("the report of a resumed run counts the alarms of its earlier parts", async () => {
  const manifest = pictureManifest({ monitors: [monitor("embedding-std", 0.02, 3)] });
  const faults = { collapseFrom: 10 };
  const out = join(folder, "c");
  const first = await run(["--out", out, "--no-probe"], { manifest, faults, pressAt: 30 });
  expect(first.text).toContain("collapse alarm at step");
  expect(first.text.split("the run goes on, as such a number may recover")).toHaveLength(2);
  const second = await run(["--out", out, "--resume", "--no-probe"], { manifest, faults });
  expect(second.text).not.toContain("collapse alarm at step");
  const html = bytes("c", "report.html").toString();
  expect(html).toContain("Finished 40 steps, 1 collapse alarm.");
  expect(html).toContain("the last 10 of 40 steps");
});

test("a run that was stopped before its first checkpoint is begun again by --resume, with its options, and is the run that never stopped", async () => {
  const short = ["--seed", "3", "--no-probe", "--no-report"];
  expect((await run(["--out", join(folder, "whole"), ...short])).code).toBe(0);
  const out = join(folder, "parts");
  // A run that dies before its first checkpoint leaves what a killed one does: options and rows.
  expect((await run(["--out", out, ...short], { faults: { nanAt: 6 } })).code).toBe(1);
  expect(readdirSync(out).sort()).toEqual(["metrics.jsonl", "run.json"]);
  const anew = await run(["--out", out, ...short]);
  expect([anew.code, anew.text.includes("go on with it with --resume")]).toEqual([2, true]);
  const again = await run(["--out", out, "--resume", "--no-probe", "--no-report"]);
  expect(again.text).toContain("was stopped before its first checkpoint: it begins again");
  expect(again.code).toBe(0);
  for (const name of ["checkpoint.safetensors", "metrics.jsonl"]) expect(bytes("parts", name).equals(bytes("whole", name))).toBe(true);
  const nothing = await run(["--out", join(folder, "nothing"), "--resume"]);
  expect([nothing.code, nothing.text.includes("start the run without --resume")]).toEqual([2, true]);
});

test("a run that dies in its first epoch goes on from the checkpoint of its last minutes, and is the run that never stopped", async () => {
  const short = ["--no-probe", "--no-report"];
  expect((await run(["--out", join(folder, "whole"), ...short])).code).toBe(0);
  const out = join(folder, "parts");
  let now = 0;
  // Three minutes a step, as the clock of the run has it.
  const slow = { clock: () => now, each: () => (now += 3 * 60_000), faults: { nanAt: 9 } };
  const dies = await run(["--out", out, ...short], slow);
  expect(dies.text).toContain(`step 9: the loss is NaN; the last good state is step 8 in ${join(out, "checkpoint.safetensors")}`);
  const on = await run(["--out", out, "--resume", ...short]);
  expect(on.text).toContain("going on after step 8");
  for (const name of ["checkpoint.safetensors", "metrics.jsonl"]) expect(bytes("parts", name).equals(bytes("whole", name))).toBe(true);
  const never = await run(["--out", join(folder, "never"), "--checkpoint-minutes", "0", ...short], slow);
  expect(never.text).toContain("no checkpoint had been written yet");
});

test("the hint on going on repeats what run.json does not keep", async () => {
  const out = join(folder, "a");
  const { text } = await run(["--out", out, "--engine", "wasm", "--no-probe", "--no-report", "--seed", "3"], { pressAt: 5 });
  expect(text).toContain(`go on with: node train.mjs --out ${out} --resume --engine wasm --workers 0 --no-probe --no-report\n`);
  const kept = await run(["--out", join(folder, "b"), "--probe", "--batch", "4", "--checkpoint-minutes", "2.5"], { pressAt: 5 });
  expect(kept.text).toContain(`--out ${join(folder, "b")} --resume --workers 0 --checkpoint-minutes 2.5\n`);
});

test("mistakes on the command line and missing pictures are said plainly, with code 2", async () => {
  expect(await run(["--stepz", "3"])).toEqual({ code: 2, text: "error: there is no option --stepz\nhelp: did you mean --steps? (--help lists all)\n" });
  const gone = await run(["--data", join(folder, "nowhere")]);
  expect([gone.code, gone.text.includes("there is no folder")]).toEqual([2, true]);
  const many = await run(["--out", join(folder, "b"), "--batch", "1000"]);
  expect([many.code, many.text.includes("80 images cannot fill one batch of 1000")]).toEqual([2, true]);
  expect((await run(["--help"])).text).toContain("--eval-data <folder>");
});

async function writePictures(root: string, classes: readonly string[], each: number, seed: number): Promise<void> {
  for (const [c, name] of classes.entries()) {
    mkdirSync(join(root, name), { recursive: true });
    for (let i = 0; i < each; i++) {
      const picture = drawPicture(seed + c, i, SIDE);
      await sharp(picture.data, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toFile(join(root, name, `${i}.png`));
    }
  }
}

test("labelled folders are probed on the test folder beside them, class numbers by name", async () => {
  const root = join(folder, "pictures");
  await writePictures(join(root, "train"), ["cat", "dog", "owl"], 8, 1);
  await writePictures(join(root, "test"), ["dog", "owl"], 4, 50);
  const out = join(folder, "run");
  const { code, text } = await run(["--data", join(root, "train"), "--out", out, "--steps", "3"]);
  expect(code).toBe(0);
  expect(text).toContain(`probing on 24 pictures, testing on 8 (${join(root, "test")})`);
  expect(text).toContain("class (3 classes)");
});

test("test pictures that probes cannot use are refused before the first step, and by a probe of a run", async () => {
  const root = join(folder, "pictures");
  await writePictures(join(root, "train"), ["cat", "dog"], 8, 1);
  await writePictures(join(root, "strange"), ["cat", "owl"], 2, 50);
  mkdirSync(join(root, "empty"));
  const train = join(root, "train");
  const trained = join(folder, "trained");
  expect((await run(["--data", train, "--out", trained, "--steps", "2", "--no-report"])).code).toBe(0);
  const refusals: readonly [string, RegExp][] = [
    [join(root, "nowhere"), /there is no image folder .*nowhere/],
    [join(root, "empty"), /there are no pictures in .*empty: it is empty/],
    [join(root, "strange"), /strange has a class owl, which the training pictures do not have/],
    [join(train, "cat"), /the pictures in .*cat have no labels, and probes are tested on labels/],
  ];
  const out = join(folder, "run");
  for (const [evalData, said] of refusals) {
    for (const more of [[], ["--no-probe"]]) {
      const { code, text } = await run(["--data", train, "--eval-data", evalData, "--out", out, "--steps", "2", ...more]);
      expect(text).toMatch(said);
      expect(text).toMatch(/help: ./);
      expect([code, existsSync(out)]).toEqual([2, false]);
    }
    await expect(probeRun({ manifest: pictureManifest(), module: noModule, options: { out: trained, evalData }, terminal: { write: () => true }, createEngine: () => raise("an engine was made") })).rejects.toThrow(said);
  }
  const generated = await run(["--eval-data", train, "--out", out]);
  expect(generated.text).toContain("train is labelled by class, the training pictures by shape");
  expect([generated.code, existsSync(out)]).toEqual([2, false]);
});

test("a test folder beside the training pictures with a class of its own is refused before the first step", async () => {
  const root = join(folder, "pictures");
  await writePictures(join(root, "train"), ["cat", "dog"], 8, 1);
  await writePictures(join(root, "test"), ["owl"], 2, 50);
  const out = join(folder, "run");
  const words = ["--data", join(root, "train"), "--out", out, "--steps", "2", "--no-report"];
  const { code, text } = await run(words);
  expect(text).toMatch(/test has a class owl.*\nhelp: it lies beside the training pictures/);
  expect([code, existsSync(out)]).toEqual([2, false]);
  expect((await run([...words, "--no-probe"])).code).toBe(0);
});

test("without a test set a fifth of the labelled pictures is held out, and without labels there is no probe", async () => {
  const root = join(folder, "pictures");
  await writePictures(root, ["cat", "dog"], 10, 1);
  const held = await run(["--data", root, "--out", join(folder, "run"), "--steps", "2", "--no-report"]);
  expect(held.text).toContain("probing on 16 pictures, testing on 4 (every fifth picture of");
  const plain = await run(["--data", join(root, "cat"), "--out", join(folder, "run2"), "--steps", "1", "--no-report"]);
  expect(plain.text).toContain("no probe: the pictures have no labels");
  expect(plain.code).toBe(0);
});

test("where no picture is left to test on there is no probe, and no table of noughts", async () => {
  const root = join(folder, "pictures");
  await writePictures(root, ["cat", "dog"], 2, 1);
  const few = await run(["--data", root, "--batch", "4", "--out", join(folder, "few"), "--steps", "1", "--no-report"]);
  expect(few.text).toContain("no probe: every fifth picture is held out to test on, and there are 4 (give more, or others to test on with --eval-data)");
  expect([few.code, existsSync(join(folder, "few", "probe.json"))]).toEqual([0, false]);
  mkdirSync(join(folder, "broken", "cat"), { recursive: true });
  writeFileSync(join(folder, "broken", "cat", "a.png"), "no picture");
  const broken = await run(["--data", root, "--eval-data", join(folder, "broken"), "--batch", "4", "--out", join(folder, "run"), "--steps", "1", "--no-report"]);
  expect(broken.text).toContain(`1 picture of ${join(folder, "broken")} cannot be read or decoded and is left out`);
  expect(broken.text).toContain(`no probe: not one picture of ${join(folder, "broken")} can be read and decoded`);
  expect(broken.code).toBe(0);
});

test("a checkpoint is probed without training, and says the same as the run did", async () => {
  const out = join(folder, "a");
  await run(["--out", out, "--no-report"]);
  const before = bytes("a", "probe.json");
  const report = await probeRun({
    manifest: pictureManifest(),
    module: noModule,
    options: { out },
    terminal: { write: () => true },
    createEngine: (program, _module, _options, seed) => Promise.resolve({ engine: pictureEngine(program, seed, {}, () => undefined), notes: [], why: "as asked" }),
  });
  expect(report?.step).toBe(40);
  expect(bytes("a", "probe.json").equals(before)).toBe(true);
});

/** `jepac probe` on the fake engine: what it said, and what it threw. */
async function probe(options: TrainerOptions): Promise<{ text: string; error: unknown }> {
  let text = "";
  const host = { manifest: pictureManifest(), module: noModule, terminal: { write: (part: string) => (text += part) } };
  const error: unknown = await probeRun({
    ...host, options,
    createEngine: (program, _module, _options, seed) => Promise.resolve({ engine: pictureEngine(program, seed, {}, () => undefined), notes: [], why: "as asked" }),
  }).then(() => undefined, (thrown: unknown) => thrown);
  return { text, error };
}

test("a table that cannot be kept is said, at the end of a run with its report, and then the run ends with the reason", async () => {
  const out = join(folder, "a");
  // A folder in the place of a file is in the way of anybody, root too.
  mkdirSync(join(out, "probe.json"), { recursive: true });
  const { code, text } = await run(["--out", out]);
  expect(text).toMatch(/effective rank of student[\s\S]*report: .*report\.html\nerror: cannot write .*probe\.json[\s\S]*\nhelp: /);
  expect([code, existsSync(join(out, "report.html"))]).toEqual([2, true]);
  const again = await probe({ out });
  expect(again.text).toMatch(/effective rank of student/);
  expect(again.error).toMatchObject({ code: "io", message: expect.stringContaining("probe.json") });
  const both = join(folder, "b");
  for (const name of ["probe.json", "report.html"]) mkdirSync(join(both, name), { recursive: true });
  const worse = await run(["--out", both]);
  expect(worse.text).toMatch(/effective rank[\s\S]*error: cannot write .*report\.html[^\n]*\nerror: cannot write .*probe\.json/);
  expect(worse.code).toBe(2);
});

test("a probe that fails does not take the report with it", async () => {
  const out = join(folder, "a");
  const { code, text } = await run(["--out", out], { manifest: pictureManifest({ probes: [{ kind: "linear", on: "teecher", pool: "mean", args: {} }] }) });
  expect(text).toMatch(/report: .*report\.html\nerror: a probe looks at teecher/);
  expect([code, existsSync(join(out, "report.html"))]).toEqual([2, true]);
});

test("probe.json is replaced by a probe of the run's latest checkpoint and own pictures only", async () => {
  const root = join(folder, "pictures");
  await writePictures(join(root, "own"), ["cat", "dog"], 10, 1);
  await writePictures(join(root, "other"), ["cat", "dog"], 10, 70);
  const out = join(folder, "a");
  expect((await run(["--data", join(root, "own"), "--out", out, "--steps", "4", "--no-report"])).code).toBe(0);
  writeFileSync(join(out, "checkpoint.previous.safetensors"), bytes("a", "checkpoint.safetensors"));
  const before = bytes("a", "probe.json");
  const strangers: readonly TrainerOptions[] = [{ data: join(root, "other") }, { evalData: join(root, "other") }, { resume: "previous" }];
  for (const options of strangers) {
    const { text, error } = await probe({ out, ...options });
    expect(error).toBeUndefined();
    expect(text).toMatch(/effective rank of student[\s\S]*not kept: .*probe\.json stays/);
    expect(bytes("a", "probe.json").equals(before)).toBe(true);
  }
  writeFileSync(join(out, "probe.json"), "old");
  expect((await probe({ out, data: join(root, "own") })).text).not.toContain("not kept");
  expect(bytes("a", "probe.json").equals(before)).toBe(true);
  // Where nothing would be lost, any probe is kept.
  rmSync(join(out, "probe.json"));
  expect((await probe({ out, data: join(root, "other") })).text).not.toContain("not kept");
  expect(JSON.parse(bytes("a", "probe.json").toString())).toMatchObject({ step: 4, trainImages: 16 });
});

function raise(message: string): never {
  throw new Error(message);
}
