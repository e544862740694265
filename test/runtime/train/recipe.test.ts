/** Recipes that cannot be: too few pictures, no step, each told in numbers that read as words do. */
import { expect, test } from "vitest";
import { resolveRecipe } from "../../../runtime/train/recipe.js";
import { fakeManifest } from "./fakes.js";

test("pictures that fill no batch, and a run of no step, are refused; one picture is one picture", () => {
  expect(() => resolveRecipe(fakeManifest(), 1)).toThrow("1 image cannot fill one batch of 8");
  expect(() => resolveRecipe(fakeManifest(), 7)).toThrow("7 images cannot fill one batch of 8");
  const none = { duration: { unit: "epochs", value: 0.5 } } as const;
  expect(() => resolveRecipe(fakeManifest(), 1, { ...none, batch: 1 })).toThrow("the run would have no step: 1 image in batches of 1");
  expect(() => resolveRecipe(fakeManifest(), 9, none)).toThrow("the run would have no step: 9 images in batches of 8");
  expect(resolveRecipe(fakeManifest(), 16, none).totalSteps).toBe(1);
});
