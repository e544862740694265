/**
 * The programs of the truth test: the published cases with their texts, and the small systems of examples/.
 *
 * Owns the list and how a program is made small: pictures of 32x32 where it has larger ones, one narrow block where it has
 * several. Verdicts are the checker's own, on the very text that is trained.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { CheckResult } from "../../compiler/compile.js";
import { check } from "../../compiler/compile.js";
import { readRepo } from "../fidelity/compiled.js";
import { SIDE } from "./recipe.js";

const root = join(import.meta.dirname, "../..");

/** One program to train. */
export interface Case {
  /** Short name: `c001-simsiam`, `simsiam-small`. */
  readonly id: string;
  /** Path from the repository's root. */
  readonly file: string;
  /** The text that is checked and trained. */
  readonly text: string;
  readonly set?: Readonly<Record<string, number>>;
}

/** A case with what the checker says of it. */
export interface Judged extends Case {
  readonly verdict: "sound" | "risky" | "error";
  /** Rules of the theory that speak against it, notes left out. */
  readonly rules: readonly string[];
  /** Codes of the refusals. */
  readonly codes: readonly string[];
}

/** Folders of cases, each file one program. */
const folders = ["test/compiler/collapse/cases", "test/compiler/collapse/more"];
const systems = ["ijepa", "simsiam", "byol", "vicreg", "barlow-twins", "simclr", "dino", "mae", "data2vec", "lejepa"];
const narrow = { width: 32, depth: 1, heads: 2 };
/** Notes on masks, which every program with blocks has. */
const notes: ReadonlySet<string> = new Set(["M-COVER", "M-TRUNC", "M-DUP", "M-CORR", "M-WEAK"]);

/** All programs, in the order of the table. */
export function corpus(): Case[] {
  const cases = folders.flatMap((folder) => filesOf(folder).map((name): Case => {
    const file = `${folder}/${name}`;
    return { id: name.replace(/\.jepa$/, ""), file, text: small(readFileSync(join(root, file), "utf8")) };
  }));
  const own = systems.map((name): Case => {
    const file = `examples/${name}-small.jepa`;
    return { id: `${name}-small`, file, text: readFileSync(join(root, file), "utf8"), set: narrow };
  });
  return [...cases, ...own];
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(join(root, folder)).filter((f) => f.endsWith(".jepa")).sort();
  } catch {
    return [];
  }
}

function small(text: string): string {
  return text.replace(/Image\[(\d+), (\d+), 3\]/g, (whole, h: string, w: string) => (Number(h) > SIDE || Number(w) > SIDE ? `Image[${SIDE}, ${SIDE}, 3]` : whole));
}

/** Checks a case; throws when it has mistakes beyond a verdict. */
export function judged(one: Case): Judged {
  const result = checkCase(one);
  const { analyses } = result;
  if (analyses === undefined) throw new Error(`${one.file} has mistakes: ${result.diagnostics.map((d) => `${d.code} ${d.message}`).join("; ")}`);
  return {
    ...one,
    verdict: analyses.program.verdict,
    rules: analyses.program.rules.filter((r) => !notes.has(r)),
    codes: analyses.diagnostics.filter((d) => d.severity === "error").map((d) => d.code),
  };
}

/** Checks a case, or another text of it. */
export function checkCase(one: Case, text: string = one.text): CheckResult {
  return check({ file: one.file, text, read: readRepo }, one.set === undefined ? {} : { set: one.set });
}

/** The text with the author's word that collapse and leaks are wanted. */
export function allowing(text: string): string {
  return text.replace(/^(model \w+ \{)$/m, '$1\n  allow collapse("the truth test wants to see it")\n  allow leak("the truth test wants to see it")');
}
