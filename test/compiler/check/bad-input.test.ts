/**
 * Bad input at the door of the compiler: whatever is given, a diagnostic with a place inside a known text, never a throw,
 * in bounded time. Sound programs are cut, mangled and nested; names are the reserved words of what programs become.
 */
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { CheckResult, ProgramOptions } from "../../../compiler/compile.js";
import { check, compile } from "../../../compiler/compile.js";
import { sound } from "./marked.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const programs = ["specs", "examples"].flatMap((folder) => readdirSync(join(root, folder)).filter((f) => f.endsWith(".jepa")).map((f) => `${folder}/${f}`));
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");
const files = new Map(programs.map((path) => [path, textOf(path)]));

/** Checks, and holds what comes back to the promises that hold for every text. */
function survives(text: string, options: ProgramOptions = {}, file = "specs/x.jepa"): CheckResult {
  const result = check({ file, text, read: (path) => files.get(path) }, options);
  for (const d of result.diagnostics) {
    for (const span of [d.span, ...d.related.map((r) => r.span)]) {
      const source = result.texts.get(span.file);
      if (source === undefined || span.start < 0 || span.end < span.start || span.end > source.length) throw new Error(`${d.code} points to ${span.file}:${span.start}-${span.end}`);
    }
    if (!/undefined|NaN/.test(text)) expect(d.message).not.toMatch(/undefined|NaN/);
    expect(d.message).not.toMatch(/\[object|\{\w+\}/);
  }
  expect(result.ok).toBe(!result.diagnostics.some((d) => d.severity === "error"));
  return result;
}

/** Milliseconds of processor time that a piece of work takes: bounds must hold on a busy machine too. */
function timed(work: () => void): number {
  const start = process.cpuUsage();
  work();
  return process.cpuUsage(start).user / 1000;
}

test("the programs of the repository have no mistakes", () => {
  expect(programs.length).toBeGreaterThanOrEqual(3);
  for (const path of programs) {
    const first = survives(textOf(path), {}, path);
    for (const program of first.programs) {
      const errors = survives(textOf(path), { program }, path).diagnostics.filter((d) => d.severity === "error");
      expect(errors.map((d) => `${path} ${program}: ${d.code} ${d.message}`)).toEqual([]);
    }
  }
});

test("a program cut anywhere is checked to its end", () => {
  fc.assert(fc.property(fc.constantFrom(...programs), fc.nat(), (path, at) => {
    const text = textOf(path);
    survives(text.slice(0, at % text.length), {}, path);
  }), { numRuns: 120 });
});

test("a program with pieces deleted, doubled, swapped or replaced is checked to its end", () => {
  const piece = /\s+|[A-Za-z_]\w*|\d[\d.e_-]*|./g;
  const junk = fc.constantFrom("", "(", ")", "{", "}", "at", "->", "..", "minus", "0", "-1", "1e9", "=", "loss", "model", "\"", "image", "targets", "student", "é", "\u0000", "[", "]", ",", "std.vit", "ema(", "repeat 9");
  fc.assert(fc.property(fc.constantFrom(...programs), fc.array(fc.tuple(fc.nat(), junk, fc.constantFrom("replace", "insert", "double", "swap")), { minLength: 1, maxLength: 4 }), (path, edits) => {
    const tokens = textOf(path).match(piece) ?? [];
    for (const [n, word, how] of edits) {
      const at = n % tokens.length;
      const other = (n * 7919) % tokens.length;
      const here = tokens[at] ?? "";
      if (how === "replace") tokens[at] = word;
      else if (how === "insert") tokens.splice(at, 0, word);
      else if (how === "double") tokens.splice(at, 0, here);
      else [tokens[at], tokens[other]] = [tokens[other] ?? "", here];
    }
    survives(tokens.join(""), {}, path);
  }), { numRuns: 200 });
});

test("whole lines shuffled, dropped or doubled are checked to their end", () => {
  fc.assert(fc.property(fc.constantFrom(...programs), fc.array(fc.nat(), { minLength: 1, maxLength: 60 }), (path, order) => {
    const lines = textOf(path).split("\n");
    survives(order.map((n) => lines[n % lines.length] ?? "").join("\n"), {}, path);
  }), { numRuns: 120 });
});

test("ten megabytes of garbage end in less than ten seconds, with a diagnostic", () => {
  const unit = "model m { z = student(image at { -> \u0007 }} \"loss é ((\n";
  const text = unit.repeat(Math.ceil(10_000_000 / unit.length));
  let result: CheckResult | undefined;
  expect(timed(() => { result = survives(text); })).toBeLessThan(10_000);
  expect(result?.ok).toBe(false);
});

test("ten megabytes without a line break, and of one letter, end too", () => {
  for (const text of ["a".repeat(10_000_000), "(".repeat(10_000_000), "/*".repeat(5_000_000), "- ".repeat(5_000_000)]) {
    expect(timed(() => expect(survives(text).ok).toBe(false))).toBeLessThan(10_000);
  }
});

test.each([
  ["brackets", `  y = ${"(".repeat(5000)}z_hat${")".repeat(5000)}\n`],
  ["calls", `  y = ${"gelu(".repeat(5000)}z_hat${")".repeat(5000)}\n`],
  ["lists", `  y = ${"[".repeat(5000)}${"]".repeat(5000)}\n`],
  ["sums", `  y = z_hat${" + z_hat".repeat(20_000)}\n`],
  ["powers", `  y = 2${" ^ 2".repeat(20_000)}\n`],
  ["signs", `  y = ${"-".repeat(20_000)}1\n`],
  ["members", `  y = student${".norm".repeat(20_000)}\n`],
])("deep nesting of %s is refused, not fatal", (_, lines) => {
  expect(survives(sound(lines)).ok).toBe(false);
});

test("a hundred modules inside each other are refused at a fixed depth", () => {
  const modules = Array.from({ length: 100 }, (_, i) => `module m${i}(x) { m${i + 1}(x) }`).join("\n");
  expect(survives(sound("  y = m0(student(image))\n", `${modules}\nmodule m100(x) { x }\n`)).diagnostics.map((d) => d.code)).toContain("JEP2014");
});

test("modules that use two others each, sixty deep, cost no more than their number", () => {
  const modules = Array.from({ length: 60 }, (_, i) => `module m${i}(x) { m${i + 1}(x) + m${i + 1}(x) }`).join("\n");
  expect(timed(() => survives(sound("  y = m0(student(image))\n", `${modules}\nmodule m60(x) { gelu(x) }\n`)))).toBeLessThan(5000);
});

test("losses that use two others each, forty deep, are checked to their end", () => {
  const modules = Array.from({ length: 40 }, (_, i) => `module m${i}(x: Tensor, y: Tensor) {\n  ${i === 0 ? "mse(x, y)" : `m${i - 1}(x, y) + m${i - 1}(y, x)`}\n}\n`);
  const text = `use std.vit\n${modules.join("")}model m {\n  input image: Image[32, 32, 3]\n  encoder f = vit(8, 32, 1, 2)\n  loss m39(f(image), f(image))\n}\n`;
  expect(check({ file: "m.jepa", text }).analyses?.program.verdict).not.toBe("sound");
});

test("a program of too many nodes is refused", () => {
  const splits = Array.from({ length: 420 }, (_, i) => `  s${i} = split(wide, 1024)`).join("\n");
  const result = survives(sound("  y = large(student(image))\n", `module large(x: Tokens[width]) {\n  wide = linear(1024)(x)\n${splits}\n  layer_norm()(x)\n}\n`));
  expect(result.diagnostics.map((d) => d.code)).toContain("JEP2015");
});

test.each([
  ["an image side", "Image[32, 32, 3]", "Image[1000000000, 32, 3]"],
  ["a width", "vit(4, 64, 2, 4)", "vit(4, 1000000000, 2, 4)"],
  ["a depth", "vit(4, 64, 2, 4)", "vit(4, 64, 1000000000, 4)"],
  ["heads", "vit(4, 64, 2, 4)", "vit(4, 64, 2, 1000000000)"],
  ["a patch", "vit(4, 64, 2, 4)", "vit(1000000000, 64, 2, 4)"],
  ["blocks of a mask", "4 of block", "1000000000 of block"],
  ["a number without an end", "vit(4, 64, 2, 4)", "vit(4, 64, 2, 1e400)"],
  ["a fraction", "vit(4, 64, 2, 4)", "vit(4, 64.5, 2, 4)"],
  ["a negative", "vit(4, 64, 2, 4)", "vit(4, -64, 2, 4)"],
  ["zero", "vit(4, 64, 2, 4)", "vit(0, 64, 2, 4)"],
])("%s of an impossible size is refused at once", (_, from, to) => {
  const text = sound().replace(from, to);
  expect(text).not.toBe(sound());
  expect(timed(() => expect(survives(text).ok).toBe(false))).toBeLessThan(2000);
});

test("bindings in a circle of a thousand are one diagnostic, at once", () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `  v${i} = v${(i + 1) % 1000}\n`).join("");
  let codes: string[] = [];
  expect(timed(() => { codes = survives(sound(lines)).diagnostics.map((d) => d.code); })).toBeLessThan(5000);
  expect(codes).toEqual(["JEP2023"]);
});

test("files that use each other in a circle, or each themselves, end with a diagnostic", () => {
  const ring = new Map([["a.jepa", 'use "./b.jepa"\n'], ["b.jepa", 'use "./c.jepa"\n'], ["c.jepa", 'use "./a.jepa"\nuse "./c.jepa"\n']]);
  const result = check({ file: "a.jepa", text: ring.get("a.jepa") ?? "", read: (path) => ring.get(path) });
  expect(result.diagnostics.filter((d) => d.code === "JEP2028").length).toBeGreaterThanOrEqual(1);
  expect(result.ok).toBe(false);
});

test("a chain of a thousand files is cut with a diagnostic", () => {
  const read = (path: string): string => `use "./f${Number(/\d+/.exec(path)?.[0] ?? "0") + 1}.jepa"\n`;
  expect(check({ file: "f0.jepa", text: read("f0.jepa"), read }).diagnostics.map((d) => d.code)).toContain("JEP2028");
});

test("a program that is asked for must be there", () => {
  const [d] = survives(sound(), { program: "n" }).diagnostics;
  expect(d?.code).toBe("JEP2030");
  expect(d?.message).toContain("it has m");
});

test("a file of modules alone, and an empty one, are nothing to compile", () => {
  for (const text of ["module a(x) { x }\n", "", "// nothing\n"]) expect(survives(text).diagnostics.map((d) => d.code)).toEqual(["JEP2031"]);
});

test("a setting of the command line must change something that is there", () => {
  const [d] = survives(sound(), { set: { "predict.dept": 3 } }).diagnostics;
  expect(d?.code).toBe("JEP2025");
  expect(d?.help).toContain("predict.depth");
});

const reserved = [
  "constructor", "__proto__", "prototype", "hasOwnProperty", "toString", "valueOf", "class", "function", "var", "let", "const", "new", "delete", "this", "await", "yield",
  "import", "export", "default", "return", "null", "undefined", "NaN", "Infinity", "eval", "arguments", "process", "globalThis", "require", "k", "p", "tf", "step", "encoders",
  "fn", "struct", "array", "f32", "vec4", "workgroup", "storage", "uniform", "override", "texture", "sampler", "loop", "switch", "discard", "enable", "_", "__", "B", "K_targets",
];

/** Those that would do most harm as they stand in a module. */
const dangerous = ["constructor", "__proto__", "class", "function", "var", "await", "default", "return", "undefined", "eval", "arguments", "k", "p", "step", "encoders", "fn", "_", "B"];

test("names that are reserved words of JavaScript or WGSL stay names: the program checks, compiles, and its code is code", { timeout: 300_000 }, () => {
  let compiledPrograms = 0;
  for (const name of dangerous) {
    const text = sound().replaceAll("student", name).replaceAll("z_hat", `${name}_z`);
    const result = survives(text);
    const errors = result.diagnostics.filter((d) => d.severity === "error");
    // A name that means something else in this place may be refused, with a diagnostic; it may not go wrong.
    if (errors.length > 0) continue;
    const compiled = compile({ file: "specs/x.jepa", text });
    const module = compiled.files.find((f) => f.path === "model.mjs")?.text ?? "";
    compiledPrograms += 1;
    expect(module.length, name).toBeGreaterThan(1000);
    expect(() => new Function(module.replaceAll(/^export /gm, "")), name).not.toThrow();
  }
  expect(compiledPrograms).toBeGreaterThan(dangerous.length - 4);
});

test("every reserved word can name a param, a mask, a module and a part, or is refused with a diagnostic", { timeout: 300_000 }, () => {
  for (const name of reserved) {
    survives(sound(`  mask ${name} = random(0.5)\n  y = ${name}_m(student(image))\n`, `module ${name}_m(x: Tokens[width]) { part ${name} = linear(width)\n  ${name}(x) }\n`));
    survives(sound(`  param ${name} = 3\n`), { set: { [name]: 4 } });
    survives(sound().replaceAll("model m", `model ${name}`).replaceAll("train m", `train ${name}`), { program: name });
  }
});
