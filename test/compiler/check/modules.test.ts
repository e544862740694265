/** What modules may not do with their parts, parameters and running states, each drawn in the source; names that they get. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { checkMarked, sound } from "./marked.js";

test("a part of outside is not applied in a loop: it would become one for each round", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  part one = linear(width)
  part many = 2 of linear(width)
  learn scale[width] ~ ones
  a = x
  repeat 3 { a = one(a * scale) }
//               ^^^ JEP2035 \`one\` is declared outside of this \`repeat\`
  b = x
  repeat 3 { repeat each in many { b = each(b) } }
//                          ^^^^ JEP2035 \`many\` is declared outside of this
  c = x
  repeat each in many { repeat 2 { c = each(c) } }
//                                     ^^^^ JEP2035 \`each\` is declared outside
  repeat 3 {
    part own = linear(width)
    x = own(gelu(own(x)) * scale)
  }
  repeat each in many { x = each(x) }
  x
}
`));
});

test("parts and parameters of a module have a name each", () => {
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  part one = linear(width)
  x = one(x)
  part one = linear(width)
//     ^^^ JEP2002 \`one\` is declared twice.
  learn gate[width] ~ ones
  state gate[width] ~ zeros
//      ^^^^ JEP2002 \`gate\` is declared twice.
  one(x) * gate
}
`));
});

test("a module that a model applies without a name keeps out of the way of one declared further down", () => {
  const { graph } = check({ file: "m.jepa", text: sound("  a = linear(8)(z_hat)\n  b = linear(8)(z_target)\n  head linear_2 = linear(8)\n  loss extra = mse(linear_2(a), stopgrad(b))\n") });
  expect(graph?.instances.map((i) => i.name)).toEqual(["student", "teacher", "predict", "linear", "linear_3", "linear_2"]);
});

test("a running state is declared where it is moved, once for each use", () => {
  const message = "JEP2010 For `running` of `recenter`, a state";
  checkMarked(sound(`  y = odd(student(image))
`, `module odd(x: Tokens[width]) -> Tokens[width] {
  learn weight[width] ~ zeros
  state mine[width] ~ zeros
  state other[width] ~ ones
  a = recenter(x, weight)
//                ^^^^^^ ${message}
  b = recenter(x, mean(x, over: images))
//                ^^^^^^^^^^^^^^^^^^^^^ ${message}
  c = recenter(x, 2 * mine)
//                ^^^^^^^^ ${message}
  d = standardize(x, mine, mine)
//                         ^^^^ JEP2010 For \`variance\` of \`standardize\`, a state
  e = x
  repeat 3 { e = recenter(e, mine) }
//                           ^^^^ ${message}
  standardize(recenter(x, mine), mine, other) + mine
}
`));
});

test("`learn` and `state` belong in a module", () => {
  checkMarked(sound(`  learn w[3] ~ zeros
//^^^^^^^^^^^^^^^^^^ JEP2009 This cannot stand here: \`learn\` belongs in a module,
`));
  checkMarked(sound(`  state w[3] ~ zeros
//^^^^^^^^^^^^^^^^^^ JEP2009 This cannot stand here: \`state\` belongs in a module,
`));
});
