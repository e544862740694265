/** The words of the language that a hover tells of: all that the checker knows, and calls as the language's page writes them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { spaceWords } from "../../../compiler/check/losses.js";
import { maskKinds } from "../../../compiler/check/masks.js";
import { probeKinds } from "../../../compiler/check/probes.js";
import { initNames } from "../../../compiler/check/statements.js";
import { settingChoices, settingNames } from "../../../compiler/check/train.js";
import { transformKinds } from "../../../compiler/check/transforms.js";
import { keywordAt, keywordTexts } from "../../../compiler/editor/keywords.js";
import { wordTexts } from "../../../compiler/editor/word-texts.js";
import { infixWords, itemWords, statementWords } from "../../../compiler/syntax/tokens.js";
import { root } from "../../tidy/files.js";

test("every word of the language has its text, and no other", () => {
  const words = [settingNames(), Object.values(settingChoices).flat(), ["normalize", "cosine"], Object.keys(transformKinds()), maskKinds, Object.keys(probeKinds()), initNames, spaceWords].flat();
  expect(Object.keys(wordTexts).toSorted()).toEqual(words.toSorted());
  expect(new Set(words).size).toBe(words.length);
});

test("a call is written as the language's page writes it, with what it takes unless said", () => {
  const page = readFileSync(join(root, "docs/language.md"), "utf8").replace(/\s+/g, " ");
  const calls = Object.values(wordTexts).map(({ usage }) => usage).filter((usage) => /^\w+\(/.test(usage) && !/^(images|videos|block|constant|uniform|normal|trunc_normal)\(/.test(usage));
  expect(calls.length).toBeGreaterThan(12);
  expect(calls.filter((usage) => !page.includes(usage))).toEqual([]);
});

test("every keyword has its text, where it is one and not where a name is spelled like it", () => {
  expect(Object.keys(keywordTexts).toSorted()).toEqual([...new Set<string>([...itemWords, ...statementWords, ...infixWords])].toSorted());
  const text = "model m {\n  mask at = all\n  z = f(image at at)\n}\n";
  const known = (words: string, plus: number): string | undefined => keywordAt(text, text.indexOf(words) + plus)?.usage;
  expect(known("model", 2)).toBe("model name { … }");
  expect(known("mask at", 1)).toMatch(/^mask targets/);
  expect(known("mask at", 6)).toBeUndefined();
  expect(known("image at at", 7)).toMatch(/^image at context/);
  expect(known("image at at", 10)).toBeUndefined();
});
