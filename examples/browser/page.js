/**
 * The page: a program is written, checked at every key, planned when it is sound, and trained.
 *
 * Owns what is open and how the parts hang together: the text (editor.js), the compiler in its workers (compiler.js), what it says
 * (findings.js), training (train.js). `?program=name` opens a program of the server's, a fragment one of a link (sources.js);
 * `?auto&steps=20` trains it at once. `window.jepac` holds what tests read.
 */
import { limitsOf } from "./runtime/backends/webgpu/request.js";
import { pageAdapter } from "./runtime/backends/webgpu/page.js";
import { keyOf, openCompiler } from "./compiler.js";
import { openCompleting } from "./completing.js";
import { openEditor } from "./editor.js";
import { isAt, markHere, showAbout, showFindings, showNumbers, showProof, showVerdict, verdictOf } from "./findings.js";
import { $, failure, guarded, say } from "./page-parts.js";
import { decode } from "./compiler/base/text.js";
import { declared, fragmentOf, keep, kept, programOfFragment, shipped } from "./sources.js";
import { download, openTraining } from "./train.js";

/** Milliseconds without a key after which a plan is made, and the address takes the text in. */
const REST = 500;

const wanted = new URLSearchParams(location.search);
/**
 * What is open. `overview` is the compiler's latest, `planned` the plan that is shown, `unplanned` why there is none and of which text,
 * `addressed` the key of what the address holds.
 */
const open = { file: "", program: undefined, overview: undefined, planned: undefined, unplanned: undefined, addressed: undefined, asked: 0, resting: undefined, drawing: undefined };

const sources = await shipped().catch((error) => error);
// Its worker loads while the browser looks for a device.
const compiler = sources instanceof Error ? undefined : openCompiler(sources.files, {
  overview: showOverview, drawing: showDrawing,
  failed: (message) => void guarded(() => { throw new Error(message); }),
});
const gpu = await pageAdapter().catch((error) => error);
const slow = !(gpu instanceof Error) && (gpu.adapter.info.isFallbackAdapter === true || /swiftshader|llvmpipe|software/i.test(gpu.name));
const editor = openEditor($("editor"), { changed, moved });
const completing = openCompleting(editor, (caret) => compiler?.complete(now(), caret));
const training = openTraining({ plan, key: () => keyOf(now()), ended: () => void planAhead() });

$("example").addEventListener("change", () => void guarded(() => choose({ file: $("example").value, text: sources.files.get($("example").value) })));
$("choose").addEventListener("click", () => $("chosen").click());
$("chosen").addEventListener("change", () => void guarded(chooseFile));
$("program").addEventListener("change", () => { open.program = $("program").value; training.leave(); changed(); });
$("format").addEventListener("click", () => void guarded(formatText));
$("link").addEventListener("click", () => void guarded(copyLink));
$("keep").addEventListener("click", () => download(open.file.split("/").at(-1) || "program.jepa", editor.text));
$("text").addEventListener("keydown", keys);
// What was written last is not yet in the address.
addEventListener("pagehide", () => { if (open.file !== "" && open.addressed !== keyOf(now())) keep(now()); });
addEventListener("pageshow", (event) => { if (event.persisted) kept(); });
addEventListener("hashchange", () => void guarded(fromAddress));
void guarded(begin);

async function begin() {
  if (sources instanceof Error) throw sources;
  const groups = new Map();
  for (const file of sources.programs) groups.set(folderOf(sources.typed(file)), [...(groups.get(folderOf(sources.typed(file))) ?? []), file]);
  for (const [folder, files] of groups) {
    const group = Object.assign(document.createElement("optgroup"), { label: folder || "here" });
    group.append(...files.map((file) => new Option(file.split("/").at(-1).replace(/\.jepa$/, ""), file)));
    $("example").append(group);
  }
  let damaged;
  const unsaved = kept();
  if (unsaved !== undefined) take(unsaved);
  else if (!(await fromAddress().catch((error) => { damaged = error; return false; }))) {
    const asked = wanted.get("program");
    const named = sources.programs.find((f) => declared(sources.files.get(f)).includes(asked));
    const file = named ?? sources.first ?? (slow ? "examples/browser/ijepa-page.jepa" : "examples/ijepa-small.jepa");
    take({ file, text: sources.files.get(file), program: named === undefined ? undefined : asked });
  }
  if (gpu instanceof Error) throw damaged ?? gpu;
  $("t-device").textContent = $("t-device").title = gpu.name;
  $("t-device").dataset.ready = "";
  say(slow ? "Ready. This browser computes WebGPU in software, so training will be slow." : "Ready.");
  training.refresh();
  if (damaged !== undefined) throw damaged;
  if (wanted.has("auto")) await training.train();
}

/** Opens the program of the address, where it holds one other than the one that is open. */
async function fromAddress() {
  const linked = await programOfFragment(location.hash);
  if (linked === undefined) return false;
  if (training.busy) throw failure("A run is under way, so the program of the address is not opened.", "Stop it, then load the page again");
  if (keyOf(linked) !== keyOf(now())) take(linked);
  return true;
}

/** Opens a program. */
function take({ file, text, program }) {
  Object.assign(open, { file, program, overview: undefined, planned: undefined });
  // None of the list is chosen where it is none of them.
  $("example").value = file;
  editor.open(text);
  showAbout($("about"), undefined);
  training.leave();
  changed();
}

function now() {
  return { file: open.file, text: editor.text, ...(open.program === undefined ? {} : { program: open.program }) };
}

/** The text, or the choice of a program in it, has changed. */
function changed() {
  compiler?.check(now());
  completing.changed();
  training.refresh();
  clearTimeout(open.resting);
  open.resting = setTimeout(() => void rest(), REST);
}

/** The hands rest: what was found is read aloud to who listens, the address takes the text in, the step is planned. */
async function rest() {
  open.resting = undefined;
  speak();
  await address();
  await planAhead();
}

/** The address holds the text, unless it is the server's own. */
async function address() {
  const { file, text, program } = now();
  const fragment = sources.files?.get(file) === text && program === undefined ? "" : await fragmentOf({ file, text, program });
  if (keyOf(now()) !== keyOf({ file, text, program })) return;
  open.addressed = keyOf(now());
  if (location.hash !== fragment) history.replaceState(null, "", `${location.pathname}${location.search}${fragment}`);
}

/** Another program in the place of this one. The browser's way back leads to what was written before. */
async function choose(program) {
  await address();
  if (location.hash !== "") history.pushState(null, "", `${location.pathname}${location.search}`);
  take(program);
}

/** A file of the user's; what it uses by relative paths are the server's files. */
async function chooseFile() {
  const [file] = $("chosen").files;
  try {
    const text = file === undefined ? undefined : decode(new Uint8Array(await file.arrayBuffer()));
    if (typeof text === "object") throw failure(`${file.name} cannot be read: ${text.why}`, text.help);
    if (text !== undefined) await choose({ file: file.name, text: text.replaceAll(/\r\n?/g, "\n") });
  } finally {
    $("chosen").value = "";
  }
}

function speak() {
  if (open.overview === undefined) return;
  const { word, said } = verdictOf(open.overview);
  if ($("spoken").textContent !== `${word}. ${said}`) $("spoken").textContent = `${word}. ${said}`;
}

/** Plans what the compiler finds no mistake in, so that Train need not wait and memory is known. */
async function planAhead() {
  const { overview } = open;
  if (overview === undefined || overview.key !== keyOf(now()) || overview.program?.ok !== true || training.busy) return;
  const key = keyOf(now());
  try {
    showPlan(await planShown());
  } catch (error) {
    // One that another text has overtaken is asked for no more.
    if (error.overtaken === true || key !== keyOf(now())) return;
    open.unplanned = { key, said: `The step could not be planned. ${error.message}` };
    showSizes();
  }
}

function showSizes() {
  const key = keyOf(now());
  showNumbers($("numbers"), open.overview?.program, open.planned?.key === key ? open.planned : undefined, open.unplanned?.key === key ? open.unplanned.said : undefined);
}

/** The compiler's plan of the program that is shown, which is another than the one that was chosen where the text no longer declares that. */
async function planShown() {
  const asked = now();
  const { key, programs, program } = open.overview ?? {};
  const gone = asked.program !== undefined && key === keyOf(asked) && programs.every((p) => p.name !== asked.program);
  return { ...await compiler.plan(gone ? { ...asked, program: program?.name } : asked, device()), key: keyOf(asked) };
}

function showPlan(planned) {
  if (planned.key !== keyOf(now())) return;
  open.planned = planned.ok ? planned : undefined;
  open.unplanned = undefined;
  if (planned.ok) training.offer(planned, wanted.get("steps") ?? undefined);
  // What does not fit the device is found only now.
  if (!planned.ok && open.overview?.key === planned.key && open.overview.program?.ok === true) showOverview({ ...open.overview, program: { ...open.overview.program, ok: false }, findings: planned.findings }, open.overview.ms);
  else showSizes();
}

/** The plan of the text as it is. Throws, with the way out, where the compiler refuses it. */
async function plan() {
  if (compiler === undefined) throw sources;
  const planned = await planShown();
  showPlan(planned);
  if (!planned.ok) {
    const first = planned.findings.find((f) => f.severity === "error");
    throw failure(`The compiler refuses this program${first === undefined || first.file !== undefined ? "" : `, first in line ${first.line}`}: ${first?.message ?? "it declares nothing to train"}`, first?.help ?? "Mend what is said beside the text");
  }
  const command = `${sources.typed(open.file)}${open.overview !== undefined && open.overview.programs.length > 1 ? ` --program ${planned.manifest.program}` : ""}`;
  return { ...planned, command, shipped: sources.files.get(open.file) === editor.text };
}

function showOverview(overview, ms) {
  const { program, programs, findings, waiting } = overview;
  open.overview = window.jepac.overview = { ...overview, key: keyOf(now()), ms };
  showVerdict($("verdict"), overview, ms);
  $("waiting").textContent = waiting === undefined ? "" : `Note: ${waiting}.`;
  $("waiting").hidden = waiting === undefined;
  showFindings($("findings"), findings, { go, mend });
  showProof($("proof"), program, { go });
  showSizes();
  editor.mark(findings);
  editor.field.ariaInvalid = String(findings.some((f) => f.severity === "error"));
  markHere($("findings"), findings, editor.caret);
  $("graph-old").hidden = $("graph").hidden || program?.standing !== "broken";
  const names = programs.map((p) => p.name);
  if (names.join() !== [...$("program").options].map((o) => o.value).join()) $("program").replaceChildren(...names.map((n) => new Option(n, n)));
  if (program !== undefined) $("program").value = program.name;
  $("program-label").hidden = names.length < 2;
  if (open.resting === undefined) {
    speak();
    void planAhead();
  }
  document.title = program === undefined ? "jepac in a page" : `${program.name} · jepac`;
}

function showDrawing(svg) {
  if (svg === open.drawing) return;
  open.drawing = svg;
  const before = $("graph").src;
  $("graph").src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  $("graph").alt = `model graph of ${open.overview?.program?.name ?? "the program"}`;
  $("graph").hidden = false;
  // Wider than a narrow page: its middle is seen first.
  void $("graph").decode().then(() => { const box = $("graph").parentElement; box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2; }, () => undefined);
  $("graph-none").hidden = true;
  if (before !== "") URL.revokeObjectURL(before);
}

/** Goes to a place of the text. */
function go(start, end) {
  editor.select(start, end);
}

/** Applies a fix, which then can be undone like what was typed. */
function mend({ edits }) {
  let text = editor.text;
  for (const { start, end, text: put } of edits.toSorted((a, b) => b.start - a.start || b.end - a.end)) text = text.slice(0, start) + put + text.slice(end);
  editor.become(text);
}

async function formatText() {
  const { file, text } = now();
  const formatted = await compiler.format({ file, text });
  if (formatted.refused) throw failure("A text with mistakes of grammar is not formatted.", "Mend what is said beside the text");
  if (editor.text === text) editor.become(formatted.text);
}

async function copyLink() {
  const link = new URL(await fragmentOf(now()), location.href).href;
  history.replaceState(null, "", link);
  await navigator.clipboard.writeText(link).catch(() => { throw failure("The browser does not let the page copy.", "The address of the page is the link"); });
  flash($("link"), "Copied");
}

/** A button says for a moment that it has been of use. */
function flash(button, word) {
  const usual = (button.dataset.usual ??= button.textContent);
  button.textContent = word;
  setTimeout(() => { button.textContent = usual; }, 1500);
}

/** The caret has moved: which findings are here, and what is known of the name. */
async function moved(caret) {
  markHere($("findings"), open.overview?.findings ?? [], caret);
  const asked = ++open.asked;
  await new Promise((wait) => setTimeout(wait, 150));
  if (asked !== open.asked || compiler === undefined) return;
  const text = await compiler.about(now(), caret).catch(() => undefined);
  if (asked === open.asked) showAbout($("about"), text);
}

function keys(event) {
  if (event.defaultPrevented) return;
  const findings = (open.overview?.findings ?? []).filter((f) => f.file === undefined);
  if (event.key === "F8" && findings.length > 0) {
    event.preventDefault();
    const next = event.shiftKey ? findings.findLast((f) => f.end < editor.caret) ?? findings.at(-1) : findings.find((f) => f.start > editor.caret) ?? findings[0];
    go(next.start, next.end);
  } else if (event.key === "." && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const fix = findings.filter((f) => isAt(f, editor.caret)).flatMap((f) => f.fixes).find((f) => f.file === undefined);
    if (fix !== undefined) mend(fix);
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $("start").click();
  }
}

/** What plans are for: `here` is this browser's device where it has one. */
function device() {
  if (sources.device !== "here") return sources.device;
  return gpu instanceof Error ? "portable" : { ...limitsOf(gpu.adapter), software: slow };
}

function folderOf(file) {
  return file.split("/").slice(0, -1).join("/");
}
