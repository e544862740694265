/** The layout algebra: what fits stays flat, what does not breaks. */
import { expect, test } from "vitest";
import { brokenGroup, group, hardLine, ifBroken, joinDocs, layout, line, nest, softLine, suffix } from "../../../compiler/base/doc.js";
import type { Doc } from "../../../compiler/base/doc.js";

const call = (...args: string[]): Doc => group("f(", nest(softLine, joinDocs(args, [",", line])), ifBroken(","), softLine, ")");

test("a group stays on one line exactly as long as it fits", () => {
  expect(layout(call("aa", "bb"), 9)).toBe("f(aa, bb)");
  expect(layout(call("aa", "bb"), 8)).toBe("f(\n  aa,\n  bb,\n)");
});

test("what follows a group on its line counts towards the width", () => {
  expect(layout([call("aa"), " + b"], 9)).toBe("f(aa) + b");
  expect(layout([call("aa"), " + b"], 8)).toBe("f(\n  aa,\n) + b");
});

test("an outer group breaks before an inner one", () => {
  expect(layout(group("[", nest(softLine, call("aa", "bb")), softLine, "]"), 11)).toBe("[f(aa, bb)]");
  expect(layout(group("[", nest(softLine, call("aa", "bb")), softLine, "]"), 11 - 1)).toBe("[\n  f(\n    aa,\n    bb,\n  )\n]");
  expect(layout(group("[", nest(softLine, call("aa", "bb")), softLine, "]"), 12)).toBe("[f(aa, bb)]");
});

test("a hard line breaks the groups around it", () => {
  expect(layout(group("a", line, "b", hardLine, "c"), 80)).toBe("a\nb\nc");
  expect(layout(brokenGroup("a", line, "b"), 80)).toBe("a\nb");
});

test("a suffix waits for the end of its line and takes no width", () => {
  expect(layout(["a", suffix(" // a long comment"), ",", hardLine, "b"], 10)).toBe("a, // a long comment\nb");
  expect(layout([group("aa", suffix(" // much longer than the width"), line, "bb")], 6)).toBe("aa bb // much longer than the width");
});

test("a document 100,000 deep is laid out", () => {
  let doc: Doc = "x";
  for (let i = 0; i < 100_000; i++) doc = ["(", doc, ")"];
  expect(layout(doc, 80)).toHaveLength(200_001);
});
