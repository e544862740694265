/**
 * Runs of the wgsl target by the command line alone: long ones and ones in parts from the files that were written, with a
 * batch of the command line; runs that go on keep target, precision and batch, change them when told to, and lose nothing when
 * they are refused; folders that were damaged are told by the file.
 *
 * What goes on from files alone, what has another environment and compiled trainers are processes; the rest runs in one that stays.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { host } from "./host.js";
import { jepac, root, small, temporary } from "./support.js";

vi.setConfig({ testTimeout: 300_000 });

const bin = join(root, "dist/compiler/cli/bin.js");
const hasDevice = ((): boolean => {
  const told = spawnSync(process.execPath, ["-e", `import(${JSON.stringify(join(root, "dist/runtime/backends/webgpu/device.js"))}).then((d) => d.nodeLimits()).then(() => process.exit(0), (e) => { console.error(e.message); process.exit(3); })`], { cwd: root, encoding: "utf8" });
  if (told.status === 3) console.warn(`NOT TESTED: runs of the wgsl target by the command line: ${told.stderr.trim()}`);
  else if (told.status !== 0) console.warn("NOT TESTED: runs of the wgsl target by the command line, which need the built package: npm run build");
  return told.status === 0;
})();

/** Runs the command as a process. */
function run(cwd: string, ...words: readonly string[]): { readonly code: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
  return { code: status, out: stdout, err: stderr };
}

const hosted = host();
const quick = ["--no-probe", "--no-report", "--workers", "0"];
const losses = (folder: string): number[] => readFileSync(join(folder, "metrics.jsonl"), "utf8").trimEnd().split("\n").map((line) => Number(JSON.parse(line).loss));
const field = (folder: string, name: string): unknown => JSON.parse(readFileSync(join(folder, "compiled/manifest.json"), "utf8"))[name];

test("a run of many steps that nobody waits for, in a batch of the command line, and one in parts", async () => {
  if (!hasDevice) return;
  const cwd = temporary({ "package.json": "{}", "small.jepa": small, "parts.jepa": `use "./small.jepa"\nvariant parts of tiny {\n  train {\n    batch 8\n    accumulate 4\n  }\n}\n` });
  // Features are looked at every 10 of so many steps, so that more are under way than losses come back together.
  const long = run(cwd, bin, "train", "small.jepa", "--target", "wgsl", "--batch", "8", "--steps", "760", "--out", "long", ...quick);
  expect(long.code, long.err).toBe(0);
  expect(losses(join(cwd, "long")).length).toBe(760);
  const refused = await hosted(cwd, ["train", "small.jepa", "--target", "wgsl", "--batch", "24.5", "--out", "half"]);
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("--batch")]);
  const parts = ["parts.jepa", "--program", "parts", "--steps", "5", ...quick];
  expect((await hosted(cwd, ["train", ...parts, "--target", "wgsl", "--out", "parts"])).err).toContain("5/5");
  expect((await hosted(cwd, ["train", ...parts, "--engine", "wasm", "--out", "tfjs"])).code).toBe(0);
  losses(join(cwd, "tfjs")).forEach((loss, i) => expect(Math.abs((losses(join(cwd, "parts"))[i] ?? NaN) / loss - 1)).toBeLessThan(1e-3));
});

test("a run that goes on keeps target, precision and batch; told otherwise it changes them; refused it keeps its program", async () => {
  if (!hasDevice) return;
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const words = ["train", "small.jepa", "--out", "a", ...quick];
  const train = (...more: readonly string[]): ReturnType<typeof hosted> => hosted(cwd, [...words, ...more]);
  const first = await train("--target", "wgsl", "--precision", "f16", "--batch", "24", "--steps", "3");
  expect(first.code, first.err).toBe(0);
  const on = run(cwd, bin, ...words, "--resume", "--steps", "5");
  expect(on.code, on.err).toBe(0);
  expect(on.err).toContain("engine: webgpu");
  expect(losses(join(cwd, "a")).length).toBe(5);
  expect([field(join(cwd, "a"), "target"), field(join(cwd, "a"), "precision")]).toEqual(["wgsl", "f16"]);

  const wide = await train("--resume", "--precision", "f32", "--steps", "6");
  expect(wide.code, wide.err).toBe(0);
  expect(field(join(cwd, "a"), "precision") ?? "f32").toBe("f32");

  const held = readFileSync(join(cwd, "a/compiled/plan.json"));
  const other = await train("--program", "wider", "--resume", "--steps", "7");
  expect(other.code).toBe(2);
  expect(other.err).toContain("the run in a belongs to the program tiny, not to wider");
  writeFileSync(join(cwd, "small.jepa"), `${small}\n// changed\n`);
  expect((await train("--resume", "--steps", "7")).err).toContain("the run in a was made from another version of small.jepa");
  expect(readFileSync(join(cwd, "a/compiled/plan.json")).equals(held)).toBe(true);
  expect((await hosted(cwd, ["probe", "a"])).code).toBe(0);
  writeFileSync(join(cwd, "small.jepa"), small);

  const changed = await train("--resume", "--target", "tfjs", "--engine", "wasm", "--steps", "7");
  expect(changed.code, changed.err).toBe(0);
  expect(changed.err).toContain("the run began on webgpu");
  expect(losses(join(cwd, "a")).length).toBe(7);
  // What the loss was scaled by has no meaning there, and kernels of the other target do not stay.
  expect(readdirSync(join(cwd, "a/compiled")).filter((f) => f.endsWith(".wgsl") || f === "plan.json")).toEqual([]);
});

test("without a device a run says so before it compiles, and mistakes of the program come before that", () => {
  if (!hasDevice) return;
  if (process.platform !== "linux") {
    console.warn("NOT TESTED: a run on a machine without a driver: only Vulkan's loader can be told to find none");
    return;
  }
  const cwd = temporary({ "package.json": "{}", "small.jepa": small, "wrong.jepa": small.replace("depth: 1", "dept: 1") });
  const train = (file: string, ...words: readonly string[]): ReturnType<typeof run> => run(cwd, bin, "train", file, "--target", "wgsl", "--out", "a", ...quick, ...words);
  const before = [process.env["VK_DRIVER_FILES"], process.env["VK_ICD_FILENAMES"]];
  try {
    process.env["VK_DRIVER_FILES"] = process.env["VK_ICD_FILENAMES"] = "/nonexistent/icd.json";
    // A copy of SwiftShader in the checkout would still be found.
    for (const words of [[], ["--device", "portable"], ["--device", "software", "--precision", "f16"]]) {
      const none = train("small.jepa", ...words);
      if (none.code === 0) return;
      expect([none.code, none.err]).toEqual([2, expect.stringContaining("error: WebGPU finds no adapter")]);
      expect(none.err).not.toContain("synthetic pictures");
      expect(none.err).not.toContain("linked");
      expect(existsSync(join(cwd, "a"))).toBe(false);
    }
    const wrong = train("wrong.jepa");
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("dept")]);
    expect(wrong.err).not.toContain("no adapter");
  } finally {
    for (const [i, name] of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].entries()) {
      const value = before[i];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});

test("a compiled folder that was damaged is told by the file, with the way out, by train.mjs and by itself", async () => {
  if (!hasDevice) return;
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const compiled = async (): Promise<void> => {
    rmSync(join(cwd, "out"), { recursive: true, force: true });
    const made = await hosted(cwd, ["compile", "small.jepa", "--target", "wgsl", "--batch", "6"]);
    expect(made.code, made.err).toBe(0);
    expect(made.out).toContain("at batch 6");
  };
  const told = (): string => {
    const ran = run(cwd, join(cwd, "out/train.mjs"), "--steps", "1", ...quick);
    expect(ran.code, ran.err).toBe(2);
    expect(ran.err).not.toContain("    at ");
    return ran.err;
  };
  await compiled();
  const help = run(cwd, join(cwd, "out/train.mjs"), "--help");
  expect([help.code, help.out, help.err]).toEqual([0, expect.stringContaining("--steps"), ""]);
  const kernel = readdirSync(join(cwd, "out")).find((f) => f.endsWith(".wgsl")) ?? "";
  rmSync(join(cwd, "out", kernel));
  const again = "help: compile the program again: npx jepac compile small.jepa --program tiny --target wgsl -o out (with the --set, --batch and --device that it had)\n";
  expect(told()).toBe(`error: out lacks ${kernel}\n${again}`);
  rmSync(join(cwd, "out/plan.json"));
  rmSync(join(cwd, "out/model.mjs"));
  expect(told()).toMatch(/^error: out lacks (?=.*model\.mjs)(?=.*plan\.json).*\n/);
  await compiled();
  const plan = readFileSync(join(cwd, "out/plan.json"), "utf8");
  for (const [text, words] of [[plan.slice(0, 5000), "cannot load out/model.mjs: plan.json: "], ["{}", "this plan has format undefined"], ["null", "plan.json is no object"], [plan.replace('"held"', '"hold"'), "plan.json has no `held`"], [plan.replace(/"bounds": \{[^}]*\}/, '"bounds": {"B":"x"}'), "plan.json has no bound for B"]] as const) {
    writeFileSync(join(cwd, "out/plan.json"), text);
    expect(told()).toContain(words);
  }
  await compiled();
  writeFileSync(join(cwd, "out/manifest.json"), "{");
  expect(told()).toContain("cannot read out/manifest.json");
  rmSync(join(cwd, "out/manifest.json"));
  expect(told()).toMatch(/^error: out has no manifest\.json, so it is no compiled program\nhelp: .*npx jepac compile <program>\.jepa -o out\n$/);
});

test("kernels that are not those of the plan are run and told by name, and no run that goes on compiles over them", async () => {
  if (!hasDevice) return;
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  const first = await hosted(cwd, ["train", "small.jepa", "--target", "wgsl", "--steps", "2", "--out", "a", ...quick]);
  expect(first.code, first.err).toBe(0);
  const trainer = [join(cwd, "a/compiled/train.mjs"), "--out", "a", "--resume", "--steps", "3", ...quick];
  const kernel = join(cwd, "a/compiled/adamw.wgsl");
  const compiled = readFileSync(kernel, "utf8");
  const mine = `// mine\n${compiled}`;
  writeFileSync(kernel, mine);
  const told = run(cwd, ...trainer);
  expect([told.code, told.err]).toEqual([0, expect.stringContaining("warning: adamw.wgsl of a/compiled is not as it was compiled: what runs is not what small.jepa says\n")]);
  expect((await hosted(cwd, ["probe", "a"])).err).toContain("warning: adamw.wgsl of a/compiled is not as it was compiled");
  const refused = await hosted(cwd, ["train", "small.jepa", "--out", "a", "--resume", "--steps", "4", ...quick]);
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("error: adamw.wgsl of a/compiled is not as compiled, and would be compiled again\nhelp: go on with what is there: node a/compiled/train.mjs --out a --resume; or give the changes up: remove that file first\n")]);
  expect(readFileSync(kernel, "utf8")).toBe(mine);
  rmSync(kernel);
  const anew = await hosted(cwd, ["train", "small.jepa", "--out", "a", "--resume", "--steps", "4", ...quick]);
  expect([anew.code, anew.err]).toEqual([0, expect.not.stringContaining("warning:")]);
  expect(readFileSync(kernel, "utf8")).toBe(compiled);
});

test("options that only plans have a use for are refused where there is none, and --profile takes its number with a blank", async () => {
  const cwd = temporary({ "package.json": "{}", "small.jepa": small });
  for (const option of [["--device", "large"], ["--memory", "3"]]) {
    for (const command of ["compile", "train"]) {
      const ran = await jepac([command, "small.jepa", ...option], { cwd });
      expect([ran.code, ran.err]).toEqual([2, expect.stringContaining(`${option[0]} is for plans of the wgsl target, and this compiles to tfjs\nhelp: add --target wgsl, or leave ${option[0]} away`)]);
    }
  }
  for (const option of [["--tune"], ["--tiles", "default"]]) expect((await jepac(["train", "small.jepa", ...option], { cwd })).err).toContain(`${option[0]} is for plans of the wgsl target`);
  expect(existsSync(join(cwd, "out"))).toBe(false);
  expect((await jepac(["train", "small.jepa", "--profile", "2"], { cwd })).err).not.toContain("does not take `2`");
  expect((await jepac(["compile", "small.jepa", "--batch", "none"], { cwd })).err).toContain("--batch takes a whole number of at least 1, not none");
});
