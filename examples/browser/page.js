/**
 * The page: a device, a compiled plan, the runtime's loop, and what a person sees of them.
 *
 * Everything under /runtime/ is jepac's own runtime, the same modules as under Node; a run on generated pictures is the
 * run of `jepac train --target wgsl` on the same program. Checkpoints are kept in memory: Stop and Go on, a lost device and
 * the download all use the latest. `?auto&steps=20&program=name` starts by itself; `window.jepac` holds what tests read.
 */
import { createWebgpuEngine } from "/runtime/backends/webgpu/engine.js";
import { openPageDevice, pageAdapter } from "/runtime/backends/webgpu/page.js";
import { encoderPicture } from "/runtime/base/encoder-input.js";
import { applyView, compileView, viewSize } from "/runtime/data/augment.js";
import { syntheticSignature, syntheticSource } from "/runtime/data/synthetic.js";
import { encodeCheckpoint } from "/runtime/train/checkpoint.js";
import { initialState } from "/runtime/train/init.js";
import { runLoop } from "/runtime/train/loop.js";
import { alarmText } from "/runtime/train/monitors.js";
import { plainBatches } from "/runtime/train/plain-batches.js";
import { resolveRecipe } from "/runtime/train/recipe.js";
import { folderPictures } from "./folder.js";
import { showCurves, showFeatures, showMasks } from "./show.js";

/** Seed of the generated pictures, as under Node: the data set is one, whatever the seed of the run. */
const PICTURES_SEED = 0;
/** Pictures whose patch features are shown. */
const SHOWN = 8;

const $ = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search);

/** The run: what it is made of and where it stands. */
const run = { name: "", manifest: undefined, module: undefined, engine: undefined, device: undefined, folder: undefined, checkpoint: undefined, ended: undefined, stopping: false, busy: false };
/** What is on the screen. */
const shown = { losses: [], ranks: new Map(), batches: new Map(), stepped: undefined, components: undefined, drawing: false, encoding: false, times: [] };
window.jepac = { run, losses: [], done: false, error: undefined };

$("controls").addEventListener("submit", (event) => { event.preventDefault(); void guarded(train); });
$("stop").addEventListener("click", () => { run.stopping = true; say("Stopping after this step …"); });
$("again").addEventListener("click", () => { forget(); void guarded(train); });
$("save").addEventListener("click", () => void guarded(save));
$("program").addEventListener("change", () => void guarded(choose));
$("folder").addEventListener("change", (event) => void guarded(() => take([...event.target.files])));
$("generated").addEventListener("click", () => { run.folder = undefined; $("folder").value = ""; forget(); say("Ready, on generated pictures."); });
void guarded(open);

/** Programs that the server has, and whether this browser can run them. */
async function open() {
  const programs = await fetched("/programs.json");
  $("program").replaceChildren(...programs.map(({ name, title }) => new Option(title, name)));
  const { adapter, name } = await pageAdapter();
  $("t-device").textContent = $("t-device").title = name;
  // A software driver is told by its maker; the last program is the smallest.
  const slow = adapter.info.isFallbackAdapter === true || /swiftshader|llvmpipe|software/i.test(name);
  $("program").value = programs.some((p) => p.name === wanted.get("program")) ? wanted.get("program") : programs.at(slow ? -1 : 0).name;
  await choose();
  say(slow ? "Ready. This browser computes WebGPU in software, so training will be slow." : "Ready.");
  if (wanted.has("auto")) await train();
}

async function choose() {
  run.name = $("program").value;
  run.manifest = await fetched(`/compiled/${run.name}/manifest.json`);
  run.folder = undefined;
  $("folder").value = "";
  $("steps").value = wanted.get("steps") ?? resolveRecipe(run.manifest, countOf()).totalSteps;
  $("title").textContent = run.manifest.program;
  document.title = `${run.manifest.program}, trained in this page`;
  $("masks-part").hidden = run.manifest.masks.length === 0;
  $("features-part").hidden = encoderOf(run.manifest) === undefined;
  forget();
  buttons();
}

async function train() {
  const { manifest } = run;
  const resume = run.checkpoint;
  run.busy = true;
  run.stopping = false;
  window.jepac.done = false;
  buttons();
  try {
    const source = run.folder ?? syntheticSource({ count: countOf(), side: sideOf(manifest), seed: PICTURES_SEED });
    const recipe = resolveRecipe(manifest, source.size, { duration: { unit: "steps", value: Math.max(1, Math.floor(Number($("steps").value)) || 1) } });
    if (resume !== undefined && resume.step >= recipe.totalSteps) throw failure(`The run has ${resume.step} steps already.`, "Give more steps, or start over.");
    const started = performance.now();
    say("Compiling kernels …");
    await openEngine(recipe.seed);
    if (resume !== undefined) await run.engine.importState(resume.state);
    say(`${resume === undefined ? "Training" : `Going on after step ${resume.step}`}. Everything was ready after ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    const features = featurePictures(manifest, source);
    await look(features, resume === undefined ? "untrained" : `after step ${resume.step}`);
    const batches = plainBatches(manifest, source, recipe);
    shown.times = [[performance.now(), 0]];
    const end = await runLoop({
      manifest, recipe, engine: run.engine, resume, stopRequested: () => run.stopping,
      batches: { next: async (step) => { const batch = await batches.next(step); shown.batches.set(step + 1, batch); return batch; } },
      data: source.spec === undefined ? source.name : syntheticSignature(source.spec),
      sink: {
        step: (report) => afterStep(report, recipe, features),
        alarm: (alarm) => note(alarmText(alarm)),
        save: async (checkpoint) => { run.checkpoint = checkpoint; },
        lastGood: async () => (run.checkpoint === undefined ? { text: "no checkpoint had been kept yet" } : { step: run.checkpoint.step, text: `the last good state is step ${run.checkpoint.step}` }),
      },
    });
    run.ended = end.kind;
    draw();
    await look(features, `after step ${end.step}`);
    say({ finished: `Done: ${end.step} steps.`, interrupted: `Stopped after step ${end.step}.`, collapsed: `Stopped after step ${end.step}: the features are collapsing.` }[end.kind]);
    window.jepac.done = true;
  } finally {
    run.busy = false;
    buttons();
  }
}

/** A fresh device and engine; what was there before is let go. */
async function openEngine(seed) {
  const { manifest } = run;
  run.engine?.dispose();
  run.engine = undefined;
  run.module = await import(`/compiled/${run.name}/model.mjs`);
  const { device, name } = await openPageDevice(run.module);
  run.device = device;
  run.engine = await createWebgpuEngine(manifest, run.module, { device, name, version: navigator.userAgent, initial: initialState(manifest, seed) });
  if (run.engine.notes.length > 0) note(run.engine.notes.map((passed) => `Passed over ${passed}.`).join(" "));
}

function afterStep({ row, signals, images }, recipe, features) {
  window.jepac.losses.push(row.loss);
  shown.losses.push([row.step, row.loss]);
  if (row.signals !== undefined) {
    for (const [name, { rank }] of Object.entries(row.signals)) shown.ranks.set(name, [...(shown.ranks.get(name) ?? []), [row.step, rank]]);
    void look(features, `after step ${row.step}`).catch(() => undefined);
  }
  const [name, signal] = Object.entries(signals)[0] ?? [];
  shown.times.push([performance.now(), images]);
  if (shown.times.length > 30) shown.times.shift();
  const seconds = (shown.times.at(-1)[0] - shown.times[0][0]) / 1000;
  shown.tiles = {
    "t-step": `${row.step} / ${recipe.totalSteps}`,
    "t-loss": row.loss.toFixed(4),
    "t-rank": signal === undefined ? "–" : signal.rank.toFixed(1),
    "t-rank-name": name === undefined ? "effective rank of features" : `effective rank of ${name}`,
    "t-rate": (shown.times.slice(1).reduce((n, [, count]) => n + count, 0) / Math.max(seconds, 1e-6)).toFixed(seconds > 3 ? 1 : 0),
  };
  shown.part = row.step / recipe.totalSteps;
  shown.stepped = shown.batches.get(row.step);
  // Steps may be begun before the results of earlier ones are there: only what is past can go.
  for (const step of shown.batches.keys()) if (step <= row.step) shown.batches.delete(step);
  if (shown.drawing) return;
  shown.drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  shown.drawing = false;
  for (const [id, text] of Object.entries(shown.tiles ?? {})) $(id).textContent = text;
  $("bar").value = shown.part ?? 0;
  if (shown.losses.length > 0) showCurves($("loss"), $("rank"), shown.losses, shown.ranks);
  if (shown.stepped !== undefined && run.manifest.masks.length > 0) showMasks($("masks"), run.manifest, shown.stepped, SHOWN);
}

/** The first pictures of a source as the encoder takes them, whole. */
function featurePictures(manifest, source) {
  const encoder = encoderOf(manifest);
  const picture = encoder === undefined ? undefined : encoderPicture(manifest, encoder);
  if (encoder === undefined || picture === undefined) return undefined;
  const { height, width } = picture;
  const compiled = compileView({ name: encoder.input, input: encoder.input, height, width, transforms: [] }, manifest.train.mean, manifest.train.std);
  const n = Math.min(SHOWN, source.size);
  const size = viewSize(compiled);
  const pixels = new Float32Array(n * size);
  const ready = Promise.all(Array.from({ length: n }, async (_, i) => applyView(compiled, await source.decode(i), { seed: 0, step: 0, slot: i }, pixels, i * size)));
  return { encoder, picture, pixels, n, ready };
}

/** Encodes the shown pictures and draws what came out; one at a time, since results share a buffer. */
async function look(features, when) {
  if (features === undefined || shown.encoding) return;
  shown.encoding = true;
  try {
    await features.ready;
    const tokens = await run.engine.encode(features.encoder.name, features.pixels, features.n);
    shown.components = showFeatures($("features"), run.manifest, features, tokens, shown.components);
    $("features-encoder").textContent = features.encoder.name;
    $("features-step").textContent = when;
  } finally {
    shown.encoding = false;
  }
}

/** The moving average where there is one: it is what one would take along. */
function encoderOf({ encoders, ema }) {
  const onGrid = encoders.filter((e) => e.grid !== undefined && e.tokens === e.grid.rows * e.grid.cols);
  return onGrid.find((e) => ema.some((edge) => edge.target === e.name)) ?? onGrid[0];
}

async function take(files) {
  const { manifest } = run;
  const { data, batch } = manifest.train;
  try {
    run.folder = await folderPictures(files, { side: sideOf(manifest), least: batch, onSmall: data.onSmall ?? "scale" }, say);
  } catch (error) {
    // What is refused is not what the next run is on.
    $("folder").value = "";
    throw error;
  }
  forget();
  say(`Ready, on ${run.folder.name}.`);
}

/** A checkpoint as a file: what `jepac train --resume` goes on from, and what any reader of safetensors loads. */
async function save() {
  const bytes = encodeCheckpoint(run.checkpoint, run.manifest.parameters);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = "checkpoint.safetensors";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`Saved step ${run.checkpoint.step}. Put the file into runs/${run.manifest.program}, then go on there: npx jepac train ${run.manifest.source.file} --target wgsl --resume`);
}

/** Leaves the run: the next one begins at step 0. */
function forget() {
  run.checkpoint = undefined;
  run.ended = undefined;
  Object.assign(shown, { losses: [], ranks: new Map(), batches: new Map(), stepped: undefined, components: undefined, tiles: undefined, part: 0, times: [] });
  window.jepac.losses = [];
  for (const id of ["t-step", "t-loss", "t-rank", "t-rate"]) $(id).textContent = "–";
  for (const id of ["loss", "rank", "masks", "features"]) $(id).innerHTML = '<p class="empty">not yet</p>';
  $("features-step").textContent = "untrained";
  $("bar").value = 0;
  note("");
  buttons();
}

function buttons() {
  const going = run.checkpoint !== undefined && run.ended !== "collapsed";
  $("start").textContent = going ? "Go on" : "Train";
  $("start").disabled = run.busy || run.manifest === undefined;
  $("again").hidden = run.busy || run.checkpoint === undefined;
  $("stop").disabled = !run.busy;
  $("save").disabled = run.busy || run.checkpoint === undefined;
  $("generated").hidden = run.folder === undefined;
  for (const id of ["program", "steps", "folder", "generated"]) $(id).disabled = run.busy;
}

function countOf() {
  return run.folder?.size ?? run.manifest.train.data.count ?? 1024;
}

function sideOf(manifest) {
  return Math.max(...manifest.inputs.map((input) => Math.max(input.height, input.width)));
}

async function fetched(path) {
  const answer = await fetch(path).catch(() => undefined);
  if (answer === undefined || !answer.ok) throw failure(`The server does not give ${path}.`, "Is examples/browser/serve.mjs still running?");
  return answer.json();
}

function failure(message, help) {
  return Object.assign(new Error(message), { help });
}

/** Runs something; what goes wrong is said, with the way out. */
async function guarded(action) {
  try {
    note("");
    await action();
  } catch (error) {
    // Reading back may fail a moment before the device says that it is gone.
    const lost = error?.code === "device-lost" ? await Promise.race([run.device?.lost, new Promise((go) => setTimeout(go, 1000))]) : undefined;
    const what = lost !== undefined ? `The device was lost: ${lost.message || lost.reason}` : error instanceof Error ? error.message : String(error);
    const way = lost !== undefined ? (run.checkpoint === undefined ? "Train again: a new device is opened." : `Go on from step ${run.checkpoint.step}: a new device is opened.`) : error?.help ?? "";
    note(`${sentence(what)}${way === "" ? "" : `\n${sentence(way)}`}`);
    say(lost !== undefined ? "The device was lost." : "");
    window.jepac.error = $("note").textContent;
    buttons();
  }
}

/** With a large letter, unless it begins with the name of a file. */
function sentence(text) {
  const first = /^\S*[./\\]\S/.test(text) ? text.charAt(0) : text.charAt(0).toUpperCase();
  return `${first}${text.slice(1)}${/[.!?:)]$/.test(text) ? "" : "."}`;
}

function say(text) {
  $("said").textContent = text;
}

function note(text) {
  $("note").textContent = text;
  $("note").hidden = text === "";
}
