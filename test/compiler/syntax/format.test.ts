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

/** Programs with comments in odd places, and how they are written in the end; what is not given is a fixed point. */
const commented: readonly (readonly [name: string, body: string, formatted?: string])[] = [
  ["behind an operand and before the next", "  z = f(image) // first\n    + g(image) // second"],
  ["on lines of their own between operands", "  v = a\n    // about b\n    + b // after b\n    // about c,\n    // in two lines\n    + c(image)"],
  ["behind a sign", "  v = a + // why\n    b", "  v = a // why\n    + b"],
  ["between the points of a schedule and around words", "  p = f(\n    1 // start\n      -> 2 // peak\n      -> 3,\n  )\n  m = a // whole\n    minus b"],
  ["in a sum in brackets", "  v = (a // one\n    + b) * c", "  v = (a // one\n    + b)\n    * c"],
  ["two behind an input", "  input image: Image[32, 32, 3] /* a */ // b\n  x = 1"],
  ["two behind an argument", "  x = f(\n    a, /* one */ // two\n    b,\n  )"],
  ["before the comma after the last argument", "  x = f(\n    a,\n    b\n    // last\n    ,\n  )", "  x = f(\n    a,\n    b,\n    // last\n  )"],
  ["behind the last argument, before its comma", "  x = f(\n    a,\n    b // last\n    ,\n  )", "  x = f(\n    a,\n    b, // last\n  )"],
  ["at the end of a list", "  x = [\n    a,\n    // nothing more\n  ]"],
  ["alone in brackets", "  x = f(\n    // nothing yet\n  )"],
  ["among the sizes of a type", "  input image: Image[\n    32, // rows\n    32,\n    // colours\n    3,\n  ]"],
  ["behind an element in brackets", "  x = [(a) // one\n    , b]", "  x = [\n    a, // one\n    b,\n  ]"],
  ["behind an inner call", "  x = f(g(a) // about g\n    , b)", "  x = f(\n    g(a), // about g\n    b,\n  )"],
  ["before a block", "  view a, b = augment(image) /* how */ { flip(p: 0.5) }", "  /* how */\n  view a, b = augment(image) { flip(p: 0.5) }"],
  ["behind the brace of a block", "  view a, b = augment(image) { // how\n    flip(p: 0.5) // twice\n    // no more\n  }"],
  ["with another line in them", "  v = a /* of\n two lines */\n    + b"],
];

test.each(commented)("comments %s stay there", (_, body = "", wanted) => {
  const formatted: string = wanted ?? body ?? "";
  const whole = (text: string): string => `model m {\n${text}\n}\n`;
  const result = format(whole(body), "t").text;
  expect(result).toBe(whole(formatted));
  expect(format(result, "t").text).toBe(result);
  expect(withoutSpans(parseClean(result).ast)).toEqual(withoutSpans(parseClean(whole(body)).ast));
});

test("comments between any two tokens are kept, in a program that stays the same and is stable", () => {
  const text = programs["kitchenSink"] ?? "";
  const gaps = [...text.matchAll(/[ ,()[\]{}]/g)].map((m) => m.index);
  const comments = (source: string): number => parseClean(source).comments.length;
  for (let first = 0; first < 40; first++) {
    // Every fortieth gap has a comment, of one kind or the other.
    let odd = text;
    for (const at of gaps.filter((_, i) => i % 40 === first).toReversed()) {
      const comment = at % 2 === 0 ? " /* x */ " : " // y\n";
      const tried = `${odd.slice(0, at)}${comment}${odd.slice(at)}`;
      if (parse(tried, "t").diagnostics.length === 0 && comments(tried) === comments(odd) + 1) odd = tried;
    }
    const once = format(odd, "t").text;
    expect(withoutSpans(parseClean(once).ast), odd).toEqual(withoutSpans(parseClean(odd).ast));
    expect(comments(once)).toBe(comments(odd));
    expect(format(once, "t").text).toBe(once);
  }
});

test("lines may end in any of the three ways, and end in one of them", () => {
  const text = `model m {\n  // about x\n\n  x = 1 // one\n  y = f(a, // first\n    b)\n}\n`;
  const formatted = format(text, "t").text;
  for (const end of ["\r", "\r\n"]) expect(format(text.replaceAll("\n", end), "t").text).toBe(formatted);
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
