/** The other commands, and the words that are not commands. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, closeSync, existsSync, lstatSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commands } from "../../../compiler/cli/commands.js";
import { parseGraph } from "../../../compiler/model/parse.js";
import { parseModule } from "../../../compiler/tensor/parse.js";
import { version } from "../../../compiler/version.js";
import { jepac, root, small, temporary } from "./support.js";

test("no command at all shows the help: exit 2; asked for, it is no mistake", async () => {
  const none = await jepac([]);
  expect(none.code).toBe(2);
  expect(none.err).toContain("jepac check <files..>");
  const help = await jepac(["--help"]);
  expect(help.code).toBe(0);
  for (const command of commands) expect(help.out).toContain(`jepac ${command.name}`);
});

test("every command has help with an example", async () => {
  for (const command of commands) {
    const ran = await jepac([command.name, "--help"]);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("Examples:");
    for (const option of Object.keys((await command.load()).options)) expect(ran.out).toContain(`--${option}`);
  }
});

test("the version is the package's", async () => {
  expect((await jepac(["--version"])).out).toBe(`${version}\n`);
});

test.each([
  [["chek", "x.jepa"], "there is no command `chek`", "did you mean `jepac check`?"],
  [["check", "x.jepa", "--formt", "json"], "`jepac check` has no option --formt", "did you mean --format?"],
  [["train", "x.jepa", "--sed", "3"], "`jepac train` has no option --sed", "did you mean --seed?"],
  [["graph", "x.jepa", "--format", "png"], "Invalid values", "--help"],
  [["graph"], "a word is missing", "jepac graph <file>"],
  [["graph", "a.jepa", "b.jepa"], "does not take `b.jepa`", "jepac graph <file>"],
  [["compile", "x.jepa", "--out"], "Not enough arguments following: out", "--help"],
  [["compile", "a.jepa", "-o", "x", "-o", "y"], "", ""],
  [["explain", "JEP9999"], "there is no diagnostic", ""],
  [["graph", "nowhere.jepa"], "cannot read nowhere.jepa: there is no such file", ""],
  [["probe", "nowhere"], "there is no nowhere", "runs/"],
  [["train", "specs/ijepa.jepa", "--steps", "many"], "--steps takes a whole number from 1, not many", ""],
  [["fmt"], "name the files to format", "--stdin"],
])("%j is refused with the way out: exit 2", async (words, message, help) => {
  const ran = await jepac(words);
  expect(ran.code).toBe(2);
  expect(ran.out).toBe("");
  expect(ran.err).toContain(message);
  expect(ran.err).toContain(help);
  expect(ran.err).not.toContain("    at ");
});

test("compile writes a folder with code, manifest, trainer and graph, and a link to the runtime", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const ran = await jepac(["compile", "small.jepa", "-o", "out"], { cwd });
  expect(ran.err).toBe("");
  expect(ran.code).toBe(0);
  expect(readdirSync(join(cwd, "out"))).toEqual(expect.arrayContaining(["graph.svg", "manifest.json", "model.mjs", "node_modules", "train.mjs"]));
  expect(readdirSync(join(cwd, "out")).filter((name) => name.startsWith("."))).toEqual([]);
  expect(lstatSync(join(cwd, "out/node_modules/jepac")).isSymbolicLink()).toBe(true);
  expect(ran.out).toContain("linked out/node_modules/jepac");
  expect(ran.out).toContain("run it with: node out/train.mjs");
  const manifest: { program: string; source: { file: string } } = JSON.parse(readFileSync(join(cwd, "out/manifest.json"), "utf8"));
  const module = createHash("sha256").update(readFileSync(join(cwd, "out/model.mjs"))).digest("hex");
  expect(manifest).toMatchObject({ program: "tiny", source: { file: "small.jepa" }, files: { "model.mjs": module } });
});

test("compile chooses a variant and sets numbers", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  await jepac(["compile", "small.jepa", "--program", "wider", "--set", "predict.depth=2"], { cwd });
  const manifest: { program: string; parameters: { name: string; shape: number[] }[] } = JSON.parse(readFileSync(join(cwd, "out/manifest.json"), "utf8"));
  expect(manifest.program).toBe("wider");
  expect(manifest.parameters.find((p) => p.name === "student.patch_embed.proj.weight")?.shape).toEqual([48, 32]);
  expect(manifest.parameters.some((p) => p.name.startsWith("predict.blocks.1."))).toBe(true);
});

test("a program with mistakes is not compiled, and what was there stays: exit 1", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  await jepac(["compile", "small.jepa"], { cwd });
  const before = readFileSync(join(cwd, "out/model.mjs"), "utf8");
  writeFileSync(join(cwd, "small.jepa"), small.replace("stopgrad", "stopgrd"));
  const ran = await jepac(["compile", "small.jepa"], { cwd });
  expect(ran.code).toBe(1);
  expect(ran.err).toContain("Did you mean `stopgrad`?");
  expect(readFileSync(join(cwd, "out/model.mjs"), "utf8")).toBe(before);
});

test("a folder that holds something else is not written into: exit 2", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small, "src/important.txt": "mine" });
  const ran = await jepac(["compile", "small.jepa", "-o", "src"], { cwd });
  expect(ran.code).toBe(2);
  expect(ran.err).toContain("src holds something else than a compiled program (important.txt)");
  expect(readdirSync(join(cwd, "src"))).toEqual(["important.txt"]);
  expect((await jepac(["compile", "small.jepa", "-o", "."], { cwd })).code).toBe(2);
  expect((await jepac(["compile", "small.jepa", "-o", "small.jepa"], { cwd })).code).toBe(2);
});

test("a write that fails leaves the old folder as it was, and nothing beside it: exit 2", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  await jepac(["compile", "small.jepa"], { cwd });
  const before = readFileSync(join(cwd, "out/manifest.json"), "utf8");
  // The stage is a folder of this name; a file in its place makes the write fail, whoever runs the test.
  writeFileSync(join(cwd, `out/.jepac-${process.pid}`), "in the way");
  chmodSync(join(cwd, `out/.jepac-${process.pid}`), 0o400);
  const ran = await jepac(["compile", "small.jepa", "--set", "width=32"], { cwd });
  expect(ran.code).toBe(2);
  expect(ran.err).toContain("cannot write into out");
  expect(readFileSync(join(cwd, "out/manifest.json"), "utf8")).toBe(before);
});

test("graph speaks five languages, and text reads back", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const form = async (format: string): Promise<string> => (await jepac(["graph", "small.jepa", "--format", format], { cwd })).out;
  expect(parseGraph(await form("text")).name).toBe("tiny");
  expect(JSON.parse(await form("json"))).toMatchObject({ name: "tiny" });
  expect(await form("dot")).toMatch(/^digraph/m);
  expect(await form("mermaid")).toMatch(/^flowchart/m);
  expect(await form("svg")).toMatch(/<svg[^]*<\/svg>\s*$/);
  const ran = await jepac(["graph", "small.jepa", "--format", "svg", "-o", "a/b.svg"], { cwd });
  expect(ran).toMatchObject({ code: 0, out: "" });
  expect(existsSync(join(cwd, "a/b.svg"))).toBe(true);
  // The file's name says the form; what contradicts it is refused, and nothing is written.
  expect(await jepac(["graph", "small.jepa", "-o", "c.svg"], { cwd })).toMatchObject({ code: 0 });
  expect(readFileSync(join(cwd, "c.svg"), "utf8")).toBe(readFileSync(join(cwd, "a/b.svg"), "utf8"));
  const against = await jepac(["graph", "small.jepa", "-o", "d.svg", "--format", "json"], { cwd });
  expect(against).toMatchObject({ code: 2, out: "" });
  expect(against.err).toContain("-o d.svg names a file of svg, and --format says json");
  expect(existsSync(join(cwd, "d.svg"))).toBe(false);
});

test("help stands before a command as well as behind it; check's proof is in its JSON; list's table is JSON too", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  expect(await jepac(["help", "check"])).toEqual(await jepac(["check", "--help"]));
  expect(await jepac(["help"])).toEqual(await jepac(["--help"]));
  const proofs = JSON.parse((await jepac(["check", "small.jepa", "--why", "--format", "json"], { cwd })).out).programs.map((p: { proof: string }) => p.proof).join("\n");
  const why = (await jepac(["check", "small.jepa", "--why"], { cwd })).out;
  expect(why.slice(why.indexOf("\n") + 2)).toBe(proofs);
  const listed = JSON.parse((await jepac(["list", "small.jepa", "--format", "json"], { cwd })).out);
  expect(listed).toMatchObject({ file: "small.jepa", programs: [{ program: "tiny", errors: 0, losses: ["smooth_l1"], masks: ["targets", "context"], params: { width: 16 } }, { program: "wider", params: { width: 32 } }] });
  const table = (await jepac(["list", "small.jepa"], { cwd })).out;
  for (const { parameters, trained } of listed.programs) for (const n of [parameters, trained]) expect(table).toContain(n.toLocaleString("en"));
});

test("standard output on a full device: one line, exit 2", () => {
  if (!existsSync("/dev/full") || !existsSync(join(root, "dist/compiler/cli/bin.js"))) {
    console.warn("NOT TESTED: a full device, which needs /dev/full and the built package");
    return;
  }
  const full = openSync("/dev/full", "w");
  const ran = spawnSync(process.execPath, [join(root, "dist/compiler/cli/bin.js"), "graph", "specs/ijepa.jepa"], { cwd: root, encoding: "utf8", stdio: ["ignore", full, "pipe"] });
  closeSync(full);
  expect([ran.status, ran.stderr]).toEqual([2, "error: standard output cannot be written: no room left on the device\n"]);
});

test("fmt formats in place, checks, reads standard input, and leaves what has errors", async () => {
  const odd = small.replace("loss smooth_l1(z_hat, z_target)", "loss   smooth_l1( z_hat,z_target )");
  const cwd = temporary({ "package.json": "{}", "odd.jepa": odd, "bad.jepa": "model {\n" });
  expect(await jepac(["fmt", "--check", "odd.jepa"], { cwd })).toEqual({ code: 1, out: "would format odd.jepa\n", err: "" });
  expect(readFileSync(join(cwd, "odd.jepa"), "utf8")).toBe(odd);
  expect(await jepac(["fmt", "--stdin"], { cwd, input: odd })).toEqual({ code: 0, out: small, err: "" });
  expect(await jepac(["fmt", "odd.jepa"], { cwd })).toEqual({ code: 0, out: "formatted odd.jepa\n", err: "" });
  expect(readFileSync(join(cwd, "odd.jepa"), "utf8")).toBe(small);
  expect(await jepac(["fmt", "odd.jepa", "--check"], { cwd })).toEqual({ code: 0, out: "", err: "" });
  const bad = await jepac(["fmt", "bad.jepa"], { cwd });
  expect(bad.code).toBe(1);
  expect(bad.err).toContain("error[JEP1");
  expect(readFileSync(join(cwd, "bad.jepa"), "utf8")).toBe("model {\n");
});

test("list shows programs with exact counts, broken ones too", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": `${small}\nvariant odd of tiny { z_hat = predct(z_context, at: targets) }\n` });
  const ran = await jepac(["list", "small.jepa"], { cwd });
  expect(ran.code).toBe(0);
  const rows = ran.out.split("\n");
  expect(rows.find((r) => r.startsWith("tiny "))).toMatch(/tiny +[\d,]+ +[\d,]+ .* smooth_l1 +targets context/);
  expect(rows.find((r) => r.startsWith("odd "))).toContain("1 error");
  expect(ran.out).toContain("wider: width = 32");
  // One block of width 16: norms, qkv, proj and the MLP, by hand; patches 48 -> 16; a last norm.
  const block = 2 * 32 + (16 * 48 + 48) + (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16);
  const predictor = (16 * 8 + 8) + (2 * 16 + (8 * 24 + 24) + (8 * 8 + 8) + (8 * 32 + 32) + (32 * 8 + 8)) + 16 + (8 * 16 + 16) + 8;
  expect(ran.out).toContain(` ${(48 * 16 + 16 + block + 32 + predictor).toLocaleString("en")} `);

  const two = await jepac(["list", "small.jepa", join(root, "specs/byol.jepa")], { cwd });
  expect(two.code).toBe(0);
  expect(two.out.startsWith(`small.jepa\n${ran.out}`)).toBe(true);
  expect(two.out.slice(ran.out.length)).toMatch(/specs\/byol\.jepa\nprogram[^]*\nbyol /);
  const gone = await jepac(["list", "small.jepa", "gone.jepa"], { cwd });
  expect([gone.code, gone.out]).toEqual([2, ""]);
});

test("explain shows a page by code, by number and by name", async () => {
  for (const word of ["JEP3013", "jep3013", "3013", "spaces/mismatch"]) {
    const ran = await jepac(["explain", word]);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("error[JEP3013] spaces/mismatch");
    expect(ran.out).toContain("learned map");
  }
  expect((await jepac(["explain", "JEP301"])).err).toContain("did you mean");
  const group = await jepac(["explain", "leaks"]);
  expect(group.out).toMatch(/^JEP5015 {2}error {4}leaks\/answer-in-input: .*\n(JEP\d+ {2}\w+ +leaks\/.*\n)+$/);
  expect((await jepac(["explain", "nonsense"])).err).toMatch(/listed by its name: .*collapse.*training/);
});

test("dev lists stages, prints any of them, stops where it is told, and its texts read back", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const list = await jepac(["dev", "small.jepa", "--list", "--time"], { cwd });
  expect(list.code).toBe(0);
  for (const stage of ["model", "lower", "differentiate", "model.mjs"]) expect(list.out).toMatch(new RegExp(`^${stage} `, "m"));
  expect(parseGraph((await jepac(["dev", "small.jepa", "--dump", "model"], { cwd })).out).name).toBe("tiny");
  expect(parseModule((await jepac(["dev", "small.jepa", "--dump", "differentiate"], { cwd })).out).funcs.size).toBeGreaterThan(3);
  const all = await jepac(["dev", "small.jepa", "--dump", "all", "--stop-after", "differentiate", "-o", "dump"], { cwd });
  expect(all.code).toBe(0);
  const files = readdirSync(join(cwd, "dump"));
  expect(files.at(-1)).toMatch(/differentiate\.tensor$/);
  for (const file of files.filter((f) => f.endsWith(".tensor"))) expect(() => parseModule(readFileSync(join(cwd, "dump", file), "utf8"))).not.toThrow();
  expect((await jepac(["dev", "small.jepa", "--dump", "diferentiate"], { cwd })).err).toContain("did you mean `differentiate`?");
});

test("doctor speaks of every engine, and finds at least wasm", async () => {
  const ran = await jepac(["doctor", "--format", "json"]);
  const reports: { engine: string; available: boolean; remedy?: string }[] = JSON.parse(ran.out);
  expect(reports.map((r) => r.engine)).toEqual(["tfjs-node-gpu", "tfjs-node", "wasm", "webgpu-node", "chromium"]);
  expect(reports.find((r) => r.engine === "wasm")?.available).toBe(true);
  expect(reports.filter((r) => !r.available).every((r) => (r.remedy ?? "") !== "")).toBe(true);
  expect(ran.code).toBe(0);
});

test("the published configuration compiles, and its counts are those of the published models", async () => {
  const cwd = temporary();
  const ran = await jepac(["compile", "specs/ijepa.jepa", "-o", join(cwd, "out")]);
  expect(ran.code).toBe(0);
  const manifest: { parameters: { name: string; shape: number[]; group: string; role: string }[] } = JSON.parse(readFileSync(join(cwd, "out/manifest.json"), "utf8"));
  const count = (group: string): number => manifest.parameters.filter((p) => p.group === group && p.role !== "fixed").reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
  expect(count("student")).toBe(630_434_560);
  expect(count("teacher")).toBe(630_434_560);
  expect(count("predict")).toBe(22_279_424);
});

test("diff within a file holds a variant against its base, wherever that is declared", async () => {
  const name = /model (\w+)/.exec(small)?.[1] ?? "";
  const cwd = temporary({ "package.json": "{}", "base.jepa": small, "rows.jepa": `use "./base.jepa"\n\nvariant one of ${name} { param width = 32 }\nvariant two of ${name} { param width = 24 }\nvariant three of two { param width = 40 }\n` });
  const heading = async (...words: string[]): Promise<string | undefined> => (await jepac(["diff", "rows.jepa", ...words], { cwd })).out.split("\n")[0];
  expect(await heading()).toBe(`${name} -> one`);
  expect(await heading("--program", "two")).toBe(`${name} -> two`);
  expect(await heading("--program", "three")).toBe("two -> three");
  expect(await heading("--program", "three", "--base", "one")).toBe("one -> three");
});

test("diff tells recipes and probes apart, setting by setting", async () => {
  const other = small.replace("steps          4", "epochs         3").replace("learning_rate  1e-3", "learning_rate  cosine(1e-4 -> 2e-3 -> 0, warmup: 1 epochs)\n  optimizer      sgd(momentum: 0.5)\n  seed           7").replace("linear(on: teacher)", "knn(on: teacher, k: 5)");
  const cwd = temporary({ "package.json": "{}", "a.jepa": small, "b.jepa": other });
  const ran = await jepac(["diff", "a.jepa", "b.jepa"], { cwd });
  expect(ran.code).toBe(1);
  const [recipe = ""] = /^ {2}train\n(?: {4}.*\n)*/m.exec(ran.out) ?? [];
  const told = recipe.split("\n").slice(1, -1).map((line) => line.trim());
  expect(told.sort()).toEqual([
    "+ epochs: 3", "+ learning_rate: cosine(0.0001 -> 0.002 -> 0, warmup: 1 epochs)", "+ optimizer: sgd(momentum: 0.5)", "+ seed: 7",
    "- learning_rate: 0.001", "- optimizer: adamw(beta1: 0.9, beta2: 0.999, eps: 1e-8)", "- seed: 0", "- steps: 4",
  ]);
  expect(ran.out).toContain("  probe\n    - linear of teacher: pool: mean\n    + knn of teacher: k: 5, pool: mean\n");
  expect(await jepac(["diff", "a.jepa", "a.jepa"], { cwd })).toMatchObject({ code: 0 });
});

test("diff shows the mistakes of a program in the place of a difference: exit 1", async () => {
  const cwd = temporary({ "package.json": "{}", "a.jepa": small, "broken.jepa": small.replace("block(scale", "blok(scale") });
  for (const words of [["a.jepa", "broken.jepa"], ["broken.jepa", "a.jepa"], ["a.jepa", "broken.jepa", "--format", "json"]]) {
    const ran = await jepac(["diff", ...words], { cwd });
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toContain("error[JEP5001]");
    expect(ran.err).toContain("--> broken.jepa:");
  }
  const collapsing = small.replace("stopgrad(normalize(teacher(image)))", "normalize(student(image))");
  expect(collapsing).not.toBe(small);
  writeFileSync(join(cwd, "collapsing.jepa"), collapsing);
  // A refusal of the analyses is a difference of verdicts, and is shown as such.
  expect(await jepac(["diff", "a.jepa", "collapsing.jepa"], { cwd })).toMatchObject({ code: 1, err: "", out: expect.stringMatching(/- program: sound\n\s+\+ program: error/) });
});

test("the command that a compiled folder is run with stands blanks and dollars in its path", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  expect((await jepac(["compile", "small.jepa", "-o", "out dir/a"], { cwd })).out).toContain("run it with: node 'out dir/a/train.mjs'");
  expect((await jepac(["compile", "small.jepa", "-o", "out/it's $HOME"], { cwd })).out).toContain(String.raw`run it with: node 'out/it'\''s $HOME/train.mjs'`);
});

test("an empty value of an option is refused, and nothing is written in its name", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  for (const words of [["compile", "small.jepa", "-o", ""], ["train", "small.jepa", "--out", ""], ["train", "small.jepa", "--data="], ["graph", "small.jepa", "-o", ""]]) {
    const { code, err } = await jepac(words, { cwd });
    expect([words.join(" "), code, err]).toEqual([words.join(" "), 2, expect.stringMatching(/^error: --(out|data) is given an empty value\nhelp: /)]);
  }
  expect(readdirSync(cwd).sort()).toEqual(["package.json", "small.jepa"]);
});

test("the words of a probe are about probing", async () => {
  const { out } = await jepac(["probe", "--help"]);
  expect(out).toContain("probe although the program's text has changed");
  expect(out).not.toMatch(/resume|train on/);
});

test("compile counts the files of a wgsl program and names the folder, in a line that can be read", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const ran = await jepac(["compile", "small.jepa", "--target", "wgsl", "-o", "out"], { cwd });
  const line = ran.out.split("\n").find((l) => l.startsWith("compiled ")) ?? "";
  const count = readdirSync(join(cwd, "out")).filter((name) => name.endsWith(".wgsl")).length;
  expect(count).toBeGreaterThan(10);
  expect(line).toBe(`compiled tiny into out: ${count} .wgsl files, plan.json, model.mjs, manifest.json, train.mjs, encoders.txt, graph.svg`);
});

test("a compiled folder that is taken to where no jepac is says what it needs", async () => {
  const cwd = temporary({ "small.jepa": small });
  expect((await jepac(["compile", "small.jepa", "-o", "out"], { cwd })).code).toBe(0);
  rmSync(join(cwd, "out", "node_modules"), { recursive: true });
  const ran = spawnSync(process.execPath, ["out/train.mjs", "--steps", "1"], { cwd, encoding: "utf8" });
  expect([ran.status, ran.stderr.split("\n")[0]]).toEqual([2, expect.stringMatching(/^error: the package jepac is not found from .*out$/)]);
  expect(ran.stderr).toContain(`help: install jepac ${version} there or in a folder above it`);
});
