/**
 * Training: a device, a compiled plan, the runtime's loop, and what a person sees of them.
 *
 * Everything under runtime/ is jepac's own runtime, the same modules as under Node; a run on generated pictures is the
 * run of `jepac train --target wgsl` on the same program. Checkpoints are kept in memory: Stop and Go on, a lost device and
 * the download all use the latest. A run belongs to the text that it was compiled from; another text begins another run.
 */
import { createWebgpuEngine } from "./runtime/backends/webgpu/engine.js";
import { openPageDevice } from "./runtime/backends/webgpu/page.js";
import { encoderPicture } from "./runtime/base/encoder-input.js";
import { applyView, compileView, viewSize } from "./runtime/data/augment.js";
import { syntheticSignature, syntheticSource, waveSource } from "./runtime/data/synthetic.js";
import { encodeCheckpoint } from "./runtime/train/checkpoint.js";
import { initialState } from "./runtime/train/init.js";
import { runLoop } from "./runtime/train/loop.js";
import { CHECKPOINT_MINUTES, createPace } from "./runtime/train/pace.js";
import { alarmText } from "./runtime/train/monitors.js";
import { plainBatches } from "./runtime/train/plain-batches.js";
import { resolveRecipe } from "./runtime/train/recipe.js";
import { folderPictures } from "./folder.js";
import { $, failure, guarded, note, say } from "./page-parts.js";
import { showCurves, showFeatures, showMasks } from "./show.js";

/** Seed of the generated pictures, as under Node: the data set is one, whatever the seed of the run. */
const PICTURES_SEED = 0;
/** Pictures whose patch features are shown. */
const SHOWN = 8;

/** The run: what it is made of and where it stands. `planned` is the plan it was begun with, `begun` whether that is what is shown, `reading` whether a folder is being read. */
const run = { planned: undefined, manifest: undefined, module: undefined, engine: undefined, device: undefined, folder: undefined, checkpoint: undefined, ended: undefined, stopping: false, busy: false, begun: false, reading: false };
/** What is on the screen. */
const shown = { losses: [], ranks: new Map(), batches: new Map(), stepped: undefined, components: undefined, drawing: false, encoding: false, times: [] };
window.jepac.run = run;

/**
 * Wires the controls of training. `plan()` gives the plan of the text as it is, `{ manifest, module, key, title, command }`, or throws
 * with the way out; `key()` is what tells that text from others,
 * `ended()` is called when a run has ended.
 */
export function openTraining({ plan, key, ended }) {
  const train = () => guarded(() => start(plan), explainLoss).finally(() => { buttons(key()); ended(); });
  $("controls").addEventListener("submit", (event) => { event.preventDefault(); void train(); });
  // How many steps a program asks for is known by its plan.
  $("start").addEventListener("click", (event) => {
    if ($("steps").value !== "" || $("steps").dataset.own !== undefined) return;
    event.preventDefault();
    say("Planning the step …");
    void guarded(async () => { await plan(); $("controls").requestSubmit($("start")); });
  });
  $("stop").addEventListener("click", () => { run.stopping = true; say("Stopping after this step …"); });
  $("again").addEventListener("click", () => { forget(); void train(); });
  $("save").addEventListener("click", () => void guarded(save));
  $("steps").addEventListener("input", () => { $("steps").dataset.own = "true"; });
  $("folder").addEventListener("change", (event) => {
    // Until it is read there is nothing to train on: the next run would be on generated pictures, and not say so.
    run.reading = true;
    buttons(key());
    void guarded(() => take([...event.target.files], plan)).finally(() => { run.reading = false; buttons(key()); ended(); });
  });
  $("generated").addEventListener("click", () => { dropFolder(); forget(); say("Ready, on generated pictures."); buttons(key()); });

  async function start(plan) {
    run.busy = true;
    run.stopping = false;
    run.begun = false;
    window.jepac.done = false;
    buttons(key());
    try {
      if (run.planned?.key !== key()) say("Planning the step …");
      const planned = await plan();
      if (run.planned?.key !== planned.key) {
        forget();
        await adopt(planned);
      }
      run.begun = true;
      buttons(key());
      await loop();
    } finally {
      run.busy = false;
    }
  }

  return {
    train,
    /** Whether a run is under way, or a folder is being read for one. */
    get busy() { return run.busy || run.reading; },
    /** Looks at the buttons again, since the text may be another. */
    refresh: () => buttons(key()),
    /** Leaves the run and the folder: another program was chosen. */
    leave() {
      dropFolder();
      forget();
      run.planned = undefined;
      run.begun = false;
      // What was said is of the former one; before there is a device, it is of the search for one.
      if ($("t-device").dataset.ready !== undefined) say("Ready.");
      $("results").hidden = true;
      delete $("steps").dataset.own;
      buttons(key());
    },
    /** A plan of the text as it is has come: how many steps it asks for. */
    offer({ manifest }, wanted) {
      if ($("steps").dataset.own === undefined) $("steps").value = wanted ?? resolveRecipe(manifest, countOf(manifest)).totalSteps;
    },
  };
}

/** Takes a plan for the next run; pictures of a folder are read again where it wants others. */
async function adopt(planned) {
  const { manifest, module } = planned;
  Object.assign(run, { planned, manifest, module });
  $("results").hidden = false;
  $("masks-part").hidden = manifest.masks.length === 0;
  $("features-part").hidden = encoderOf(manifest) === undefined;
  if (run.folder !== undefined && run.folder.wants !== wantsOf(manifest)) await takeFor(manifest, run.folder.files);
}

/** What is generated for a program; numbers of files are none of what a page has. */
function generated(manifest) {
  const { data } = manifest.train;
  if (data.kind === "arrays") throw failure("Arrays are not read in a page.", "Train it by `jepac train`, or write `waves(count: 4096)`: generated signals.");
  if (data.kind === "waves") return waveSource({ count: data.count, length: sideOf(manifest), channels: manifest.inputs[0]?.channels ?? 1, seed: PICTURES_SEED });
  return syntheticSource({ count: countOf(manifest), side: sideOf(manifest), seed: PICTURES_SEED, frames: manifest.inputs[0]?.frames });
}

/** Runs until the end, a stop or a collapse; goes on from the checkpoint where there is one. */
async function loop() {
  const { manifest } = run;
  const resume = run.checkpoint;
  const source = run.folder?.source ?? generated(manifest);
  const recipe = resolveRecipe(manifest, source.size, { duration: { unit: "steps", value: Math.max(1, Math.floor(Number($("steps").value)) || 1) } });
  if (resume !== undefined && resume.step >= recipe.totalSteps) throw failure(`The run has ${resume.step} steps already.`, "Give more steps, or start over.");
  const started = performance.now();
  say("Compiling kernels …");
  await openEngine(recipe.seed);
  if (resume !== undefined) await run.engine.importState(resume.state);
  say(`${resume === undefined ? `Training ${manifest.program}` : `Going on after step ${resume.step}`}. Everything was ready after ${((performance.now() - started) / 1000).toFixed(1)} s.`);
  const features = featurePictures(manifest, source);
  await look(features, resume === undefined ? "untrained" : `after step ${resume.step}`);
  const batches = plainBatches(manifest, source, recipe);
  shown.times = [[performance.now(), 0]];
  const pace = createPace(() => performance.now(), CHECKPOINT_MINUTES);
  const end = await runLoop({
    manifest, recipe, engine: run.engine, resume, stopRequested: () => run.stopping, saveDue: () => pace.due(),
    batches: { next: async (step) => { const batch = await batches.next(step); shown.batches.set(step + 1, batch); return batch; } },
    data: source.spec === undefined ? source.name : syntheticSignature(source.spec),
    sink: {
      step: (report) => afterStep(report, recipe, features),
      alarm: (alarm) => note(alarmText(alarm)),
      save: (checkpoint) => pace.writing(async () => { run.checkpoint = checkpoint; }),
      lastGood: async () => (run.checkpoint === undefined ? { text: "no checkpoint had been kept yet" } : { step: run.checkpoint.step, text: `the last good state is step ${run.checkpoint.step}` }),
    },
  });
  run.ended = end.kind;
  draw();
  await look(features, `after step ${end.step}`);
  say({ finished: `Done: ${end.step} steps.`, interrupted: `Stopped after step ${end.step}.`, collapsed: `Stopped after step ${end.step}: the features are collapsing.` }[end.kind]);
  window.jepac.done = true;
}

/** A fresh device and engine; what was there before is let go. */
async function openEngine(seed) {
  const { manifest, module } = run;
  run.engine?.dispose();
  run.engine = undefined;
  const { device, name } = await openPageDevice(module);
  run.device = device;
  run.engine = await createWebgpuEngine(manifest, module, { device, name, version: navigator.userAgent, initial: initialState(manifest, seed) });
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

/** The first pictures of a source as the encoder takes them, whole. What an encoder of clips makes of them has no grid of patches to show. */
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
  const onGrid = encoders.filter((e) => e.grid !== undefined && e.grid.frames === undefined && e.tokens === e.grid.rows * e.grid.cols);
  return onGrid.find((e) => ema.some((edge) => edge.target === e.name)) ?? onGrid[0];
}

async function take(files, plan) {
  const { manifest } = await plan();
  await takeFor(manifest, files);
  forget();
  say(`Ready, on ${run.folder.source.name}.`);
}

/** Reads the pictures of a folder as a program wants them. */
async function takeFor(manifest, files) {
  const { data, batch } = manifest.train;
  const frames = manifest.inputs[0]?.frames;
  const beside = manifest.numbers?.[0];
  // What is refused is not what the next run is on.
  if (frames !== undefined || beside !== undefined) dropFolder();
  if (frames !== undefined) throw failure(`This program takes clips of ${frames} frames, and a page reads folders of pictures only.`, `Train it here on generated clips, or on films with: npx jepac train … --data <folder>`);
  if (beside !== undefined) throw failure(`This program takes ${beside.kind}s (${beside.name}), and a page reads none from a folder.`, "Train it here on generated pictures, or with: npx jepac train … --data <folder>");
  try {
    const source = await folderPictures(files, { side: sideOf(manifest), least: batch, onSmall: data.onSmall ?? "scale" }, say);
    run.folder = { files, source, wants: wantsOf(manifest) };
  } catch (error) {
    // What is refused is not what the next run is on.
    dropFolder();
    throw error;
  }
}

/** What of a program decides how pictures are read. */
function wantsOf(manifest) {
  return [sideOf(manifest), manifest.train.batch, manifest.train.data.onSmall].join();
}

function dropFolder() {
  run.folder = undefined;
  $("folder").value = "";
}

/** A checkpoint as a file: what `jepac train --resume` goes on from, and what any reader of safetensors loads. */
async function save() {
  const { manifest, planned } = run;
  const name = `${manifest.program}-step${run.checkpoint.step}.safetensors`;
  download(name, encodeCheckpoint(run.checkpoint, manifest.parameters));
  say(`Saved step ${run.checkpoint.step} as ${name}. Put the file into runs/${manifest.program} as checkpoint.safetensors, then go on there: npx jepac train ${planned.command} --target wgsl --resume${planned.shipped ? "" : " (with the text as it is here: Download, above)"}`);
}

/** Hands a file to the user. */
export function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
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
}

/** Whether there is WebGPU is known by the device's name. */
function buttons(key) {
  const kept = run.checkpoint !== undefined;
  const same = run.planned?.key === key;
  const held = run.busy || run.reading;
  $("start").textContent = run.reading ? "Reading the folder …" : kept && same && run.ended !== "collapsed" ? "Go on" : "Train";
  $("start").disabled = held || $("t-device").dataset.ready === undefined;
  $("again").hidden = held || !kept || !same;
  $("stop").disabled = !run.busy;
  $("save").disabled = run.busy || !kept;
  $("generated").hidden = run.folder === undefined;
  for (const id of ["steps", "folder", "generated", "example", "choose", "program"]) $(id).disabled = held;
  $("other-text").hidden = !run.begun || same;
  $("other-text").textContent = run.busy ? "The text was changed since this run began: the run is of the text as it was." : "The text was changed since this run began: what is shown here is of the text as it was. Train begins anew, with the text as it is.";
}

function countOf(manifest) {
  return run.folder?.source.size ?? manifest.train.data.count ?? 1024;
}

function sideOf(manifest) {
  return Math.max(...manifest.inputs.map((input) => Math.max(input.height, input.width)));
}

/** A device that is lost may fail in many ways a moment before it says that it is gone. */
async function explainLoss(error) {
  const lost = error?.code === "device-lost" ? await Promise.race([run.device?.lost, new Promise((go) => setTimeout(go, 1000))]) : undefined;
  if (lost === undefined) return undefined;
  return {
    what: `The device was lost: ${lost.message || lost.reason}`, said: "The device was lost.",
    way: run.checkpoint === undefined ? "Train again: a new device is opened." : `Go on from step ${run.checkpoint.step}: a new device is opened.`,
  };
}
