/** How many processes a run gets by itself, and what is said where a number cannot be had. */
import { expect, test } from "vitest";
import type { Manifest } from "../../../runtime/abi.js";
import { replicaCount } from "../../../runtime/train/replicas.js";
import { fakeManifest } from "./fakes.js";

function programOf(train: Partial<Manifest["train"]> = {}, width = 64): Manifest {
  const base = fakeManifest({ parameters: [{ name: "student.weight", shape: [width, width], group: "student", role: "trained", decay: true, init: { kind: "zeros" } }] });
  return { ...base, train: { ...base.train, separable: true, ...train } };
}

const machine = { cores: 8, memory: 8 * 2 ** 30 };
const run = { asked: undefined, batch: 128, steps: 2000, ...machine };

test("a run gets as many processes as cores, up to four, that cut its batch into equal parts of eight images or more", () => {
  const count = (change: Partial<typeof run>, manifest = programOf()): number => replicaCount({ manifest, ...run, ...change });
  expect(count({})).toBe(4);
  expect([1, 2, 3, 4].map((cores) => count({ cores }))).toEqual([1, 2, 2, 4]);
  expect([6, 12, 16, 24, 32, 50].map((batch) => count({ batch }))).toEqual([1, 1, 2, 3, 4, 2]);
  expect(count({ cores: 3, batch: 96 })).toBe(3);
  expect(count({ steps: 99 })).toBe(1);
  expect(count({ batch: 128 }, programOf({ accumulate: 64 }))).toBe(2);
});

test("a model whose copies would fill the memory, and images that see each other, stay in one process", () => {
  expect(replicaCount({ manifest: programOf({}, 4096), ...run })).toBe(4);
  expect(replicaCount({ manifest: programOf({}, 4096), ...run, memory: 3 * 2 ** 30 })).toBe(2);
  expect(replicaCount({ manifest: programOf({}, 16384), ...run })).toBe(1);
  const { separable: _, ...together } = programOf().train;
  expect(replicaCount({ manifest: { ...programOf(), train: together }, ...run })).toBe(1);
  expect(replicaCount({ manifest: { ...programOf(), target: "wgsl" }, ...run })).toBe(1);
});

test("a number that is asked for is taken, or refused with the reason", () => {
  const ask = (asked: number, manifest = programOf(), batch = 12): number => replicaCount({ manifest, ...run, asked, batch, steps: 1, cores: 1 });
  expect([1, 2, 3, 6, 12].map((n) => ask(n))).toEqual([1, 2, 3, 6, 12]);
  expect(() => ask(5)).toThrow("--replicas 5: a batch of 12 cannot be cut into equal parts");
  expect(() => ask(2, programOf({ accumulate: 4 }))).toThrow("a batch of 12 with accumulate 4 cannot be cut");
  const { separable: _, ...together } = programOf().train;
  expect(() => ask(2, { ...programOf(), train: together })).toThrow("compares the images of a step with each other");
  expect(() => ask(2, { ...programOf(), target: "wgsl" })).toThrow("a program compiled for wgsl runs in one process");
  expect(ask(1, { ...programOf(), train: together, target: "wgsl" })).toBe(1);
});
