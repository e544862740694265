/**
 * Whatever the text, the parser ends in bounded time, throws nothing and reports places inside the file; and whatever
 * the program, formatting it keeps tree and comments. Seeds are fixed, so a failure is the same on every machine.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { format } from "../../../compiler/syntax/format.js";
import { parse } from "../../../compiler/syntax/parse.js";
import { infixWords, itemWords, statementWords } from "../../../compiler/syntax/tokens.js";
import { walk } from "../../../compiler/syntax/visit.js";
import { programs, spanned, withoutSpans } from "./programs.js";

const texts = Object.values(programs);
const words = [
  ...itemWords, ...statementWords, ...infixWords, "x", "y_1", "vit", "epochs", "true", "std", "(", ")", "[", "]", "{", "}", ",", ":", ";", "=",
  "==", "->", "..", ".", "+", "-", "*", "/", "@", "^", "~", "3", "0.5", "2e-4", "\"a\"", "\"", "'", "#", "//c\n", "/*c*/", "/*", "///d\n", "\n", "\n", "\n  ", "é", "$", " ", " ",
];

/** Milliseconds; far above what is needed, for machines that are busy. */
const slow = 120_000;

function check(text: string): void {
  const { ast, diagnostics, comments } = parse(text, "f");
  for (const d of diagnostics) {
    const fixed = d.fixes.flatMap((f) => f.edits.map((e) => e.span));
    for (const span of [d.span, ...d.related.map((r) => r.span), ...fixed]) if (!inside(span, 0, text.length)) throw new Error(`${d.code} lies at ${span.start}-${span.end}`);
    if (/undefined|NaN|\{\w+\}/.test(d.message)) throw new Error(`${d.code}: ${d.message}`);
  }
  expect(diagnostics.length).toBeLessThanOrEqual(102);
  for (const { node, parent } of spanned(ast)) {
    if (!inside(node.span, parent?.span.start ?? 0, parent?.span.end ?? text.length)) throw new Error(`${node.kind ?? "a part"} lies at ${node.span.start}-${node.span.end}`);
  }
  let holes = 0;
  walk(ast, (node) => void (node.kind === "hole" && (holes += 1)));
  if (diagnostics.length === 0) expect(holes).toBe(0);
  if (diagnostics.length > 0) return void expect(format(text, "f").text).toBe(text);
  const once = format(text, "f").text;
  const again = parse(once, "f");
  expect(again.diagnostics).toEqual([]);
  expect(again.comments.length).toBe(comments.length);
  expect(JSON.stringify(withoutSpans(again.ast), dropDocs)).toBe(JSON.stringify(withoutSpans(ast), dropDocs));
  expect(format(once, "f").text).toBe(once);
}

/** Plain comparisons: `expect` per node would take longer than the parser. */
function inside(span: { start: number; end: number }, start: number, end: number): boolean {
  return start <= span.start && span.start <= span.end && span.end <= end;
}

/** A doc comment in the middle of an expression documents nothing, and the formatter says so; others must stay. */
function dropDocs(key: string, value: unknown): unknown {
  return key === "doc" ? undefined : value;
}

const options = { seed: 7, numRuns: 400 } as const;

test("any string", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), check), options);
}, slow);

test("any row of tokens", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...words), { maxLength: 60 }).map((w) => w.join(" ")), check), options);
}, slow);

test("a row of tokens inside a model", () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...words), { maxLength: 25 }).map((w) => `model m {\n  ${w.join(" ")}\n}\n`), check), options);
}, slow);

test("a program cut off anywhere", () => {
  fc.assert(fc.property(fc.constantFrom(...texts), fc.double({ min: 0, max: 1, noNaN: true }), (text, at) => check(text.slice(0, Math.floor(at * text.length)))), options);
}, slow);

test("a program with some of its characters changed, doubled or lost", () => {
  const edit = fc.record({ at: fc.double({ min: 0, max: 0.999, noNaN: true }), length: fc.nat(3), text: fc.constantFrom("", "", ...words) });
  fc.assert(fc.property(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 4 }), (text, edits) => {
    check(edits.reduce((t, e) => {
      const at = Math.floor(e.at * t.length);
      return t.slice(0, at) + e.text + t.slice(at + e.length);
    }, text));
  }), options);
}, slow);

test("a program with comments strewn between its tokens", () => {
  const comment = fc.constantFrom("// c\n", "/* c */", "/* c\n d */", "\n\n// c\n\n", " /* { */ ");
  fc.assert(fc.property(fc.constantFrom(...texts), fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), comment), { maxLength: 4 }), (text, inserts) => {
    check(inserts.reduce((t, [place, c]) => {
      const blank = t.indexOf(" ", Math.floor(place * t.length));
      return blank < 0 ? t : t.slice(0, blank) + ` ${c}` + t.slice(blank);
    }, text));
  }), options);
}, slow);

/** Random trees, printed, must come back as they were: precedence and line breaks in every combination. */
const expression: fc.Arbitrary<string> = fc.letrec<{ e: string }>((tie) => ({
  e: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("a", "mask", "at", "3", "0.5", "true", "\"t\"", "40 epochs"),
    fc.tuple(tie("e"), fc.constantFrom("+", "-", "*", "/", "@", "^", "..", "->", "at", "of", "minus"), tie("e")).map(([l, o, r]) => `(${l}) ${o} (${r})`),
    tie("e").map((e) => `-(${e})`),
    fc.tuple(tie("e"), fc.array(tie("e"), { maxLength: 3 })).map(([f, args]) => `(${f})(${args.map((a, i) => (i === 1 ? `in: ${a}` : a)).join(", ")})`),
    tie("e").map((e) => `(${e}).member`),
    tie("e").map((e) => `f(${e}) { g(1), ${e} }`),
    fc.array(tie("e"), { maxLength: 3 }).map((items) => `[${items.join(", ")}]`),
  ),
})).e;

test("any expression keeps its tree when printed, in every kind of statement", () => {
  fc.assert(fc.property(expression, fc.constantFrom("x = %", "param p = %", "loss % in (%)", "repeat (%) { x = 1 }", "learn w[%] ~ %", "%", "input i: T[%] in (%)", "train { lr (%), b [%] }", "probe { k(%) }"), (e, frame) => {
    const text = `model m {\n  ${frame.replaceAll("%", () => e)}\n}\n`;
    expect(parse(text, "f").diagnostics.map((d) => `${d.code} ${d.message}`).filter((d) => !d.startsWith("JEP1011"))).toEqual([]);
    check(text);
  }), { seed: 11, numRuns: 600 });
}, slow);

test("100,000 open brackets, blocks, signs or calls are one report, not a stack overflow", () => {
  const n = 100_000;
  for (const text of [
    `model m { x = ${"(".repeat(n)}1${")".repeat(n)} }`, `model m { x = ${"[".repeat(n)} }`, `model m ${"{".repeat(n)}`,
    `model m { x = ${"-".repeat(n)}a }`, `model m { x = ${"a + ".repeat(n)}a }`, `model m { x = ${"a^".repeat(n)}a }`, `model m { x = f${"(1)".repeat(n)} }`,
    `model m {${"repeat 3 {\n".repeat(n)}`, `model m { x = a${".b".repeat(n)} }`, `model m { x = ${"2 of ".repeat(n)}a }`,
  ]) {
    const { diagnostics, ast } = parse(text, "f");
    expect(diagnostics.some((d) => d.code === "JEP1011" || d.code === "JEP1004")).toBe(true);
    walk(ast, () => undefined);
  }
}, slow);

test("megabytes of garbage end within seconds, with a bounded list of reports", () => {
  // One of each way out at full size: brackets, characters of no token, statements. What grew with the square of the length would take minutes at the others' too.
  for (const unit of ["(", "{ ", "é ", "a b\n", "model m {\n", "'\n", "model m { x = f(1,,2,,) }\n", "}", "#\n", "“ ", "）", "→", "1–1 ", "model m\n  x = 1\n}\n"]) {
    const size = ["(", "é ", "a b\n"].includes(unit) ? 5e6 : 4e5;
    const start = performance.now();
    const { diagnostics } = parse(unit.repeat(size / unit.length), "f");
    expect(diagnostics.length).toBeLessThanOrEqual(102);
    expect(performance.now() - start, JSON.stringify(unit)).toBeLessThan(20_000);
  }
}, slow);
