/**
 * What may stand at a place: words of the language, names, arguments of the call around it.
 *
 * Owns the choice, from the text before the place and the item around it: while a line is being written its tree is
 * seldom whole. Offers too much rather than too little; the editor narrows by the letters already there.
 */
import { own } from "../base/own.js";
import { builtinFormals, builtinNames } from "../check/builtins.js";
import { maskKinds, maskOptions } from "../check/masks.js";
import { probeKinds } from "../check/probes.js";
import { settingArguments, settingNames } from "../check/train.js";
import { transformKinds } from "../check/transforms.js";
import { isLoss, lossKind, lossNames } from "../model/losses.js";
import type * as ast from "../syntax/ast.js";
import { printExpr } from "../syntax/print.js";
import { itemWords, statementWords } from "../syntax/tokens.js";
import { nodesAt } from "../syntax/visit.js";
import { choicesAfter, settingChoicesAfter } from "./choices.js";
import type { Declared, Files } from "./names.js";
import { moduleBehind, namesIn, topLevel } from "./names.js";

/** What a completion is, by the names that editors know. */
export type Kind = "keyword" | "function" | "variable" | "class" | "property" | "constant";

/** Something that may be written. */
export interface Completion {
  readonly label: string;
  readonly kind: Kind;
  readonly detail?: string;
  /** What is written where it is not the label. */
  readonly insert?: string;
}

/** What may be written at an offset of the main file, whose text this is. */
export function completions(files: Files, text: string, offset: number): readonly Completion[] {
  const before = text.slice(0, offset);
  if (/(\/\/|#)[^\n]*$/.test(before) || /^[^"\n]*("[^"\n]*"[^"\n]*)*"[^"\n]*$/.test(before.slice(before.lastIndexOf("\n") + 1))) return [];
  if (headless(before)) return topLevel(files).filter((d) => d.by.kind === "model" || d.by.kind === "variant").map(({ name, by }) => ({ label: name.text, kind: "class", detail: by.kind }));
  const choices = choicesAfter(before);
  if (choices !== undefined) return words(choices);
  const item = itemAt(files.main, offset);
  if (item === undefined) return words(itemWords);
  const object = /([A-Za-z_]\w*)\.\w*$/.exec(before)?.[1];
  if (object !== undefined) return partsOf(files, item, object);
  const line = /^\s*\w*$/.test(before.slice(Math.max(before.lastIndexOf("\n"), before.lastIndexOf("{"), before.lastIndexOf(";")) + 1));
  const recipe = recipeAt(files.main, offset);
  // In recipes and sweeps there are no modules, and few kinds of names.
  const valuesOf = (...kinds: readonly string[]): readonly Completion[] => names(files, item).filter(({ detail }) => detail !== undefined && kinds.includes(detail));
  const mask = /\bmask\s+\w+\s*=[^\n]*$/.test(before);
  const called = calleeBefore(before);
  const taken = called === undefined ? [] : argumentsOf(files, item, called, recipe?.kind ?? (mask ? "mask" : "item"));
  if (recipe?.kind === "train") {
    // Braces within a setting are those of its data.
    const augmenting = blockDepth(before) > (item === recipe ? 1 : 2);
    if (line && !augmenting) return settingNames().map((label) => ({ label, kind: "property" as const }));
    const chosen = called === undefined ? settingChoicesAfter(before) : undefined;
    return chosen === undefined ? unique([...taken, ...(augmenting ? [...transforms(), asFunction("normalize")] : schedules), ...valuesOf("param")]) : words(chosen);
  }
  if (recipe?.kind === "probe") return called === undefined ? Object.keys(probeKinds()).map(asFunction) : [...taken, ...valuesOf("instance")];
  if (item.kind === "sweep") return called === undefined ? valuesOf("param", "instance") : taken;
  const statement = line ? words(statementWords) : [];
  const special = mask ? maskKinds.map(asFunction) : /\bloss\b[^\n]*$/.test(before) ? lossNames().map(asFunction) : [];
  return unique([...taken, ...special, ...statement, ...names(files, item), ...builtinNames().map(asFunction), ...makers.map(asFunction), ...transforms()]);
}

/** Words that make instances, and inputs of other kinds, that are no built-in functions of values. */
const makers = ["ema", "frozen", "pretrained", "stopgrad", "augment"] as const;
const schedules: readonly Completion[] = ["cosine", "linear_schedule", "constant"].map(asFunction);

/** The item around an offset. */
function itemAt(file: ast.File, offset: number): ast.Item | undefined {
  const inside = nodesAt(file, offset)[1];
  return file.items.find((i) => i === inside);
}

function recipeAt(file: ast.File, offset: number): ast.Train | ast.Probe | undefined {
  return nodesAt(file, offset).flatMap((n) => (n.kind === "train" || n.kind === "probe" ? [n] : [])).at(-1);
}

/** The name before the innermost bracket that is still open. */
function calleeBefore(before: string): string | undefined {
  let depth = 0;
  for (let i = before.length - 1; i >= 0; i--) {
    const c = before[i];
    if (c === ")") depth += 1;
    else if (c === "(" && depth-- === 0) return /([A-Za-z_]\w*)\s*$/.exec(before.slice(0, i))?.[1];
    else if (c === "{" || c === "}") return undefined;
  }
  return undefined;
}

/** Open braces before a place. */
function blockDepth(before: string): number {
  return [...before].reduce((depth, c) => Math.max(0, depth + (c === "{" ? 1 : c === "}" ? -1 : 0)), 0);
}

/** Whether a program's name is being written: `train |`, `variant x of |`. */
function headless(before: string): boolean {
  return /(^|\n)\s*((train|probe)\s+\w*|(variant|sweep)\s+\w+\s+of\s+\w*)$/.test(before);
}

/** Arguments of what is called; masks, probes and recipes have calls of their own, whatever modules there are. */
function argumentsOf(files: Files, within: ast.Item, callee: string, place: "mask" | "train" | "probe" | "item"): readonly Completion[] {
  const special = place === "mask" ? (maskKinds.some((k) => k === callee) ? maskOptions : undefined) : place === "probe" ? own(probeKinds(), callee) : place === "train" ? own(settingArguments, callee) : undefined;
  if (special !== undefined) return special.map((n) => argument(n, undefined));
  const module = place === "item" ? moduleBehind(files, within, { kind: "ref", name: callee, span: { file: "", start: Number.MAX_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER } }) : undefined;
  const instance = module !== undefined && module.name.text !== callee;
  const formals = module === undefined ? undefined : (instance ? module.inputs : module.config).map((f) => argument(f.name.text, f.default === undefined ? undefined : `= ${printExpr(f.default)}`));
  if (formals !== undefined) return formals;
  if (isLoss(callee)) {
    const { numbers, words: choices } = lossKind(callee);
    return [...Object.entries(numbers).map(([k, v]) => argument(k, `= ${v}`)), ...Object.entries(choices).map(([k, v]) => argument(k, v.join(" or ")))];
  }
  // The first argument is what a function is of, and is seldom named.
  const named = own(transformKinds(), callee) ?? builtinFormals(callee)?.filter((f, i) => f.endsWith("?") || (i > 0 && f !== "...")).map((f) => f.replace("?", ""));
  return (named ?? (callee === "augment" ? ["size"] : [])).map((n) => argument(n, undefined));
}

/** What follows the dot: in a sweep what an instance was given, elsewhere its parts. */
function partsOf(files: Files, within: ast.Item, object: string): readonly Completion[] {
  const module = moduleBehind(files, within, { kind: "ref", name: object, span: { file: "", start: Number.MAX_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER } });
  if (within.kind !== "sweep") return (module?.body ?? []).flatMap((s) => (s.kind === "part" ? [{ label: s.name.text, kind: "function" as const, detail: printExpr(s.value) }] : []));
  return (module?.config ?? []).map((f): Completion => ({ label: f.name.text, kind: "property", ...(f.default === undefined ? {} : { detail: `= ${printExpr(f.default)}` }) }));
}

function argument(name: string, detail: string | undefined): Completion {
  return { label: `${name}:`, kind: "property", insert: `${name}: `, ...(detail === undefined ? {} : { detail }) };
}

function names(files: Files, within: ast.Item): readonly Completion[] {
  return unique(namesIn(files, within).map((d): Completion => ({ label: d.name.text, kind: kindOf(d), detail: "kind" in d.by ? d.by.kind : "parameter" })));
}

function kindOf({ by }: Declared): Kind {
  if (!("kind" in by)) return "variable";
  switch (by.kind) {
    case "module": case "instance": case "part": return "function";
    case "param": return "constant";
    default: return "variable";
  }
}

function transforms(): readonly Completion[] {
  return Object.keys(transformKinds()).map(asFunction);
}

function words(list: readonly string[]): readonly Completion[] {
  return [...new Set(list)].map((label) => ({ label, kind: "keyword" }));
}

function asFunction(label: string): Completion {
  return { label, kind: "function" };
}

function unique(list: readonly Completion[]): readonly Completion[] {
  return list.filter((c, i) => list.findIndex((o) => o.label === c.label) === i);
}
