// Trains the small variant of every system on the embedded data, probes it, and writes the table of docs/results.md
// (between its markers; the rest of the page stays).
//   npm run build && npm run results                     what is not there yet; a run that was stopped goes on
//   npm run results -- --only byol,mae                   these only; the others keep their rows
//   npm run results -- --all                             everything anew
//   npm run results -- --seed 1                          another seed, in runs and rows of its own
//   npm run results -- --table                           no training: the table from the runs that are there
// A run is done when its folder in runs/results/ says so for the program as it is compiled now. A row whose run is not here
// keeps its text, so a fresh clone replaces only what it trains.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { compile } from "../dist/compiler/index.js";

const systems = ["ijepa", "simsiam", "byol", "vicreg", "barlow-twins", "simclr", "dino", "mae", "data2vec", "lejepa", "moco", "vjepa"];
const root = new URL("../", import.meta.url);
const page = new URL("docs/results.md", root);
const between = /<!-- systems:[\s\S]*<!-- end of systems -->/;
const read = (path) => (existsSync(new URL(path, root)) ? readFileSync(new URL(path, root), "utf8") : undefined);

const words = process.argv.slice(2);
const after = (word, otherwise) => (words.includes(word) ? words[words.indexOf(word) + 1] ?? otherwise : otherwise);
const only = after("--only", systems.join(",")).split(",");
const seed = Number(after("--seed", "0"));
const unknown = only.filter((name) => !systems.includes(name));
if (unknown.length > 0) throw new Error(`no such system: ${unknown.join(", ")}; there are ${systems.join(", ")}`);

const exampleOf = (name) => `examples/${name}-small.jepa`;
const folderOf = (name) => new URL(`runs/results/${name}-seed${seed}/`, root);
const commandOf = (name) => `jepac train ${exampleOf(name)} --seed ${seed}`;

if (!words.includes("--table")) for (const name of systems.filter((s) => only.includes(s))) train(name);
writePage();

/** The program's texts, the library's among them, in eight digits: a row tells by it which text it is of. */
function textOf(name) {
  const { manifest, diagnostics } = compile({ file: exampleOf(name), text: read(exampleOf(name)), read });
  if (manifest === undefined) throw new Error(`${exampleOf(name)} does not compile: ${diagnostics[0]?.message}`);
  return manifest.source.hash.slice(0, 8);
}

function train(name) {
  const text = textOf(name);
  const state = json(name, "state.json");
  if (words.includes("--all") || state?.text !== text) rmSync(folderOf(name), { recursive: true, force: true });
  else if (state.done) return console.log(`${name}, seed ${seed}: done`);
  mkdirSync(folderOf(name), { recursive: true });
  const resume = existsSync(new URL("checkpoint.safetensors", folderOf(name))) ? ["--resume"] : [];
  const keep = (more) => writeFileSync(new URL("state.json", folderOf(name)), JSON.stringify({ text, ...more }));
  keep({ done: false });
  const args = ["dist/compiler/cli/bin.js", "train", exampleOf(name), "--out", folderOf(name).pathname, "--seed", String(seed), "--no-report", ...resume];
  const start = Date.now();
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root.pathname, stdio: ["ignore", "inherit", "inherit"] });
  // 3: stopped because a monitor saw a collapse; that is a result too.
  if (status !== 0 && status !== 3) throw new Error(`${name} ended with ${status ?? signal}; the same command goes on with it`);
  // Of a run in pieces nobody knows how long it would have taken in one.
  keep({ done: true, ...(resume.length > 0 ? {} : { seconds: Math.round((Date.now() - start) / 1000) }) });
  writePage();
}

function json(name, file) {
  const path = new URL(file, folderOf(name));
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

/** The rows of a system, one for each encoder that is probed; undefined when its run is not here or not done. */
function rowsOf(name) {
  const state = json(name, "state.json");
  const probe = json(name, "probe.json");
  if (state?.done !== true || probe === undefined) return undefined;
  const steps = readFileSync(new URL("metrics.jsonl", folderOf(name)), "utf8").trim().split("\n").map((line) => JSON.parse(line)).filter((row) => typeof row.loss === "number");
  const mean = (rows) => rows.reduce((sum, row) => sum + row.loss, 0) / rows.length;
  const few = Math.max(1, Math.floor(steps.length / 20));
  const percent = (share) => (100 * share).toFixed(1);
  return probe.encoders.map(({ encoder, factors, rank, width }) => {
    const scores = (kind) => factors.map((f) => `${f.factor} ${percent(f[kind].untrained)} → ${percent(f[kind].trained)}`).join("<br>");
    const loss = `${mean(steps.slice(0, few)).toFixed(3)} → ${mean(steps.slice(-few)).toFixed(3)}`;
    const ranks = `${rank.untrained.toFixed(1)} → ${rank.trained.toFixed(1)} of ${width}`;
    return `| ${name} (${encoder}) | ${seed} | ${steps.at(-1).step} | ${loss} | ${ranks} | ${scores("linear")} | ${scores("nearest")} | ${state.seconds ?? ""} | \`${commandOf(name)}\`, ${state.text} |`;
  });
}

function writePage() {
  const old = readFileSync(page, "utf8");
  const inPage = (between.exec(old)?.[0] ?? "").split("\n").filter((line) => /^\| [a-z0-9-]+ \(/.test(line));
  const isOf = (name, of) => (line) => line.startsWith(`| ${name} (`) && (of === undefined || line.split("|")[2].trim() === String(of));
  const rows = systems.flatMap((name) => {
    const fresh = rowsOf(name);
    const kept = inPage.filter(isOf(name)).filter((line) => fresh === undefined || !isOf(name, seed)(line));
    return [...kept, ...(fresh ?? [])].sort();
  });
  const table = [
    "<!-- systems: written by scripts/results.mjs -->",
    "",
    "On generated pictures of 32x32, those of ijepa and vjepa of 64x64 (`examples/<system>-small.jepa`): 4096 pictures to train on, 1024 others",
    'to test on. Every figure is "untrained encoder → trained encoder", accuracies in percent; guessing the commonest class gets shape 13.6, texture 19.0, color 14.4, cell 13.0.',
    "The pictures of vjepa are clips of 8 frames, 2048 to train on and 512 others to test on; guessing gets shape 14.8, texture 18.6, color 13.7, direction 18.0.",
    "Losses of different systems are not comparable; each is the mean over the first and the last twentieth of its steps. Beside the command stands the hash of",
    "the program's texts, which the manifest of a run carries; seconds are missing where a run was made in pieces.",
    "",
    "| system (probed encoder) | seed | steps | loss | effective rank | linear probe | 20 nearest neighbors | seconds | command, texts |",
    "| --- | ---: | ---: | --- | --- | --- | --- | ---: | --- |",
    ...rows,
    "",
    "<!-- end of systems -->",
  ].join("\n");
  writeFileSync(page, between.test(old) ? old.replace(between, () => table) : `${old.trimEnd()}\n\n## The systems, small\n\nMade by \`npm run results\`.\n\n${table}\n`);
}
