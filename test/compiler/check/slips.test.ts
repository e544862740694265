/** Slips that once led to a second report beside the right one, or to a wrong one: each is told once, where it is. */
import { expect, test } from "vitest";
import { lineColumn, lineTable } from "../../../compiler/base/span.js";
import { check } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { checkMarked, sound } from "./marked.js";

test("a loss may not be called like something else, whichever comes first, and that is no cycle", () => {
  checkMarked(sound(`  view a, b = augment(image) { flip(p: 0.5) }
  za = predict(student(a at context), at: targets)
  loss a = mse(za, stopgrad(teacher(b)) at targets)
//     ^ JEP2002 \`a\` is declared twice.
`));
  checkMarked(sound(`  loss z_more = mse(z_more, z_target)
//     ^^^^^^ JEP2002 \`z_more\` is declared twice.
  z_more = 2 * z_hat
`));
  checkMarked(sound("", `variant v of m {
  loss z_hat = 0.5 * mse(z_hat, z_target)
//     ^^^^^ JEP2002 \`z_hat\` is declared twice.
}
`), { program: "v" });
  // Terms of one objective may have one name among them.
  checkMarked(sound("  loss extra = 0.5 * mse(z_hat, z_target)\n  loss extra = 0.5 * l1(z_hat, z_target)\n"));
});

test("a missing comma is told alone, and the call is checked as if it stood there", () => {
  const text = sound(`  loss extra = smooth_l1(z_hat z_target)
//                             ^^^^^^^^ JEP1002 Expected \`,\`, found the name \`z_target\`.
`);
  checkMarked(text, { fixed: text.replace("smooth_l1(z_hat z_target)", "smooth_l1(z_hat , z_target)") });
  checkMarked(sound(`  loss extra = smooth_l1(z_hat z_target, beta: 1 2)
//                             ^^^^^^^^ JEP1002 Expected
//                                               ^ JEP1002 found the number \`2\`
`));
});

test("the lines of a file that ends them with carriage returns are counted", () => {
  const text = sound("  z = studnet(image)\n").replaceAll("\n", "\r");
  const { diagnostics } = check({ file: "m.jepa", text });
  const [found] = diagnostics;
  expect(diagnostics.map((d) => d.code)).toEqual(["JEP2001"]);
  expect(lineColumn(lineTable(text), found?.span.start ?? 0)).toEqual({ line: 13, column: 7 });
});

/** A program after its certain fixes, again and again until there is none. */
function mended(text: string): string {
  for (let round = 0; round < 8; round++) {
    const fixes = certainFixes(check({ file: "m.jepa", text }).diagnostics);
    if (fixes.length === 0) return text;
    text = applyFixes(text, "m.jepa", fixes).text;
  }
  throw new Error("fixes come without end");
}

test("what is certain mends a program or leaves it alone, and never makes another one of it", () => {
  const base = sound();
  const same: readonly (readonly [right: string, wrong: string])[] = [
    ["0.15..0.2", "0.15…0.2"], ["0.996 -> 1.0", "0.996 → 1.0"], ["0.996 -> 1.0", "0.996 => 1.0"], ["smooth_l1(z_hat, z_target)", "smooth_l1（z_hat， z_target）"],
    ["use std.vit", "use 'std.vit'"], ["use std.vit", "use “std.vit”"], ["use std.vit", "use \"std.vit\""], ["0.75..1.5", "0.75...1.5"], ["scale: 0.85", "scale： ０．８５"],
  ];
  for (const [right, wrong] of same) {
    expect(base).toContain(right);
    expect(mended(base.replace(right, wrong))).toBe(base);
  }
  for (const [right, wrong] of [
    ["0.996 -> 1.0", "0.99.9"], ["0.996 -> 1.0", "0.996 1.0"], ["0.15..0.2", "0.15–0.2"], ["4, 64, 2, 4", "4px, 64, 2, 4"], ["at: targets)", "at targets)"],
    ["image at context", "image att context"], ["epochs 1", "epochs 1 $"], ["smooth_l1(z_hat", "smooth_l1¡predict(z_hat"],
  ] as const) {
    const text = base.replace(right, wrong);
    expect(check({ file: "m.jepa", text }).ok, wrong).toBe(false);
    expect(mended(text)).toBe(text);
  }
});

test("mistakes of grammar are mended first: names that a line would have declared are not taken for others", () => {
  const text = sound("  z_one = studnet(image) $\n  head h = vit(patch: 4, 32, 1 2\n");
  for (const fix of certainFixes(check({ file: "m.jepa", text }).diagnostics)) expect(fix.title).toMatch(/^write/);
  // An encoder whose line cannot be read is no reason to probe something else.
  const { diagnostics } = check({ file: "m.jepa", text: sound("  encoder t = vit((4, 64, 2, 4)\n", "probe m { linear(on: t, pool: mean) }\n") });
  expect(diagnostics.flatMap((d) => (d.code === "JEP6010" ? d.fixes : []))).toEqual([]);
});

test("a short word, or one that is as near to another, is nobody's certain slip", () => {
  const text = (loss: string): string => `use std.vit\nmodel m {\n  input image: Image[16, 16, 3]\n  view a, b = augment(image) { flip(p: 0.5) }\n  encoder f = vit(patch: 4, width: 16, depth: 1, heads: 2)\n  encoder teacher = ema(f, momentum: 0.99 -> 1.0)\n  predictor q = mlp(16)\n  za = pool(f(a))\n  zb = pool(teacher(b))\n  z_one = q(za)\n  z_two = stopgrad(zb)\n  loss ${loss}\n}\ntrain m {\n  data shapes(count: 16)\n  epochs 1\n  batch 4\n}\n`;
  const mended = (loss: string): { readonly certain: number; readonly help: string | undefined } => {
    const [told] = check({ file: "m.jepa", text: text(loss) }).diagnostics.filter((d) => d.code === "JEP2001");
    return { certain: certainFixes(told === undefined ? [] : [told]).length, help: told?.help };
  };
  expect(mended("mse(z_one, z_tow)")).toEqual({ certain: 1, help: "Did you mean `z_two`?" });
  expect(mended("mse(q(pool(f(a))), stopgrad(pool(teachr(b))))")).toEqual({ certain: 1, help: "Did you mean `teacher`?" });
  // Any letter is as near as every other; `zc` may be either; `Q` can only be `q`.
  expect(mended("mse(p(za), z_two)")).toMatchObject({ certain: 0, help: expect.not.stringContaining("Did you mean") });
  expect(mended("mse(q(zc), z_two)")).toEqual({ certain: 0, help: "Did you mean `za` or `zb`?" });
  // Checking does not go on with a guess: `b` are pictures, and the report of that would be of what nobody wrote.
  expect(check({ file: "m.jepa", text: text("mse(q(zq), z_two)") }).diagnostics.filter((d) => d.severity === "error").map((d) => d.code)).toEqual(["JEP2001"]);
  expect(mended("mse(Q(za), z_two)")).toEqual({ certain: 1, help: "Did you mean `q`?" });
});
