/**
 * The programs of the truth test: the corpus of programs with known verdicts, and the small systems of examples/.
 *
 * Owns the list and how a program is made small: pictures of 32x32 where it has larger ones, one narrow block where it has
 * several. Verdicts are the checker's own, on the very text that is trained.
 */
import type { CheckResult, CompileResult } from "../../compiler/compile.js";
import { check, compile } from "../../compiler/compile.js";
import { catalogue } from "../../compiler/messages/catalogue.js";
import { corpus as programs } from "../compiler/collapse/corpus.js";
import { mechanisms } from "../compiler/collapse/variations.js";
import { readRepo } from "../fidelity/compiled.js";
import { SIDE } from "./recipe.js";

/** One program to train. */
export interface Case {
  /** `C001` (published), `U101` (written unseen), `M001` (mechanisms), or the name of a small system. */
  readonly id: string;
  /** What it is, in words. */
  readonly title: string;
  /** What the text is said to be: paths of `use` start there. */
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

const systems = ["ijepa", "simsiam", "byol", "vicreg", "barlow-twins", "simclr", "dino", "mae", "data2vec", "lejepa"];
const narrow = { width: 32, depth: 1, heads: 2 };
/** What a system needs beside being narrow: data2vec averages its targets over as many blocks as it has. */
const own: Readonly<Record<string, Readonly<Record<string, number>>>> = { data2vec: { ...narrow, depth: 2, top: 2 } };
/** Notes on masks, which every program with blocks has. */
const notes: ReadonlySet<string> = new Set(["M-COVER", "M-TRUNC", "M-DUP", "M-CORR", "M-WEAK"]);

/** All programs that a target can train, in the order of the table. */
export function corpus(): Case[] {
  // What nobody asserts goes last: a run that is cut short has trained what matters.
  const trained = programs.filter((p) => p.trains);
  const order = [...trained.filter((p) => p.verdict !== "risky"), ...trained.filter((p) => p.verdict === "risky")];
  const known = order.map(({ id, source }): Case => ({ id, title: titleOf(id, source), file: `${id.toLowerCase()}.jepa`, text: source }));
  const examples = systems.map((name): Case => {
    const file = `examples/${name}-small.jepa`;
    return { id: `${name}-small`, title: file, file, text: readRepo(file) ?? "", set: own[name] ?? narrow };
  });
  return [...examples, ...known];
}

/** Programs of the corpus that can only be checked: films, actions, labels, pretrained networks, queues, moving weights. */
export function checkedOnly(): string[] {
  return programs.filter((p) => !p.trains).map((p) => p.id);
}

function titleOf(id: string, source: string): string {
  const first = /^\/\/\/ \w+: (.*)$/m.exec(source)?.[1];
  return first ?? mechanisms[Number(id.slice(1)) - 1]?.name ?? id;
}

/** With smaller pictures where the checker says the same of it then: a mask's verdict may depend on the grid. */
export function small(one: Case): Case {
  const text = one.text.replace(/Image\[(\d+), (\d+), 3\]/g, (whole, h: string, w: string) => (Number(h) > SIDE || Number(w) > SIDE ? `Image[${SIDE}, ${SIDE}, 3]` : whole));
  const said = (of: string): string => {
    const { analyses } = checkCase(one, of);
    return JSON.stringify([analyses?.program.verdict, analyses?.program.rules]);
  };
  return text === one.text || said(text) !== said(one.text) ? one : { ...one, text };
}

/** What the checker says of a case that compiled, on the text that is trained. */
export function judged(given: Case): Judged {
  const { one, compiled } = prepare(given);
  const program = compiled?.analyses?.program;
  if (program === undefined) throw new Error(`${given.id} was not analyzed`);
  return {
    ...one,
    verdict: program.verdict,
    rules: program.rules.filter((r) => !notes.has(r)),
    codes: program.reasons.filter((code) => isCode(code) && catalogue[code].severity === "error"),
  };
}

function isCode(code: string): code is keyof typeof catalogue {
  return Object.hasOwn(catalogue, code);
}

/** Checks a case, or another text of it. */
export function checkCase(one: Case, text: string = one.text): CheckResult {
  return check({ file: one.file, text, read: readRepo }, one.set === undefined ? {} : { set: one.set });
}

/** A case as it is trained: small, and allowed where it is refused. Thrown faults of the compiler are told as refusals. */
export interface Prepared {
  readonly one: Case;
  readonly compiled: CompileResult | undefined;
  readonly refused: string | undefined;
}

const prepared = new Map<string, Prepared>();

/** Makes a case ready, once. */
export function prepare(given: Case): Prepared {
  const known = prepared.get(given.id);
  if (known !== undefined) return known;
  const made = freshly(given);
  prepared.set(given.id, made);
  return made;
}

function freshly(given: Case): Prepared {
  try {
    const one = small(given);
    const compileText = (text: string): CompileResult => compile({ file: one.file, text, read: readRepo }, one.set === undefined ? {} : { set: one.set });
    const plain = compileText(one.text);
    const compiled = plain.ok ? plain : compileText(allowing(one.text));
    const refused = compiled.ok ? undefined : compiled.diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code}: ${d.message}`).join(" ");
    return { one, compiled, refused };
  } catch (error) {
    return { one: given, compiled: undefined, refused: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

/** The text with the author's word that collapse and leaks are wanted. */
export function allowing(text: string): string {
  return text.replace(/^(model \w+ \{)$/m, '$1\n  allow collapse("the truth test wants to see it")\n  allow leak("the truth test wants to see it")');
}
