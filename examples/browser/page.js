/**
 * The page: a device, the compiled plan, the runtime's loop, and three small pictures of what happens.
 *
 * `?steps=20` limits the run (tests use that); `window.jepac` holds what the tests read. Everything under /runtime/ is
 * jepac's own runtime, the same modules as under Node.
 */
import { createWebgpuEngine } from "/runtime/backends/webgpu/engine.js";
import { initialState } from "/runtime/train/init.js";
import { resolveRecipe } from "/runtime/train/recipe.js";
import { runLoop } from "/runtime/train/loop.js";
import { sampleMasks } from "/runtime/masks/sample.js";
import { drawPicture } from "/runtime/data/synthetic.js";
import { writeSafetensors } from "/runtime/base/safetensors.js";
import { createBatches } from "./batches.js";

const $ = (id) => document.getElementById(id);
const state = { losses: [], ranks: [], done: false, error: undefined };
window.jepac = state;
let engine;
let manifest;
let stopping = false;
let pictures;

$("start").addEventListener("click", () => train().catch(fail));
$("stop").addEventListener("click", () => { stopping = true; });
$("save").addEventListener("click", () => save().catch(fail));
$("folder").addEventListener("change", (event) => take([...event.target.files]).catch(fail));
if (new URLSearchParams(location.search).has("auto")) train().catch(fail);

async function train() {
  $("start").disabled = true;
  const started = performance.now();
  say("Compiling kernels ...");
  const module = await import("/compiled/model.mjs");
  manifest = await (await fetch("/compiled/manifest.json")).json();
  engine?.dispose();
  const { device, name } = await openDevice();
  const seed = manifest.train.seed;
  engine = await createWebgpuEngine(manifest, module, { device, name, version: navigator.userAgent, initial: initialState(manifest, seed) });
  const count = pictures?.length ?? manifest.train.data.count ?? 1024;
  const steps = Number(new URLSearchParams(location.search).get("steps") ?? 0);
  const recipe = resolveRecipe(manifest, count, steps > 0 ? { duration: { unit: "steps", value: steps } } : {});
  const side = manifest.views[0].height;
  const draw = async (index) => pictures?.[index] ?? drawPicture(seed, index, side);
  const source = createBatches(manifest, recipe, count, draw, sampleMasks);
  let latest;
  const batches = { next: async (step) => { latest = await source.next(step); return latest; } };
  say(`Ready after ${((performance.now() - started) / 1000).toFixed(1)} s on ${name}.`);
  stopping = false;
  $("stop").disabled = false;
  const end = await runLoop({
    manifest, engine, recipe, batches, data: "page", stopRequested: () => stopping,
    sink: {
      step({ row, signals }) {
        const [rank] = Object.values(signals);
        state.losses.push(row.loss);
        if (rank !== undefined) state.ranks.push(rank.rank);
        say(`Step ${row.step} of ${recipe.totalSteps}, loss ${row.loss.toFixed(4)}${Object.entries(signals).map(([name, s]) => `, ${name}: rank ${s.rank.toFixed(1)}, spread ${s.std.toFixed(2)}`).join("")}\n${(row.step / ((performance.now() - started) / 1000)).toFixed(1)} steps a second on ${name}`);
        line($("loss"), state.losses, "#1461a8");
        line($("rank"), state.ranks, "#2c8a4b");
        if (latest !== undefined) showMasks($("masks"), latest);
      },
      alarm: (alarm) => say(`Alarm: ${alarm.because ?? alarm.kind}`),
      save: async () => undefined,
      lastGood: async () => "a page keeps no checkpoints",
    },
  });
  $("save").disabled = false;
  $("stop").disabled = true;
  $("start").disabled = false;
  state.done = true;
  say(`${$("said").textContent}\n${end.kind} after step ${end.step}.`);
}

async function openDevice() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("This browser gives no WebGPU adapter. Chrome 113 or newer has one; on Linux it may need --enable-unsafe-webgpu.");
  const device = await adapter.requestDevice();
  return { device, name: [adapter.info.vendor, adapter.info.description || adapter.info.architecture].filter(Boolean).join(" ") || "WebGPU" };
}

/** Pictures of a folder, cropped to the middle and scaled. */
async function take(files) {
  const side = 32;
  const canvas = new OffscreenCanvas(side, side);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const taken = [];
  for (const file of files.filter((f) => f.type.startsWith("image/"))) {
    const bitmap = await createImageBitmap(file).catch(() => undefined);
    if (bitmap === undefined) continue;
    const crop = Math.min(bitmap.width, bitmap.height);
    pen.drawImage(bitmap, (bitmap.width - crop) / 2, (bitmap.height - crop) / 2, crop, crop, 0, 0, side, side);
    const { data } = pen.getImageData(0, 0, side, side);
    taken.push({ width: side, height: side, data: Uint8Array.from({ length: side * side * 3 }, (_, i) => data[Math.floor(i / 3) * 4 + (i % 3)]) });
  }
  if (taken.length < 8) throw new Error(`The folder holds ${taken.length} pictures that this browser reads; 8 are needed for one batch.`);
  pictures = taken;
  say(`${taken.length} pictures of your own are ready.`);
}

async function save() {
  const values = await engine.exportState();
  const tensors = manifest.parameters.map(({ name, shape }) => ({ name, shape, data: { dtype: "F32", values: values.get(name) } }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([writeSafetensors(tensors, { program: manifest.program })]));
  link.download = `${manifest.program}.safetensors`;
  link.click();
}

function line(canvas, values, color) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (values.length < 2) return;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.beginPath();
  values.forEach((v, i) => pen.lineTo((i / (values.length - 1)) * canvas.width, canvas.height - 8 - ((v - low) / (high - low || 1)) * (canvas.height - 16)));
  pen.stroke();
  pen.fillStyle = "#555";
  pen.fillText(`${values.at(-1).toFixed(4)}`, 4, 12);
}

/** The first pictures of a batch: context in their colors, targets tinted, the rest dark. */
function showMasks(canvas, batch) {
  const pen = canvas.getContext("2d");
  const [view] = manifest.views;
  const { mean, std } = manifest.train;
  const pixels = Object.values(batch.images)[0];
  const shown = Math.min(7, batch.size);
  const scale = Math.floor(canvas.height / view.height);
  for (let b = 0; b < shown; b++) {
    const image = pen.createImageData(view.width * scale, view.height * scale);
    for (let y = 0; y < view.height * scale; y++) {
      for (let x = 0; x < view.width * scale; x++) {
        const [row, col] = [Math.floor(y / scale), Math.floor(x / scale)];
        const tint = tintAt(batch, b, row / view.height, col / view.width);
        for (let c = 0; c < 3; c++) {
          const value = (pixels[((b * view.height + row) * view.width + col) * 3 + c] * std[c] + mean[c]) * 255;
          image.data[(y * image.width + x) * 4 + c] = tint === "context" ? value : tint === undefined ? value * 0.2 : value * 0.5 + tint[c] * 0.5;
        }
        image.data[(y * image.width + x) * 4 + 3] = 255;
      }
    }
    pen.putImageData(image, b * (view.width * scale + 6), 0);
  }
}

const tints = [[220, 80, 60], [70, 130, 220], [90, 170, 80], [220, 170, 40]];

function tintAt(batch, b, y, x) {
  for (const spec of manifest.masks) {
    const { indices, count, length } = batch.masks[spec.name];
    const place = Math.floor(y * spec.grid.rows) * spec.grid.cols + Math.floor(x * spec.grid.cols);
    for (let m = 0; m < count; m++) {
      const from = (m * batch.size + b) * length;
      if (indices.subarray(from, from + length).includes(place)) return spec.name === "context" ? "context" : tints[m % tints.length];
    }
  }
  return undefined;
}

function say(text) {
  $("said").className = "";
  $("said").textContent = text;
}

function fail(error) {
  state.error = error instanceof Error ? `${error.message}${error.help === undefined ? "" : `; ${error.help}`}` : String(error);
  $("said").className = "error";
  $("said").textContent = state.error;
  $("start").disabled = false;
}
