/**
 * Another name for what a program declares, everywhere in its files.
 *
 * Owns the edits and the reasons against them. A bare argument finds its place by its name (`vit(patch, width)`), so one that
 * is renamed says which place it means from then on; a new name that would change what another place means is refused.
 */
import type { Span } from "../base/span.js";
import { isBuiltin } from "../check/builtins.js";
import type { Edit } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import type * as ast from "../syntax/ast.js";
import { walk } from "../syntax/visit.js";
import type { Declared, Files, Occurrence } from "./names.js";
import { declarationOf, isSame, moduleBehind, namesIn, occurrencesOf, originOf, topLevel } from "./names.js";
import { wordsIn } from "./words.js";

/** The edits, or why there are none. */
export type Renamed = { readonly edits: readonly Edit[] } | { readonly refused: string };

/** What a rename at this place would rename, or why nothing can be. */
export function renamable(files: Files, occurrence: Occurrence | undefined): Declared | { readonly refused: string } {
  if (occurrence === undefined) return { refused: "There is no name here." };
  const declared = declarationOf(files, occurrence);
  if (declared === undefined) return { refused: `\`${occurrence.name.text}\` is a word of the language, or is not declared.` };
  if (isLibraryName(originOf(files, declared).name.span.file)) return { refused: `\`${declared.name.text}\` belongs to the library.` };
  const replaces = declared.within === undefined && "kind" in declared.by && declared.by.kind === "module" && files.library.some((f) => f.items.some((i) => i.kind === "module" && i.name.text === declared.name.text));
  return replaces ? { refused: `\`${declared.name.text}\` takes the place of the library's module of this name, in the library too.` } : declared;
}

/** Renames what stands at a place in the program's own files. */
export function rename(files: Files, occurrence: Occurrence | undefined, to: string): Renamed {
  const declared = renamable(files, occurrence);
  if ("refused" in declared) return declared;
  const from = declared.name.text;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(to)) return { refused: `\`${to}\` is no name: letters, digits and underscores, not beginning with a digit.` };
  if (to === from) return { edits: [] };
  if (to === "true" || to === "false") return { refused: `\`${to}\` is a value of the language.` };
  if (isBuiltin(to)) return { refused: `\`${to}\` is built in, and other lines may mean that.` };
  const places = occurrencesOf(files, declared);
  if (isKnown(files, declared, places, to)) return { refused: `\`${to}\` is declared already.` };
  const at = (span: Span): string => `${span.file}:${span.start}`;
  const edits = new Map(places.map(({ name: { span } }): [string, Edit] => [at(span), { span, text: to }]));
  const renamed = new Set(edits.keys());
  for (const { module, args } of callsOfModules(files)) {
    const named = renamedCall(module.config, args, declared, (span) => renamed.has(at(span)), to);
    if (named === undefined) return { refused: `A call of \`${module.name.text}\` finds its parameters by name and by order, and would give them other values: name its arguments first.` };
    for (const edit of named) edits.set(at(edit.span), edit);
  }
  return { edits: [...edits.values()] };
}

/** Whether a name is taken where the renamed one is declared, or means something else in an item where that stands or may stand. */
function isKnown(files: Files, declared: Declared, places: readonly Occurrence[], to: string): boolean {
  if (topLevel(files).some((d) => d.name.text === to)) return true;
  const holds = (item: ast.Item): boolean => places.some((o) => o.within === item) || (declared.within !== undefined && namesIn(files, item).some((d) => isSame(files, d, declared)));
  return [files.main, ...files.used].flatMap((f) => f.items.filter(holds)).some((item) => namesIn(files, item).some((d) => d.name.text === to));
}

/** Calls that configure a module; what an instance is given is data, which finds its place by order alone. */
function callsOfModules(files: Files): readonly { readonly module: ast.Module; readonly args: readonly ast.Arg[] }[] {
  return [files.main, ...files.used].flatMap((file) => file.items.flatMap((item) => {
    const found: { readonly module: ast.Module; readonly args: readonly ast.Arg[] }[] = [];
    const words = wordsIn(item);
    walk(item, (node) => {
      if (node.kind !== "call" || node.callee.kind !== "ref" || words.has(node.callee)) return;
      const module = moduleBehind(files, item, node.callee);
      if (module?.name.text === node.callee.name) found.push({ module, args: node.args });
    });
    return found;
  }));
}

/** An argument as binding sees it. */
interface Given {
  readonly name: string | undefined;
  /** Its text, where it is a name and nothing else. */
  readonly bare: string | undefined;
}

/**
 * The edits that keep each argument of a call with its parameter: what found it by its own name says it from then on.
 * Undefined where they would not.
 */
function renamedCall(config: readonly ast.Formal[], args: readonly ast.Arg[], declared: Declared, isPlace: (span: Span) => boolean, to: string): readonly Edit[] | undefined {
  const formals = config.map((f) => f.name.text);
  const later = config.map((f) => (f === declared.by ? to : f.name.text));
  const given = args.map(({ name, value }): Given => ({ name: name?.text, bare: value.kind === "ref" ? value.name : undefined }));
  const before = placed(formals, given);
  const edits: Edit[] = [];
  const after = args.map(({ name, value }, i): Given => {
    const goal = later[formals.indexOf(before[i] ?? "")];
    const bare = value.kind === "ref" ? (isPlace(value.span) ? to : value.name) : undefined;
    if (name !== undefined) return { name: isPlace(name.span) ? to : name.text, bare };
    if (value.kind !== "ref" || before[i] !== value.name || goal === bare) return { name: undefined, bare };
    edits.push({ span: value.span, text: `${goal ?? ""}: ${bare ?? ""}` });
    return { name: goal, bare };
  });
  const now = placed(later, after);
  return before.every((formal, i) => now[i] === (formal === undefined ? undefined : later[formals.indexOf(formal)] ?? formal)) ? edits : undefined;
}

/** The parameter of each argument, by the rule of the checker: its name, else a parameter called like it, else the first that is left. */
function placed(formals: readonly string[], args: readonly Given[]): readonly (string | undefined)[] {
  const own = ({ name, bare }: Given): string | undefined => (name === undefined && bare !== undefined && formals.includes(bare) ? bare : undefined);
  const byName = new Set(args.map(own));
  const taken = new Set<string>();
  return args.map((arg) => {
    const formal = arg.name ?? own(arg) ?? formals.find((f) => !byName.has(f) && !taken.has(f));
    if (formal !== undefined) taken.add(formal);
    return formal;
  });
}
