/** The corpus as a whole: every program has an id of its own and accepts its own verdict. */
import { expect, test } from "vitest";
import { corpus } from "./corpus.js";

test("ids are unique and verdicts are accepted", () => {
  expect(new Set(corpus.map((c) => c.id)).size).toBe(corpus.length);
  expect(corpus.filter((c) => !c.accept.includes(c.verdict))).toEqual([]);
  expect(corpus.length).toBeGreaterThan(340);
});
