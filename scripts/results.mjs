// Trains the small variant of every system on the embedded data with a fixed seed, probes it, and writes the table of
// docs/results.md (between its markers; the rest of the page stays).
//   npm run build && npm run results                     all systems, into runs/results/<name>
//   npm run results -- --only byol,mae                   these, the others' rows from their last runs
//   npm run results -- --table                           no training: the table from the runs that are there
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const systems = ["ijepa", "simsiam", "byol", "vicreg", "barlow-twins", "simclr", "dino", "mae", "data2vec", "lejepa"];
const seed = 0;
const root = new URL("../", import.meta.url);
const page = new URL("docs/results.md", root);
const folderOf = (name) => new URL(`runs/results/${name}/`, root);

const words = process.argv.slice(2);
const only = words.includes("--only") ? (words[words.indexOf("--only") + 1] ?? "").split(",") : systems;
const unknown = only.filter((name) => !systems.includes(name));
if (unknown.length > 0) throw new Error(`no such system: ${unknown.join(", ")}; there are ${systems.join(", ")}`);

if (!words.includes("--table")) for (const name of systems.filter((s) => only.includes(s))) train(name);
writePage(systems.map(rowOf));

function train(name) {
  // An earlier run of this script: the same command would only refuse to write over it.
  rmSync(folderOf(name), { recursive: true, force: true });
  mkdirSync(folderOf(name), { recursive: true });
  const args = ["dist/compiler/cli/bin.js", "train", `examples/${name}-small.jepa`, "--out", folderOf(name).pathname, "--seed", String(seed), "--no-report"];
  const start = Date.now();
  const done = spawnSync(process.execPath, args, { cwd: root.pathname, stdio: ["ignore", "inherit", "inherit"] });
  // 3: stopped because a monitor saw a collapse; that is a result too.
  if (done.status !== 0 && done.status !== 3) throw new Error(`${name} ended with ${done.status ?? done.signal}`);
  writeFileSync(new URL("wall.json", folderOf(name)), JSON.stringify({ seconds: Math.round((Date.now() - start) / 1000) }));
}

function json(name, file) {
  const path = new URL(file, folderOf(name));
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

function rowOf(name) {
  const probe = json(name, "probe.json");
  const metrics = new URL("metrics.jsonl", folderOf(name));
  if (probe === undefined || !existsSync(metrics)) return { name };
  const steps = readFileSync(metrics, "utf8").trim().split("\n").map((line) => JSON.parse(line)).filter((row) => typeof row.loss === "number");
  const mean = (rows) => rows.reduce((sum, row) => sum + row.loss, 0) / rows.length;
  const few = Math.max(1, Math.floor(steps.length / 20));
  return { name, probe, steps: steps.length, first: mean(steps.slice(0, few)), last: mean(steps.slice(-few)), wall: json(name, "wall.json")?.seconds };
}

function percent(share) {
  return (100 * share).toFixed(1);
}

function lines(row) {
  if (row.probe === undefined) return [`| ${row.name} | not run | | | | | |`];
  return row.probe.encoders.flatMap((encoder) => {
    const scores = (kind) => encoder.factors.map((f) => `${f.factor} ${percent(f[kind].untrained)} → ${percent(f[kind].trained)}`).join("<br>");
    const { rank } = encoder;
    return [`| ${row.name} (${encoder.encoder}) | ${row.steps} | ${row.first.toFixed(3)} → ${row.last.toFixed(3)} | ${rank.untrained.toFixed(1)} → ${rank.trained.toFixed(1)} of ${encoder.width} | ${scores("linear")} | ${scores("nearest")} | ${row.wall ?? ""} |`];
  });
}

function writePage(rows) {
  const probe = rows.find((row) => row.probe !== undefined)?.probe;
  const chance = probe?.encoders[0]?.factors.map((f) => `${f.factor} ${percent(f.chance)}`).join(", ") ?? "unknown";
  const table = [
    "<!-- systems: written by scripts/results.mjs -->",
    "",
    `One run each, seed ${seed}, on generated pictures of 32x32 (\`examples/<system>-small.jepa\`): ${probe?.trainImages ?? "?"} pictures to train on, ${probe?.testImages ?? "?"} others`,
    `to test on. Every figure is "untrained encoder → trained encoder", accuracies in percent; guessing the commonest class gets ${chance}.`,
    "Losses of different systems are not comparable; each is the mean over the first and the last twentieth of its steps.",
    "",
    "| system (probed encoder) | steps | loss | effective rank | linear probe | 20 nearest neighbors | seconds |",
    "| --- | ---: | --- | --- | --- | --- | ---: |",
    ...rows.flatMap(lines),
    "",
    "<!-- end of systems -->",
  ].join("\n");
  const old = existsSync(page) ? readFileSync(page, "utf8") : "# Results\n\nWhat was measured, by which command.\n\n## The systems, small\n\nMade by `npm run results`.\n\n<!-- systems: --><!-- end of systems -->\n";
  const between = /<!-- systems:[\s\S]*<!-- end of systems -->/;
  writeFileSync(page, between.test(old) ? old.replace(between, () => table) : `${old.trimEnd()}\n\n## The systems, small\n\nMade by \`npm run results\`.\n\n${table}\n`);
}
