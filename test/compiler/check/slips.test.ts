/** Slips that once led to a second report beside the right one, or to a wrong one: each is told once, where it is. */
import { expect, test } from "vitest";
import { lineColumn, lineTable } from "../../../compiler/base/span.js";
import { check } from "../../../compiler/compile.js";
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
//                                               ^ JEP2010 an operand of \`smooth_l1\`
`));
});

test("the lines of a file that ends them with carriage returns are counted", () => {
  const text = sound("  z = studnet(image)\n").replaceAll("\n", "\r");
  const { diagnostics } = check({ file: "m.jepa", text });
  const [found] = diagnostics;
  expect(diagnostics.map((d) => d.code)).toEqual(["JEP2001"]);
  expect(lineColumn(lineTable(text), found?.span.start ?? 0)).toEqual({ line: 13, column: 7 });
});
