/**
 * Measurements: those in the repository, and those of a test run that is under way.
 *
 * `measured.json` holds one line for every training run, under a key over what the run means (`meaning.ts`), so that a fresh
 * clone trains only what changed. While programs train, each run is a file of its own in runs/truth/, so that a test run
 * that was stopped goes on; `merge` takes them into the table. Nothing here knows verdicts.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Measured } from "./measure.js";
import { settings } from "./recipe.js";

/** A measurement and the key that it was made under. */
export interface Kept {
  readonly key: string;
  readonly measured: Measured;
}

const table = join(import.meta.dirname, "measured.json");
const folder = join(import.meta.dirname, "../../runs/truth");

/** What was read, until something is merged: nobody else writes meanwhile. */
const read = new Map<string, Kept[]>();

/** Whether to train what the table has as well: `TRUTH=all`. */
const anew = process.env["TRUTH"] === "all";

/** All measurements: the table's, then those under way. Of the same run the later counts. */
export function measurements(): Kept[] {
  const found = new Map([...inTable(), ...underWay()].map((kept) => [`${kept.key} ${kept.measured.seed} ${kept.measured.steps}`, kept]));
  return [...found.values()];
}

/** The measurement of a run, when there is one. */
export function recall(key: string, seed: number, steps: number): Measured | undefined {
  const is = (kept: Kept): boolean => kept.key === key && kept.measured.seed === seed && kept.measured.steps === steps;
  return (underWay().find(is) ?? (anew ? undefined : inTable().find(is)))?.measured;
}

/** An earlier measurement of a program that has another key now, by the same recipe. */
export function earlier(id: string, seed: number, steps: number): Measured | undefined {
  return anew ? undefined : inTable().find(({ measured }) => measured.id === id && measured.seed === seed && measured.steps === steps)?.measured;
}

/** Keeps a measurement until it is merged. */
export function keep(kept: Kept): void {
  const { id, seed, steps } = kept.measured;
  const others = underWay();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${id}.${seed}.${steps}.json`), `${text(kept)}\n`);
  others.push(kept);
}

/** Programs that the table says are not measured yet. */
export function pending(): readonly string[] {
  const found = existsSync(table) ? parsed(readFileSync(table, "utf8")) : undefined;
  return isTable(found) ? found.pending : [];
}

/** Takes what is under way into the table, which then holds what has one of `keys` (in their order) and nothing else; `left` is not measured yet. */
export function merge(keys: readonly string[], left: readonly string[]): void {
  const order = new Map(keys.map((key, at) => [key, at]));
  const rank = ({ key, measured }: Kept): number => (order.get(key) ?? 0) * 1e6 + measured.steps * 1e2 + measured.seed;
  const kept = measurements().filter(({ key }) => order.has(key)).sort((a, b) => rank(a) - rank(b));
  writeFileSync(table, `{"settings":${JSON.stringify(settings)},"pending":${JSON.stringify(left)},"runs":[\n${kept.map(text).join(",\n")}\n]}\n`);
  rmSync(folder, { recursive: true, force: true });
  read.clear();
}

function inTable(): Kept[] {
  return once("table", () => {
    const found = existsSync(table) ? parsed(readFileSync(table, "utf8")) : undefined;
    // Of another recipe nothing can be used.
    return isTable(found) && found.settings === settings ? [...found.runs] : [];
  });
}

function underWay(): Kept[] {
  return once("folder", () => (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.endsWith(".json")).flatMap((name) => {
    const found = parsed(readFileSync(join(folder, name), "utf8"));
    return isKept(found) ? [found] : [];
  }));
}

function once(from: string, load: () => Kept[]): Kept[] {
  const found = read.get(from) ?? load();
  read.set(from, found);
  return found;
}

/** One line; numbers as they were measured, NaN as a word. */
function text(kept: Kept): string {
  return JSON.stringify(kept, (_, v: unknown) => (typeof v === "number" && !Number.isFinite(v) ? "NaN" : v));
}

function parsed(json: string): unknown {
  return JSON.parse(json, (_, v: unknown) => (v === "NaN" ? NaN : v));
}

function isTable(value: unknown): value is { readonly settings: string; readonly pending: readonly string[]; readonly runs: readonly Kept[] } {
  return typeof value === "object" && value !== null && "settings" in value && "pending" in value && "runs" in value;
}

function isKept(value: unknown): value is Kept {
  return typeof value === "object" && value !== null && "key" in value && "measured" in value;
}
