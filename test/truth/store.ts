/**
 * Results of the truth test on disk, so that a rerun trains only what changed.
 *
 * One JSON per program and seed in runs/truth/, with a key over everything that decides the numbers: the compiled module
 * and manifest of the program, the recipe, and the seed. A file whose key differs is trained anew and replaced.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case } from "./corpus.js";
import { prepare } from "./corpus.js";
import type { Measured } from "./measure.js";
import { settings } from "./recipe.js";

const folder = join(import.meta.dirname, "../../runs/truth");

/** The key of a result: what was trained and how. Comments and texts of the program do not count, its meaning does. */
export function keyOf(one: Case, seed: number): string {
  const { compiled, refused } = prepare(one);
  const { manifest, files = [] } = compiled ?? {};
  const { parameters, views, masks, draws, ema, losses, watches } = manifest ?? {};
  const code = (files.find((f) => f.path === "model.mjs")?.text ?? "").replace(/^\s*(\/\/|\*|\/\*).*$/gm, "").replace(/\s*\/\/ .*$/gm, "");
  return createHash("sha256").update(JSON.stringify([settings, seed, refused, code, parameters, views, masks, draws, ema, losses?.map((l) => [l.name, l.kind, l.weight]), watches])).digest("hex").slice(0, 16);
}

/** The result of a program, when there is one of this key. */
export function recall(one: Case, seed: number, known?: string): Measured | undefined {
  // A program without a file is not compiled for its key.
  if (!existsSync(fileOf(one, seed))) return undefined;
  const key = known ?? keyOf(one, seed);
  try {
    const found: unknown = JSON.parse(readFileSync(fileOf(one, seed), "utf8"), (_, v: unknown) => (v === "NaN" ? NaN : v));
    return isKept(found) && found.key === key ? found.measured : undefined;
  } catch {
    return undefined;
  }
}

export function keep(one: Case, seed: number, key: string, measured: Measured): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(fileOf(one, seed), `${JSON.stringify({ key, measured }, (_, v: unknown) => (typeof v === "number" && !Number.isFinite(v) ? "NaN" : v), 1)}\n`);
}

function fileOf(one: Case, seed: number): string {
  return join(folder, `${one.id}.${seed}.json`);
}

function isKept(value: unknown): value is { readonly key: string; readonly measured: Measured } {
  return typeof value === "object" && value !== null && "key" in value && "measured" in value;
}
