/** What is written from the habit of other languages and libraries is told in the words of this one. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";

test("a loss with an `=` is told as that, and the fix makes it one", () => {
  const text = `model m {
  input image: Image[32, 32, 3]
  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 1)
  loss = variance(pool(f(image)))
}
train m { epochs 1 }
`;
  const fixed = text.replace("loss = variance", "loss variance");
  const only = check({ file: "m.jepa", text }).diagnostics.filter((d) => d.severity === "error");
  expect(only.map((d) => d.code)).toEqual(["JEP2026"]);
  expect(only[0]?.help).toContain("without `=`");
  expect(applyFixes(text, "m.jepa", certainFixes(only)).text).toBe(fixed);
  const variant = `${fixed}variant v of m {\n  loss = 2 * variance(pool(f(image)))\n}\n`;
  expect(check({ file: "m.jepa", text: variant }, { program: "v" }).diagnostics.filter((d) => d.severity === "error").map((d) => d.code)).toEqual(["JEP2026"]);
});

test("a word of another library is told by the one of this language", () => {
  const of = (text: string): readonly (string | undefined)[] => check({ file: "m.jepa", text }).diagnostics.map((d) => d.help);
  const text = `model m {
  input image: Image[32, 32, 3]
  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 1)
  predictor p = mlp(32)
  loss MSELoss(p(pool(f(image))), detach(pool(f(image))))
}
train m {
  lr 1e-3
}
`;
  expect(of(text)).toEqual(expect.arrayContaining(["Did you mean `mse`?", "Did you mean `stopgrad`?", "Did you mean `learning_rate`?"]));
});

test("a function of another library is told by what is written in its place, and what is told there compiles", () => {
  const program = (line: string): string => `model m {
  input image: Image[16, 16, 3]
  mask targets = random(0.5)
  mask rest = all minus targets
  view one, two = augment(image) { flip() }
  encoder f = vit(patch: 4, width: 16, depth: 1, heads: 1)
  predictor p = mlp(32)
  x = f(one)
  a = pool(x)
  b = pool(f(two))
  ${line}
  loss mse(p(a), stopgrad(b))
}
train m { data shapes(count: 64), batch 16 }
`;
  const of = (line: string) => check({ file: "m.jepa", text: program(line) }).diagnostics.filter((d) => d.severity === "error");
  const words = ["max", "minimum", "einsum", "matmul", "dot", "cosine_similarity", "norm", "var", "std", "pow", "logsumexp", "silu", "softplus", "leaky_relu", "rsqrt", "reshape", "stack", "repeat", "gather", "argmax", "clamp", "dropout", "conv2d", "maxpool", "torch", "jnp"];
  for (const word of words) {
    const [found, ...more] = of(`y = ${word}(a)`);
    expect([found?.code, found?.fixes, more, found?.help?.includes("`use`")], word).toEqual(["JEP2001", [], [], false]);
    const lines = [...(found?.help ?? "").matchAll(/`([^`]*)`/g)].map((m) => m[1] ?? "").filter((l) => /\b(?:x|a|b)\b/.test(l) && !/codebook|\bimage\b|@|:\s*Tokens/.test(l));
    for (const line of lines) expect(of(/^negative_cosine|^variance/.test(line) ? `loss more = ${line}` : `y = ${line.replaceAll("low", "0").replaceAll("high", "1")}`).filter((d) => !d.code.startsWith("JEP4")).map((d) => d.message), `${word}: ${line}`).toEqual([]);
    expect(lines.length > 0 || ["argmax", "dropout", "conv2d"].includes(word), word).toBe(true);
  }
  expect(of("y = x.mean(dim: 1)").map((d) => d.help)).toEqual(["Functions stand before what they are applied to: `mean(…)`."]);
  expect(of("y = x.detach()").map((d) => d.help)).toEqual(["Functions stand before what they are applied to: `stopgrad(…)`."]);
});

test("a predictor that was forgotten is put in where tokens of two masks are compared, and the program checks", () => {
  const program = (more: string, loss: string): string => `model m {
  input image: Image[32, 32, 3]
  mask targets = 2 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)
  mask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets
  encoder student = vit(patch: 4, width: 48, depth: 1, heads: 3)
  encoder teacher = ema(student, momentum: 0.99)
${more}  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  loss smooth_l1(${loss}) in latent(teacher)
}
train m { data shapes(count: 64), batch 16 }
`;
  const found = (text: string) => check({ file: "m.jepa", text }).diagnostics;
  for (const more of ["", "  predictor ask = vit_predictor(width: 24, depth: 1, heads: 3)\n", "  head predict = mlp(8)\n"]) {
    for (const loss of ["z_context, z_target", "z_target, z_context"]) {
      const text = program(more, loss);
      const told = found(text).filter((d) => d.severity === "error");
      expect(told.map((d) => d.code)).toEqual(["JEP3002"]);
      expect(told[0]?.help).toContain("`predict(…, at: targets)`");
      const mended = applyFixes(text, "m.jepa", certainFixes(told)).text;
      expect(mended).toContain(`${more.includes("ask") ? "ask" : more === "" ? "predict" : "predict_2"}(z_context, at: targets)`);
      expect(found(mended).filter((d) => d.severity === "error" || !more.includes("head")).map((d) => d.message)).toEqual([]);
    }
  }
  // What was picked is nowhere else, and no stopped target is predicted from another.
  expect(found(program("", "z_context at targets, z_target")).map((d) => d.help)).toEqual(["Apply `at` to tokens of the whole grid, or predict those at `targets` from these: `predict(…, at: targets)`."]);
  expect(found(program("", "stopgrad(z_context), z_target")).find((d) => d.code === "JEP3002")?.fixes).toEqual([]);
  // Neither space could be declared for both sides.
  const both = found(program("", "student(image) at targets, z_target")).find((d) => d.code === "JEP3014");
  expect([both?.fixes, both?.help]).toEqual([[], "Pass this operand through a `predictor`, whose output is in the space that it is trained to predict, or leave `in latent(teacher)` out."]);
});

test("channels that come first are told as that", () => {
  const text = "model m {\n  input image: Image[3, 32, 32]\n  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 1)\n  loss variance(pool(f(image)))\n}\ntrain m { epochs 1 }\n";
  const help = (one: string): string | undefined => check({ file: "m.jepa", text: one }).diagnostics.find((d) => d.code === "JEP3005")?.help;
  expect(help(text)).toContain("write `Image[32, 32, 3]`");
  expect(help(text.replace("[3, 32, 32]", "[30, 32, 3]"))).toBe("Choose a patch size that divides both sides.");
});

test("a path without quotes, and a word that an option does not take, are told as that", () => {
  const text = (data: string): string => `model m {
  input image: Image[32, 32, 3]
  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 1)
  loss variance(pool(f(image)))
}
train m {
  data ${data}
}
`;
  const mended = (data: string): string => {
    const found = check({ file: "m.jepa", text: text(data) }).diagnostics.filter((d) => d.severity === "error");
    return [...found.map((d) => `${d.code} ${d.message}`), applyFixes(text(data), "m.jepa", certainFixes(found)).text.split("\n")[6]?.trim()].join("\n");
  };
  const quoted = "data images(\"/data/my-photos.v2/train\", on_small: skip)";
  expect(mended("images(/data/my-photos.v2/train, on_small: skip)")).toBe(`JEP1009 A path is written with \`"…"\`, not \`/data/my-photos.v2/train\`.\n${quoted}`);
  expect(mended("images(../photos)")).toContain('data images("../photos")');
  expect(mended("images(photos)")).toBe('JEP2010 For the path of `images`, a text in double quotes is expected, and this is `photos`.\ndata images("photos")');
  expect(mended("images(path: photos)")).toContain('data images(path: "photos")');
  expect(mended("images(\"photos\", on_corrupt: skp)")).toMatch(/^JEP2010 For `on_corrupt`, `skip` or `refuse` is expected, and this is `skp`[^]*on_corrupt: skip/);
  expect(mended("images(\"photos\", on_corupt: skip)")).toMatch(/^JEP2004[^]*on_corrupt: skip/);
});
