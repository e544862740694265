/** The formatter: same program, comments kept, stable; and the printer of expressions. */
import { expect, test } from "vitest";
import { format } from "../../../compiler/syntax/format.js";
import { parse } from "../../../compiler/syntax/parse.js";
import { printExpr, printFile } from "../../../compiler/syntax/print.js";
import { parseClean, programs, withoutSpans } from "./programs.js";

for (const [name, text] of Object.entries(programs)) {
  test(`formatting ${name} keeps its tree`, () => {
    expect(withoutSpans(parseClean(format(text, "t").text).ast)).toEqual(withoutSpans(parseClean(text).ast));
  });

  test(`formatting ${name} twice changes nothing more`, () => {
    const once = format(text, "t").text;
    expect(format(once, "t").text).toBe(once);
  });

  test(`formatting ${name} keeps every comment`, () => {
    const comments = (source: string) => parseClean(source).comments.map((c) => c.text.trimEnd());
    expect(comments(format(text, "t").text)).toEqual(comments(text));
  });

  test(`a tree of ${name} prints without its text`, () => {
    const docless = (source: string) => JSON.stringify(withoutSpans(parseClean(source).ast), (k, v: unknown) => (k === "doc" ? undefined : v));
    expect(docless(printFile(parseClean(text).ast))).toBe(docless(text));
  });
}

test("every line of the kitchen sink fits in 100 columns", () => {
  const lines = format(programs["kitchenSink"] ?? "", "t").text.split("\n");
  expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(100);
});

test("values of a train block begin at one column, definitions stay unaligned", () => {
  const text = "train m {\n  data images(\"a\")\n  learning_rate   cosine( 1->2 )\n}\nmodel m {\n  param a  =1\n  param bcd= 2\n}";
  expect(format(text, "t").text).toBe(`train m {
  data           images("a")
  learning_rate  cosine(1 -> 2)
}

model m {
  param a = 1
  param bcd = 2
}
`);
});

test("a call that is too long takes a line for each argument", () => {
  const text = `module f (x) { g(first_argument: x, second_argument: x, third_argument: x, fourth_argument: x, the_fifth_argument: x) }`;
  expect(format(text, "t").text).toBe(`module f (x) {
  g(
    first_argument: x,
    second_argument: x,
    third_argument: x,
    fourth_argument: x,
    the_fifth_argument: x,
  )
}
`);
});

test("comments stay with what they speak of", () => {
  const text = `// top

use std.vit   // why
model m {   // brace


  // first

  // second
  x = f(a, // about a
    b)
  y = 1 + /* mid */ 2


  // end
}
// eof`;
  expect(format(text, "t").text).toBe(`// top

use std.vit // why

model m { // brace
  // first

  // second
  x = f(
    a, // about a
    b,
  )
  /* mid */
  y = 1 + 2

  // end
}
// eof
`);
});

test("a text with a syntax error comes back as it was", () => {
  const text = "model m {\n   x   = \n}";
  const result = format(text, "t");
  expect(result.text).toBe(text);
  expect(result.diagnostics.map((d) => d.code)).toEqual(["JEP1002"]);
});

test("an empty text and one of comments alone are fixed points", () => {
  for (const text of ["", "// a\n", "/// a\n\n/* b */\n"]) expect(format(text, "t").text).toBe(text);
});

test("brackets are printed where the tree needs them and nowhere else", () => {
  for (const text of ["(a + b) * c", "a + b * c", "-(a + b)", "(-a)^2", "-a^2", "(a of b) of c", "a of b of c", "(a -> b) -> c",
    "a -> b -> c", "(a minus b) at c", "a minus b at c", "(a at b)(c)", "(1..2) + 1", "f(x)(y).z", "[a, (b at c) of d]", "40 epochs",
    "a - (b - c)", "2^3^4", "(2^3)^4", "a @ (b * c)", '"a\\"b"', "f(at: x)", "--a", "a * -b"]) {
    const item = parseClean(`module m (x) {\n  y = ${text}\n}`).ast.items[0];
    const statement = item?.kind === "module" ? item.body[0] : undefined;
    const minimal = new Map([["(a minus b) at c", "(a minus b) at c"]]).get(text) ?? text;
    expect(statement?.kind === "binding" && printExpr(statement.value)).toBe(minimal);
  }
});

test("a value whose first word begins statements keeps its brackets", () => {
  for (const text of ["module m (x) {\n  (loss(x))\n}\n", "module m (x) {\n  (loss - x)\n}\n", "module m (x) {\n  (mask)\n}\n"]) {
    expect(format(text, "t").text).toBe(text);
    expect(parse(text, "t").diagnostics).toEqual([]);
  }
});
