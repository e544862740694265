/**
 * One marked source per syntax code: carets under the text say where and which, and the count is strict. A line of carets
 * is not part of the program; its columns refer to the line above it. The expected text is what certain fixes leave.
 */
import { expect, test } from "vitest";
import { catalogue } from "../../../compiler/messages/catalogue.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { lineColumn, lineTable } from "../../../compiler/base/span.js";
import { lengthLimit, parse } from "../../../compiler/syntax/parse.js";

interface Case {
  readonly name: string;
  readonly marked: string;
  /** The program after its fixes; such a program has no syntax error left. */
  readonly fixed?: string;
}

const cases: readonly Case[] = [
  { name: "a stray character", marked: "use std.vit $\n            ^ JEP1001 `$` is not part of the language." },
  { name: "an arrow of print", marked: "module f (x) { g(1 → 2) }\n                   ^ JEP1001 `→` is not part of the language.", fixed: "module f (x) { g(1 -> 2) }" },
  { name: "an ellipsis for a range", marked: "module f (x) { g(0.15…0.2) }\n                     ^ JEP1001 `…` is not part of the language.", fixed: "module f (x) { g(0.15..0.2) }" },
  { name: "brackets and a comma of full width", marked: "module f (x) { g（x， 1） }\n                ^ JEP1001 `（`\n                  ^ JEP1001 `，`\n                     ^ JEP1001 `）`", fixed: "module f (x) { g(x, 1) }" },
  { name: "a number of full width", marked: "module f (x) { g(１．５) }\n                 ^^^ JEP1001 `１．５`", fixed: "module f (x) { g(1.5) }" },
  { name: "a minus sign, a cross and a wide colon", marked: "module f (x) { g(a： −2 × x) }\n                  ^ JEP1001 `：`\n                    ^ JEP1001 `−`\n                       ^ JEP1001 `×`", fixed: "module f (x) { g(a: -2 * x) }" },
  { name: "a text between curly quotes, whatever stands in it", marked: "use “./größe，1→2.jepa”\n    ^ JEP1001 `“`\n                     ^ JEP1001 `”`", fixed: "use \"./größe，1→2.jepa\"" },
  { name: "a text that ends with a curly quote", marked: "train m { data images(\"a/b”) }\n                          ^ JEP1001 `”`", fixed: "train m { data images(\"a/b\") }" },
  { name: "wide blanks", marked: "module f (x) { g(x,\u3000\u30001) }\n                   ^^ JEP1001", fixed: "module f (x) { g(x, 1) }" },
  { name: "a long dash between numbers, which may be a range", marked: "module f (x) { g(0.15–0.2) }\n                     ^ JEP1001 `–`" },
  { name: "a number with two points", marked: "module f (x) { 0.99.9.1 }\n               ^^^^^^^^ JEP1014 `0.99.9.1` is not a number that can be written here: a number has one point." },
  { name: "a part that is called by a number", marked: "module f (x) { x.5 }\n                ^^ JEP1014" },
  { name: "a bare fraction behind a bracket", marked: "module f (x) { g(.5, -.5) }\n                 ^^ JEP1014\n                      ^^ JEP1014", fixed: "module f (x) { g(0.5, -0.5) }" },
  { name: "three dots for a range", marked: "module f (x) { g(0.75...1.5, 1 ... 2) }\n                     ^^^ JEP1009 A range is written with `..`, not `...`.\n                               ^^^ JEP1009 A range", fixed: "module f (x) { g(0.75..1.5, 1 .. 2) }" },
  { name: "three dots before one digit, of which the last may be a point", marked: "module f (x) { g(0...5) }\n                  ^^^ JEP1009 A range is written with `..`, not `...`." },
  { name: "a fat arrow", marked: "module f (x) { g(1 => 2) }\n                   ^^ JEP1009 A schedule is written with `->`, not `=>`.", fixed: "module f (x) { g(1 -> 2) }" },
  { name: "a sign where a comma would be", marked: "module f (x) { g(1 = 2) }\n                   ^ JEP1002 Expected `,`, found `=`." },
  { name: "a part of the library in single quotes", marked: "use 'std.vit'\n    ^^^^^^^^^ JEP1016", fixed: "use std.vit" },
  { name: "a word that touches a number", marked: "module f (x) {\n  g(4px)\n     ^^ JEP1002 Expected `,`, found the name `px`.\n}" },
  { name: "a missing colon, or comma", marked: "module f (x) {\n  g(x, heads 4, at x)\n             ^ JEP1002 Expected `:` or `,`, found the number `4`.\n                   ^ JEP1002 Expected `:` or `,`, found the name `x`.\n}" },
  { name: "a word that may be an operator", marked: "module f (x) {\n  g(x(1) att x)\n         ^^^ JEP1002 Expected `,`, found the name `att`.\n             ^ JEP1002 Expected `,`, found the name `x`.\n}" },
  { name: "two missing commas", marked: "module f (x) {\n  g([1 2] x)\n       ^ JEP1002 Expected `,`, found the number `2`.\n          ^ JEP1002 Expected `,`, found the name `x`.\n}", fixed: "module f (x) {\n  g([1 , 2] , x)\n}" },
  { name: "a foreign letter in a name", marked: "module f (x) { größe = x }\n                 ^^ JEP1001 `öß`" },
  { name: "a missing value", marked: "module f (x) {\n  y =\n     ^ JEP1002 Expected a value, found the end of the line.\n}" },
  { name: "a missing comma", marked: "module f (x) {\n  g(x x)\n      ^ JEP1002 Expected `,`, found the name `x`.\n}", fixed: "module f (x) {\n  g(x , x)\n}" },
  { name: "a missing comma between transforms", marked: "model m { view v = augment(x) { crop(s: 1) flip(p: 1) } }\n                                           ^^^^ JEP1002 Expected `,`, found the name `flip`.", fixed: "model m { view v = augment(x) { crop(s: 1) , flip(p: 1) } }" },
  { name: "two statements on one line", marked: "module f (x) {\n  y = x z = y\n        ^ JEP1002 Expected the end of the line, found the name `z`.\n}" },
  { name: "a missing base", marked: "variant v { }\n          ^ JEP1002 Expected `of`, found `{`." },
  { name: "a misspelt statement", marked: "model m {\n  encodr e = vit()\n  ^^^^^^ JEP1003 `encodr` does not begin a statement.\n}", fixed: "model m {\n  encoder e = vit()\n}" },
  { name: "a misspelt item", marked: "modle m { }\n^^^^^ JEP1003 `modle` does not begin an item of a file.", fixed: "model m { }" },
  { name: "a statement outside of a model", marked: "encoder e = vit()\n^^^^^^^ JEP1003 `encoder` does not begin an item" },
  { name: "a needless word", marked: "module f (x) {\n  return x\n  ^^^^^^ JEP1003 `return`\n}", fixed: "module f (x) {\n  x\n}" },
  { name: "an open call before the next statement", marked: "model m {\n  y = f(g(1)\n            ^ JEP1004 `(` is never closed.\n  z = 3\n}", fixed: "model m {\n  y = f(g(1))\n  z = 3\n}" },
  { name: "a model without its brace", marked: "model m {\n  z = 3\n       ^ JEP1004 `{` is never closed.\n\ntrain m { epochs 3 }", fixed: "model m {\n  z = 3\n}\n\ntrain m { epochs 3 }" },
  { name: "a bracket too many", marked: "module f (x) { g(x)) }\n                   ^ JEP1005 This `)` closes nothing.", fixed: "module f (x) { g(x) }" },
  { name: "a text without its end that a single quote opens", marked: "train m {\n  data images('a/b)\n              ^^^^ JEP1006\n}", fixed: "train m {\n  data images(\"a/b\")\n}" },
  { name: "a text without its end", marked: "train m {\n  data images(\"a/b)\n              ^^^^ JEP1006\n}", fixed: "train m {\n  data images(\"a/b\")\n}" },
  { name: "a comment without its end", marked: "use std.vit /* and\n            ^^ JEP1007", fixed: "use std.vit /* and */" },
  { name: "a Python comment", marked: "use std.vit # the library\n            ^ JEP1008", fixed: "use std.vit // the library" },
  { name: "a colon for a definition", marked: "model m {\n  param a: 3\n         ^ JEP1009 A definition is written with `=`, not `:`.\n}", fixed: "model m {\n  param a= 3\n}" },
  { name: "an equals sign for a named argument", marked: "module f (x) { g(x, at = x) }\n                       ^ JEP1009 A named argument is written with `:`", fixed: "module f (x) { g(x, at : x) }" },
  { name: "an equals sign in a setting", marked: "train m { epochs = 3 }\n                 ^ JEP1009 A setting", fixed: "train m { epochs  3 }" },
  { name: "an equals sign for a type", marked: "model m { input i = Image[3] }\n                  ^ JEP1009 A type", fixed: "model m { input i : Image[3] }" },
  { name: "an equals sign for a start", marked: "module f (x) { learn w[3] = zeros }\n                          ^ JEP1009 How numbers start", fixed: "module f (x) { learn w[3] ~ zeros }" },
  { name: "a colon behind an axis", marked: "sweep s of m { a.b: [1, 2] }\n                  ^ JEP1009 An axis", fixed: "sweep s of m { a.b in [1, 2] }" },
  { name: "two axes with nothing between them", marked: "sweep s of m { a.b in [1, 2] c in [3] }\n                             ^ JEP1002 Expected the end of the line, found the name `c`", fixed: "sweep s of m { a.b in [1, 2], c in [3] }" },
  { name: "an equals sign for an axis", marked: "sweep s of m { a.b = [1, 2] }\n                   ^ JEP1009 An axis", fixed: "sweep s of m { a.b in [1, 2] }" },
  { name: "two equals signs", marked: "module f (x) { y == x }\n                 ^^ JEP1009 A definition", fixed: "module f (x) { y = x }" },
  { name: "two stars for a power", marked: "module f (x) { x ** 2 }\n                 ^^ JEP1009 A power", fixed: "module f (x) { x ^ 2 }" },
  { name: "a misspelt unit", marked: "train m { warmup 40 epohs }\n                    ^^^^^ JEP1010 `epohs` is not a unit.", fixed: "train m { warmup 40 epochs }" },
  { name: "deep nesting", marked: `module f (x) { ${"(".repeat(63)}x${")".repeat(63)} }\n${" ".repeat(77)}^ JEP1011 This is nested more than 64 deep.` },
  { name: "a number too large", marked: "module f (x) { 1e999 }\n               ^^^^^ JEP1014" },
  { name: "a number without its first digit", marked: "module f (x) { .5 }\n               ^^ JEP1014", fixed: "module f (x) { 0.5 }" },
  { name: "an escape that means nothing", marked: "use \"./a\\q.jepa\"\n        ^^ JEP1015" },
  { name: "single quotes", marked: "use './a.jepa'\n    ^^^^^^^^^^ JEP1016", fixed: "use \"./a.jepa\"" },
  { name: "a range with three ends", marked: "module f (x) { 1..2..3 }\n               ^^^^^^^ JEP1017" },
];

function read(marked: string): { text: string; marks: string[] } {
  const lines: string[] = [];
  const marks: string[] = [];
  for (const line of marked.split("\n")) {
    const mark = /^( *)(\^+) (JEP\d+) ?(.*)$/.exec(line);
    if (mark === null) lines.push(line);
    else marks.push(`${lines.length}:${(mark[1] ?? "").length + 1}+${(mark[2] ?? "").length} ${mark[3]} ${mark[4]}`);
  }
  return { text: lines.join("\n"), marks };
}

for (const { name, marked, fixed } of cases) {
  test(`${name} is reported once, at its place`, () => {
    const { text, marks } = read(marked);
    const table = lineTable(text);
    const { diagnostics } = parse(text, "t.jepa");
    const found = diagnostics.map((d) => {
      const { line, column } = lineColumn(table, d.span.start);
      return `${line}:${column}+${Math.max(1, d.span.end - d.span.start)} ${d.code} ${d.message}`;
    });
    expect(found.map((f, i) => f.slice(0, (marks[i] ?? f).length))).toEqual(marks);
  });
  if (fixed === undefined) continue;
  test(`${name} is mended by its fix`, () => {
    const { text } = read(marked);
    const result = applyFixes(text, "t.jepa", certainFixes(parse(text, "t.jepa").diagnostics));
    expect(result.text).toBe(fixed);
    expect(parse(result.text, "t.jepa").diagnostics).toEqual([]);
  });
}

test("what has no certain mending is left as it is", () => {
  for (const text of ["use std.vit $", "module f (x) { 0.99.9 }", "module f (x) { x.5 }", "module f (x) { g(4px) }", "module f (x) { g(1 = 2) }", "module f (x) { g(0...5) }", "module f (x) { g(heads 4) }", "module f (x) { g(x, at x) }", "module f (x) { g(x(1) att x) }", "module f (x) { g(0.15–0.2) }", "module f (x) { ↯ }", "model m { x = 3 ¿ }"]) {
    const { diagnostics } = parse(text, "t.jepa");
    expect(diagnostics.length, text).toBeGreaterThan(0);
    expect(certainFixes(diagnostics), text).toEqual([]);
  }
});

test("wide signs in texts and comments are nobody's business", () => {
  const text = "use \"./a（→）.jepa\" // “（→…”\n/* × */\n";
  expect(parse(text, "t.jepa").diagnostics).toEqual([]);
});

test("too many mistakes end in one report that says so", () => {
  const { diagnostics } = parse(`model m {\n${"  x = 3 4\n".repeat(150)}}`, "t");
  expect(diagnostics).toHaveLength(101);
  expect(diagnostics.at(-1)?.code).toBe("JEP1012");
});

test("a file that is too long is read up to the limit", () => {
  const { ast, diagnostics } = parse(`model m { }\n${" ".repeat(lengthLimit)}`, "t");
  expect(diagnostics.map((d) => d.code)).toEqual(["JEP1013"]);
  expect(ast.items).toHaveLength(1);
});

test("every syntax code has a case here", () => {
  const seen = new Set([...cases.flatMap((c) => c.marked.match(/JEP1\d+/g) ?? []), "JEP1012", "JEP1013"]);
  expect(Object.keys(catalogue).filter((code) => code.startsWith("JEP1") && !seen.has(code))).toEqual([]);
});
