/**
 * The paper's ablations as variants: every row of the tables, each compiled and trained for a little; and the command that
 * runs them, stops, and goes on.
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { sweepRows } from "../../compiler/cli/sweep-rows.js";
import { openSource } from "../../compiler/cli/source.js";
import { jepac, root } from "../compiler/cli/support.js";
import { compileRepo } from "./compiled.js";
import { temporaryFolder } from "./runs.js";

vi.setConfig({ testTimeout: 600_000 });

const folder = join(root, "examples/ablations");
const files = readdirSync(folder).filter((f) => f.endsWith(".jepa")).sort();

/** The paper's tables: 1 % linear probe, by table. */
const tables: Readonly<Record<string, readonly number[]>> = {
  "masking.jepa": [54.2, 15.5, 20.2, 17.6],
  "target-space.jepa": [66.9, 40.7],
  "target-scale.jepa": [19.2, 39.2, 42.4, 54.2, 38.9, 33.6],
  "context-scale.jepa": [31.2, 47.1, 49.3, 54.2],
  "target-count.jepa": [9.0, 22.0, 48.5, 54.2],
  "target-masking.jepa": [67.3, 56.1],
  "predictor-depth.jepa": [64.0, 66.9],
  "predictor-width.jepa": [70.7, 68.4],
};

test("every row of tables 6 to 12 and 14 is a variant, with the paper's number beside it", () => {
  expect(files).toEqual(Object.keys(tables).sort());
  for (const file of files) {
    const rows = sweepRows([openSource(join(folder, file), { cwd: root })], {});
    expect(rows.map((r) => r.paper), file).toEqual(tables[file]);
    for (const row of rows) expect(row.doc, row.name).toMatch(/^Table (6|7|8|9|10|11|12|14), /);
  }
});

test("what the rows change is what the tables say", () => {
  const masks = (file: string, program: string): unknown => compileRepo(`examples/ablations/${file}`, { program }).manifest.masks;
  expect(masks("masking.jepa", "rasterized")).toMatchObject([{ kind: "rasterized", count: 3 }, { kind: "all", minus: ["targets"] }]);
  expect(masks("masking.jepa", "block")).toMatchObject([{ kind: "block", count: 1, scale: [0.6, 0.6] }, { kind: "all", minus: ["targets"] }]);
  expect(masks("masking.jepa", "random")).toMatchObject([{ kind: "random", count: 1, ratio: [0.6, 0.6] }, { kind: "all", minus: ["targets"] }]);
  expect(masks("target-scale.jepa", "targets_200_300")).toMatchObject([{ count: 4, scale: [0.2, 0.3] }, { scale: [0.85, 1] }]);
  expect(masks("context-scale.jepa", "context_40")).toMatchObject([{ scale: [0.15, 0.2] }, { scale: [0.4, 1], minus: ["targets"] }]);
  expect(masks("target-count.jepa", "targets_1")).toMatchObject([{ count: 1 }, {}]);
  const pixels = compileRepo("examples/ablations/target-space.jepa", { program: "pixel_target" });
  expect(pixels.manifest.losses).toMatchObject([{ kind: "mse" }]);
  const blocks = (program: string): number => compileRepo("examples/ablations/predictor-depth.jepa", { program }).manifest.parameters.filter((p) => /^predict\.blocks\.\d+\.norm1\.weight$/.test(p.name)).length;
  expect([blocks("depth_6"), blocks("depth_12")]).toEqual([6, 12]);
  const width = (program: string): unknown => compileRepo("examples/ablations/predictor-width.jepa", { program }).manifest.parameters.find((p) => p.name === "predict.mask_token")?.shape;
  expect([width("width_384"), width("width_1024")]).toEqual([[1, 1, 36], [1, 1, 96]]);
  // At the input the teacher runs on the picked patches: its tokens are gathered before its blocks, not after.
  const text = (program: string): string => compileRepo("examples/ablations/target-masking.jepa", { program }).files.find((f) => f.path === "model.mjs")?.text ?? "";
  expect(text("masked_input")).toContain("vit_at_targets");
  expect(text("masked_output")).not.toContain("vit_at_targets");
});

test("every row trains: one sweep over all files, two steps each", async () => {
  const out = join(temporaryFolder(), "sweep");
  const ran = await jepac(["sweep", ...files.map((f) => join("examples/ablations", f)), "--steps", "2", "--batch", "8", "--no-probe", "--workers", "0", "--engine", "wasm", "--quiet", "-o", out]);
  expect(ran.code, ran.err).toBe(0);
  const csv = readFileSync(join(out, "results.csv"), "utf8").trim().split("\n");
  expect(csv.length).toBe(1 + Object.values(tables).flat().length);
  const losses = csv.slice(1).map((line) => {
    const cells = line.split(",");
    expect(cells.slice(7, 9), line).toEqual(["2", "done"]);
    return Number(cells[6]);
  });
  expect(losses.every((x) => Number.isFinite(x) && x > 0)).toBe(true);
  // Six rows are the reference itself, and two steps cannot tell all the others apart; most of them differ.
  expect(new Set(losses).size).toBeGreaterThan(10);
});

const small = `use std.vit

/// The one that all others change.
model base {
  param width = 16
  input image: Image[16, 16, 3]
  mask targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus targets
  encoder student = vit(4, width, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)
  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = predict(z_context, at: targets)
  loss smooth_l1(z_hat, z_target)
}

train base {
  data           shapes(count: 64)
  steps          4
  batch          16
  learning_rate  1e-3
  checkpoint_every 3 steps
}

probe base { linear(on: teacher) }

/// With | one "target", that is. Paper: 12.5
variant single of base {
  mask targets = block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
}

sweep sizes of base { width in [8, 16] }
`;

const options = ["--engine", "wasm", "--workers", "0", "--quiet"];

test("a sweep writes a table and a plot with the paper's numbers, and does not run again what has ended", async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "small.jepa"), small.replace("linear(on: teacher)", "linear(on: teacher); attentive(on: teacher, epochs: 1)"));
  const words = ["sweep", "small.jepa", "-o", join(cwd, "out"), ...options];
  const listed = await jepac([...words, "--list"], { cwd });
  expect(listed.out.split("\n").map((l) => l.split(" ")[0])).toEqual(["sizes.width=8", "sizes.width=16", "single", ""]);
  const first = await jepac([...words, "--only", "single,sizes.width=8"], { cwd });
  expect(first.code, first.err).toBe(0);
  expect(first.out).toContain("2 of 2 rows done");
  const times = statSync(join(cwd, "out/single/checkpoint.safetensors")).mtimeMs;
  const all = await jepac(words, { cwd });
  expect(all.code, all.err).toBe(0);
  expect(all.err).toContain("2 rows had ended before");
  expect(all.err).not.toContain("single: ");
  expect(statSync(join(cwd, "out/single/checkpoint.safetensors")).mtimeMs).toBe(times);
  const csv = readFileSync(join(cwd, "out/results.csv"), "utf8").split("\n");
  expect(csv[0]).toBe("row,paper,linear,untrained,nearest,attentive,rank,loss,steps,state,what");
  expect(csv[3]).toMatch(/^single,12\.5,\d+\.\d,\d+\.\d,\d+\.\d,\d+\.\d,\d+\.\d,[\d.]+,4,done,"With \| one ""target"", that is\."$/);
  const probe: { encoders: { factors: Record<"linear" | "attentive", { trained: number }>[] }[] } = JSON.parse(readFileSync(join(cwd, "out/single/probe.json"), "utf8"));
  const factors = probe.encoders[0]?.factors ?? [];
  const mean = (100 * factors.reduce((s, f) => s + f.linear.trained, 0)) / factors.length;
  expect(Number(csv[3]?.split(",")[2])).toBeCloseTo(mean, 1);
  expect(Number(csv[3]?.split(",")[5])).toBeCloseTo((100 * factors.reduce((s, f) => s + f.attentive.trained, 0)) / factors.length, 1);
  const markdown = readFileSync(join(cwd, "out/results.md"), "utf8");
  expect(markdown).toContain("| single | 12.5 |");
  expect(markdown).toContain("With \\| one");
  const svg = readFileSync(join(cwd, "out/results.svg"), "utf8");
  expect(svg).toContain('viewBox="0 0 760 ');
  expect(svg.match(/<rect x="210"/g)?.length).toBe(4 + 1);
  expect(svg).toContain("With | one &quot;target&quot;");
});

test("a row that was cut off goes on to the very state of one that was not", async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "small.jepa"), small);
  const words = (out: string, ...more: string[]): string[] => ["sweep", "small.jepa", "--only", "single", "-o", join(cwd, out), "--no-probe", ...options, ...more];
  expect((await jepac(words("whole"), { cwd })).code).toBe(0);
  expect((await jepac(words("cut"), { cwd })).code).toBe(0);
  const row = join(cwd, "cut/single/row.json");
  const held: { hash: string; words: string[]; code?: number } = JSON.parse(readFileSync(row, "utf8"));
  expect(held.code).toBe(0);
  // As a crash leaves it: step 3 is the latest checkpoint, and nothing says that the run has ended.
  const latest = join(cwd, "cut/single/checkpoint.safetensors");
  const previous = readFileSync(join(cwd, "cut/single/checkpoint.previous.safetensors"));
  expect(previous).not.toEqual(readFileSync(latest));
  writeFileSync(latest, previous);
  writeFileSync(row, JSON.stringify({ hash: held.hash, words: held.words }));
  // What somebody changed in the row's program is not compiled over.
  const module = join(cwd, "cut/single/compiled/model.mjs");
  const compiled = readFileSync(module, "utf8");
  writeFileSync(module, `// mine\n${compiled}`);
  const refused = await jepac(words("cut"), { cwd });
  expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/error: model\.mjs of \S*cut\/single\/compiled is not as compiled, and would be compiled again\nhelp: .*remove that file first/)]);
  expect(readFileSync(module, "utf8")).toContain("// mine");
  rmSync(module);
  const again = await jepac(words("cut"), { cwd });
  expect(again.code, again.err).toBe(0);
  expect(again.err).toContain("single: going on");
  expect(readFileSync(join(cwd, "cut/single/checkpoint.safetensors"))).toEqual(readFileSync(join(cwd, "whole/single/checkpoint.safetensors")));
  // Cut off before the first checkpoint: rows of metrics and nothing to go on from.
  for (const name of readdirSync(join(cwd, "cut/single"))) if (name.startsWith("checkpoint.")) rmSync(join(cwd, "cut/single", name));
  writeFileSync(row, JSON.stringify({ hash: held.hash, words: held.words }));
  const anew = await jepac(words("cut"), { cwd });
  expect(anew.code, anew.err).toBe(0);
  expect(readFileSync(join(cwd, "cut/single/checkpoint.safetensors"))).toEqual(readFileSync(join(cwd, "whole/single/checkpoint.safetensors")));
});

test("rows side by side, as processes, give the same bits as one after another", async () => {
  if (!existsSync(join(root, "dist/runtime/node.js"))) {
    console.warn("NOT TESTED: jepac sweep --jobs 2, which needs the built package: npm run build");
    return;
  }
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "small.jepa"), small);
  const words = (out: string, jobs: string): string[] => ["sweep", "small.jepa", "-o", join(cwd, out), "--jobs", jobs, "--no-probe", ...options];
  for (const [out, jobs] of [["one", "1"], ["two", "2"]] as const) {
    const ran = await jepac(words(out, jobs), { cwd });
    expect(ran.code, ran.err).toBe(0);
  }
  for (const row of ["single", "sizes.width=8", "sizes.width=16"]) expect(readFileSync(join(cwd, "two", row, "checkpoint.safetensors")), row).toEqual(readFileSync(join(cwd, "one", row, "checkpoint.safetensors")));
});

test("a sweep that is told to end tells its runs: each leaves a checkpoint, and the same command goes on", async () => {
  if (!existsSync(join(root, "dist/runtime/node.js"))) {
    console.warn("NOT TESTED: a signal to jepac sweep --jobs 2, which needs the built package: npm run build");
    return;
  }
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "small.jepa"), small);
  const words = ["sweep", "small.jepa", "--only", "sizes.width=8,sizes.width=16", "-o", "out", "--jobs", "2", "--no-probe", "--engine", "wasm", "--workers", "0", "--steps", "100000"];
  const child = spawn(process.execPath, [join(root, "dist/compiler/cli/bin.js"), ...words], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (data: Buffer) => { said += data.toString(); });
  const rows = ["sizes.width=8", "sizes.width=16"].map((row) => join(cwd, "out", row));
  const begun = (): boolean => rows.every((row) => existsSync(join(row, "metrics.jsonl")) && readFileSync(join(row, "metrics.jsonl"), "utf8").split("\n").length > 3);
  while (!begun() && child.exitCode === null) await new Promise((done) => setTimeout(done, 50));
  const ended = new Promise((done) => child.on("close", done));
  // To it alone, as `kill` does.
  child.kill("SIGTERM");
  expect(await ended, said).toBe(130);
  expect(said).toContain("stopped; the same command goes on from here");
  for (const row of rows) {
    expect(existsSync(join(row, "checkpoint.safetensors")), row).toBe(true);
    expect(readFileSync(join(row, "log.txt"), "utf8")).toContain("stopping after this step");
  }
}, 120_000);

test("mistakes are told before anything runs", async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "small.jepa"), small);
  writeFileSync(join(cwd, "wrong.jepa"), small.replace("normalize(teacher(image))", "normalize(teachr(image))"));
  const run = (...words: string[]): ReturnType<typeof jepac> => jepac(["sweep", ...words, "-o", join(cwd, "out"), ...options], { cwd });
  const wrong = await run("small.jepa", "wrong.jepa");
  expect(wrong.code).toBe(1);
  expect(wrong.err).toContain("teachr");
  expect(existsSync(join(cwd, "out"))).toBe(false);
  const named = await run("small.jepa", "--only", "singel");
  expect(named.err).toMatch(/no row of the sweep is called singel[\s\S]*did you mean single/);
  expect((await run("small.jepa", "--jobs", "none")).err).toContain("--jobs takes a whole number");
  expect((await run("nowhere.jepa")).code).toBe(2);
  expect((await run("small.jepa", "--only", "single", "--no-probe")).code).toBe(0);
  const other = await run("small.jepa", "--only", "single", "--no-probe", "--steps", "7");
  expect(other.code).toBe(2);
  expect(other.err).toMatch(/was run with other options \(--no-probe\)/);
  writeFileSync(join(cwd, "small.jepa"), small.replace("learning_rate  1e-3", "learning_rate  2e-3"));
  expect((await run("small.jepa", "--only", "single", "--no-probe")).err).toMatch(/from another text of the program/);
});
