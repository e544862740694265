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
