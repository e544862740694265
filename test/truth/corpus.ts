/**
 * The programs of the truth test: the corpus of programs with known verdicts, and the small systems of examples/.
 *
 * Owns the list and how a program is made small: pictures of 32x32 where it has larger ones, one narrow block where it has
 * several. Verdicts are the checker's own, on the very text that is trained.
 */
import type { CheckResult } from "../../compiler/compile.js";
import { check, compile, lowerChecked } from "../../compiler/compile.js";
import { makeManifest } from "../../compiler/manifest.js";
import type { ModelGraph } from "../../compiler/model/ir.js";
import { catalogue } from "../../compiler/messages/catalogue.js";
import { untrainable } from "../../compiler/targets/supported.js";
import { verdictsOf } from "../../compiler/verdicts.js";
import type { Manifest } from "../../runtime/abi.js";
import { everything as programs } from "../compiler/collapse/corpus.js";
import { mechanisms } from "../compiler/collapse/variations.js";
import { readRepo } from "../fidelity/compiled.js";
import { BATCH, SIDE } from "./recipe.js";

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

const systems = ["ijepa", "simsiam", "byol", "vicreg", "barlow-twins", "simclr", "moco", "dino", "mae", "data2vec", "lejepa"];
const narrow = { width: 32, depth: 1, heads: 2 };
/** What a system needs beside being narrow: data2vec averages its targets over as many blocks as it has, I-JEPA's pictures are 64x64. */
const own: Readonly<Record<string, Readonly<Record<string, number>>>> = { data2vec: { ...narrow, depth: 2, top: 2 }, ijepa: { ...narrow, image_size: SIDE, patch: 4 } };
/** Notes on masks, which every program with blocks has. */
const notes: ReadonlySet<string> = new Set(["M-COVER", "M-TRUNC", "M-DUP", "M-CORR", "M-WEAK"]);

/**
 * All programs, in the order of training: what the literature speaks of first, what is only told after it, and last what takes more
 * than pictures, so that the sample of `longer.last.ts` stays what it was before those were trained.
 */
export function corpus(): Case[] {
  const asCase = ({ id, source }: (typeof programs)[number]): Case => ({ id, title: titleOf(id, source), file: `${id.toLowerCase()}.jepa`, text: withWeights(source) });
  const trained = programs.filter((p) => p.trains);
  const known = [...trained.filter((p) => p.verdict !== "risky"), ...trained.filter((p) => p.verdict === "risky")].map(asCase);
  const examples = systems.map((name): Case => {
    const file = `examples/${name}-small.jepa`;
    return { id: `${name}-small`, title: file, file, text: readRepo(file) ?? "", set: own[name] ?? narrow };
  });
  return [...known.filter((p) => p.id.startsWith("C")), ...examples, ...known.filter((p) => !p.id.startsWith("C")), ...programs.filter((p) => !p.trains).map(asCase)];
}

/** A pretrained module has to say where its weights are; what lies there is made by `pretraining.ts`. */
function withWeights(source: string): string {
  return source.replace(/(pretrained\((?:[^()]|\([^()]*\))*)\)/g, (whole, call: string) => (call.includes("from:") ? whole : `${call}, from: "made by the truth test")`));
}

function titleOf(id: string, source: string): string {
  const first = /^\/\/\/ \w+: (.*)$/m.exec(source)?.[1];
  return first ?? mechanisms[Number(id.slice(1)) - 1]?.name ?? id;
}

/** With smaller pictures and batches, each where the checker says the same of it then: a verdict may depend on grid and batch. */
export function small(one: Case): Case {
  const said = (text: string): string => {
    const { analyses } = checkCase(one, text);
    return JSON.stringify([analyses?.program.verdict, analyses?.program.rules]);
  };
  const cuts: readonly ((text: string) => string)[] = [
    (text) => text.replace(/Image\[(\d+), (\d+), 3\]/g, (whole, h: string, w: string) => (Number(h) > SIDE || Number(w) > SIDE ? `Image[${SIDE}, ${SIDE}, 3]` : whole)),
    (text) => text.replace(/^(\s*batch +)(\d+)/gm, (_, words: string, n: string) => `${words}${Math.min(BATCH, Number(n))}`),
  ];
  const text = cuts.reduce((now, cut) => (cut(now) !== now && said(cut(now)) === said(one.text) ? cut(now) : now), one.text);
  return { ...one, text };
}

/** What the checker says of a case, on the text that is trained. */
export function judged(given: Case): Judged {
  const { one, program } = prepare(given);
  if (program === undefined) return { ...one, verdict: "error", rules: [], codes: [] };
  return { ...one, verdict: program.verdict, rules: program.rules.filter((r) => !notes.has(r)), codes: program.reasons.filter((code) => isCode(code) && catalogue[code].severity === "error") };
}

function isCode(code: string): code is keyof typeof catalogue {
  return Object.hasOwn(catalogue, code);
}

/** Checks a case, or another text of it. */
export function checkCase(one: Case, text: string = one.text): CheckResult {
  return check({ file: one.file, text, read: readRepo }, optionsOf(one));
}

function optionsOf(one: Case): { readonly set?: NonNullable<Case["set"]> } {
  return one.set === undefined ? {} : { set: one.set };
}

/** A case as it is trained: small, and allowed where it is refused. All but the code, which only a training run needs. */
export interface Prepared {
  readonly one: Case;
  /** Why it cannot be trained, in words; the fields below are absent then. */
  readonly refused?: string;
  readonly program?: NonNullable<CheckResult["analyses"]>["program"];
  readonly manifest?: Manifest;
  readonly graph?: ModelGraph;
}

const prepared = new Map<string, Prepared>();

/** Makes a case ready, once. */
export function prepare(given: Case): Prepared {
  const known = prepared.get(given.id) ?? freshly(given);
  prepared.set(given.id, known);
  return known;
}

function freshly(given: Case): Prepared {
  const one = small(given);
  const plain = checkCase(one);
  const result = plain.ok ? plain : checkCase(one, allowing(one.text));
  const { checked, analyses, diagnostics } = result;
  const wrong = [...diagnostics.filter((d) => d.severity === "error"), ...(checked === undefined ? [] : untrainable(checked.graph))];
  if (checked === undefined || wrong.length > 0) return { one, refused: wrong.map((d) => `${d.code}: ${d.message}`).join(" ") };
  try {
    const lowered = lowerChecked(checked, analyses?.watchlist);
    const manifest = makeManifest({ checked, lowered, target: "tfjs", file: one.file, hash: "", compiler: "", flopsPerImage: 0, verdicts: verdictsOf(analyses, lowered.watches) });
    return { one, program: analyses?.program, manifest, graph: checked.graph };
  } catch (error) {
    return { one, refused: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

/** The code of a case that can be trained. */
export function codeOf(given: Case): string {
  const { one } = prepare(given);
  const compiled = (text: string): ReturnType<typeof compile> => compile({ file: one.file, text, read: readRepo }, optionsOf(one));
  const plain = compiled(one.text);
  const { files } = plain.ok ? plain : compiled(allowing(one.text));
  const code = files.find((f) => f.path === "model.mjs")?.text;
  if (code === undefined) throw new Error(`${given.id} was not compiled`);
  return code;
}

/** The text with the author's word that collapse and leaks are wanted. */
export function allowing(text: string): string {
  return text.replace(/^(model \w+ \{)$/m, '$1\n  allow collapse("the truth test wants to see it")\n  allow leak("the truth test wants to see it")');
}
