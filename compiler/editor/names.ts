/**
 * Names in a file: every place where one stands, and what it stands for.
 *
 * Owns the scopes of the language as an editor needs them: also in a program with mistakes, where the checker has nothing to
 * say. A name is looked for in its module or program (a variant's base after its own lines), then among the modules and
 * programs of all files; a parameter of a call in the module that is called. Built-in words are declared nowhere. Leaves
 * types and verdicts to the graph.
 */
import type { Span } from "../base/span.js";
import type * as ast from "../syntax/ast.js";
import { walk } from "../syntax/visit.js";
import { wordsIn } from "./words.js";

/** The files of a program, the one that is edited first. */
export interface Files {
  readonly main: ast.File;
  readonly used: readonly ast.File[];
  readonly library: readonly ast.File[];
}

/** What declares a name. */
export type Declaring = ast.Statement | ast.Formal | ast.TypeExpr | Named;

/** A name with what declares it. */
export interface Declared {
  readonly name: ast.Name;
  readonly by: Declaring;
  /** The model, variant or module in which it stands; undefined for those themselves. */
  readonly within: ast.Item | undefined;
}

/** A name that a file declares. */
export interface TopLevel extends Declared {
  readonly by: Named;
}

/** Items that have a name. */
export type Named = ast.Module | ast.Model | ast.Variant | ast.Sweep;

/** A place where a name stands. */
export interface Occurrence {
  readonly name: ast.Name;
  readonly within: ast.Item;
  /** A declaration, a use, the name of an argument (`at:` of a call), the part of an instance after a dot, a word of the language. */
  readonly role:
    | { readonly kind: "declares"; readonly by: Declaring }
    | { readonly kind: "uses" }
    | { readonly kind: "word" }
    | { readonly kind: "program" }
    | { readonly kind: "argument"; readonly callee: ast.Expr }
    | { readonly kind: "member"; readonly object: ast.Name };
}

/** Every name of a file, in the order of the tree. */
export function occurrences(file: ast.File): readonly Occurrence[] {
  const found: Occurrence[] = [];
  for (const item of file.items) {
    const add = (name: ast.Name | undefined, role: Occurrence["role"]): void => {
      if (name !== undefined) found.push({ name, within: item, role });
    };
    for (const { name, by } of itemNames(item)) add(name, { kind: "declares", by });
    if (item.kind === "variant" || item.kind === "sweep") add(item.base, { kind: "program" });
    if (item.kind === "sweep") for (const axis of item.axes) pathOf(axis.path, add);
    const words = wordsIn(item);
    walk(item, (node) => {
      if (node.kind === "train" || node.kind === "probe") add(node.model, { kind: "program" });
      if (node.kind === "setting") add(node.name, { kind: "word" });
      if (node.kind === "repeat" && node.over !== undefined) add(node.over.list, { kind: "uses" });
      if (node.kind === "ref") add({ text: node.name, span: node.span }, { kind: words.has(node) ? "word" : "uses" });
      if (node.kind === "call" && !words.has(node.callee)) for (const arg of node.args) add(arg.name, { kind: "argument", callee: node.callee });
      if (node.kind === "member" && node.object.kind === "ref") add(node.member, { kind: "member", object: { text: node.object.name, span: node.object.span } });
    });
  }
  return found;
}

function pathOf(path: readonly ast.Name[], add: (name: ast.Name | undefined, role: Occurrence["role"]) => void): void {
  const [first, second] = path;
  add(first, { kind: "uses" });
  if (first !== undefined) add(second, { kind: "member", object: first });
}

/** The name at an offset; both of its ends count, as a cursor stands between letters. */
export function occurrenceAt(file: ast.File, offset: number): Occurrence | undefined {
  return occurrences(file).find(({ name: { span } }) => span.start <= offset && offset <= span.end);
}

/** What a name stands for; undefined for words of the language and for names that nothing declares. */
export function declarationOf(files: Files, occurrence: Occurrence): Declared | undefined {
  const { name, within, role } = occurrence;
  switch (role.kind) {
    case "declares": return { name, by: role.by, within: isTop(role.by) ? undefined : within };
    case "program": return topLevel(files).find((d) => d.name.text === name.text && d.by.kind !== "module");
    case "word": return undefined;
    case "uses": return named(files, within, name);
    case "argument": return formalOf(moduleBehind(files, within, role.callee), name.text);
    case "member": return formalOf(moduleBehind(files, within, { kind: "ref", name: role.object.text, span: role.object.span }), name.text);
  }
}

/** The first declaration of what a variant declares again, or a loop carries on. */
export function originOf(files: Files, declared: Declared): Declared {
  const { within, name } = declared;
  const carried = carriedBy(declared);
  if (carried !== undefined) return originOf(files, carried);
  const base = within?.kind === "variant" ? scopeOf(files, within).findLast((d) => d.name.text === name.text && d.within?.kind !== "module") : undefined;
  return base ?? declared;
}

/** What a line of a loop gives a new value to: each round goes on with it, so that it is one name inside and behind the loop. */
function carriedBy({ within, name, by }: Declared): Declared | undefined {
  if (within?.kind !== "module" || !("kind" in by) || by.kind !== "binding") return undefined;
  const loop = within.body.find((s) => s.kind === "repeat" && s.span.start <= name.span.start && name.span.start < s.span.end);
  return loop === undefined ? undefined : inside(within).findLast((d) => d.name.text === name.text && d.name.span.start < loop.span.start);
}

/** Every place in files of the user's that names what `declared` declares; declarations and what variants put in their place included. */
export function placesOf(files: Files, declared: Declared): readonly Span[] {
  return occurrencesOf(files, declared).map((o) => o.name.span);
}

/** The same with the item in which each place lies. */
export function occurrencesOf(files: Files, declared: Declared): readonly Occurrence[] {
  const found = [files.main, ...files.used].flatMap((f) => occurrences(f).filter((o) => {
    const to = o.name.text === declared.name.text ? declarationOf(files, o) : undefined;
    return to !== undefined && isSame(files, to, declared);
  }));
  return found.filter(({ name: { span } }, i) => found.findIndex(({ name: { span: s } }) => s.file === span.file && s.start === span.start) === i);
}

/** Whether two declarations are of one thing, as a line of a variant and the one that it replaces. */
export function isSame(files: Files, a: Declared, b: Declared): boolean {
  const [one, other] = [originOf(files, a).name.span, originOf(files, b).name.span];
  return one.file === other.file && one.start === other.start;
}

/** Names that may be written in an item: its own, those of its bases, and the modules of all files. */
export function namesIn(files: Files, within: ast.Item): readonly Declared[] {
  const modules = topLevel(files).filter((d) => d.by.kind === "module");
  return [...scopeOf(files, within), ...modules];
}

/** Models, variants, modules and sweeps of all files; the user's before the library's, whose modules they may replace. */
export function topLevel(files: Files): readonly TopLevel[] {
  return [files.main, ...files.used, ...files.library].flatMap((file) => file.items.flatMap((item): TopLevel[] => {
    const named = item.kind === "module" || item.kind === "model" || item.kind === "variant" || item.kind === "sweep";
    return named ? [{ name: item.name, by: item, within: undefined }] : [];
  }));
}

/** The module that an expression is made of: `vit` of `vit(…)`, of an instance of it, and of a moving average of that. */
export function moduleBehind(files: Files, within: ast.Item, expr: ast.Expr, depth = 0): ast.Module | undefined {
  // A name that is made of itself is a mistake, and no reason to go on for ever.
  if (depth > 16) return undefined;
  switch (expr.kind) {
    case "call": {
      const of = expr.callee.kind === "ref" && followers.has(expr.callee.name) ? expr.args[0]?.value : undefined;
      return moduleBehind(files, within, of ?? expr.callee, depth + 1);
    }
    case "of": return moduleBehind(files, within, expr.item, depth + 1);
    case "ref": {
      const declared = named(files, within, { text: expr.name, span: expr.span });
      if (declared === undefined || !("kind" in declared.by)) return undefined;
      if (declared.by.kind === "module") return declared.by;
      return declared.by.kind === "instance" || declared.by.kind === "part" ? moduleBehind(files, declared.within ?? within, declared.by.value, depth + 1) : undefined;
    }
    default: return undefined;
  }
}

/** Words that make one instance from another. */
const followers: ReadonlySet<string> = new Set(["ema", "frozen", "pretrained"]);

function formalOf(module: ast.Module | undefined, text: string): Declared | undefined {
  const formal = module === undefined ? undefined : [...module.config, ...module.inputs].find((f) => f.name.text === text);
  return formal === undefined ? undefined : { name: formal.name, by: formal, within: module };
}

/** The last declaration before the name, else the first one; then top-level names. */
function named(files: Files, within: ast.Item, name: ast.Name): Declared | undefined {
  const inside = scopeOf(files, within).filter((d) => d.name.text === name.text && isKnownAt(d, name.span));
  // A binding is known after its own line: `x = block(x)` names the earlier one.
  const before = inside.filter((d) => d.name.span.file === name.span.file && endOf(d) <= name.span.start);
  return before.at(-1) ?? inside[0] ?? topLevel(files).find((d) => d.name.text === name.text && d.by.kind === "module");
}

/** The element of a loop is known in its loop alone: the same name before or behind it may be a module's. */
function isKnownAt({ by }: Declared, { file, start }: Span): boolean {
  return !("kind" in by) || by.kind !== "repeat" || (by.span.file === file && by.span.start <= start && start < by.span.end);
}

function endOf({ by, name }: Declared): number {
  return "kind" in by && by.kind === "binding" ? by.span.end : name.span.end;
}

function isTop(by: Declaring): boolean {
  return "kind" in by && (by.kind === "module" || by.kind === "model" || by.kind === "variant" || by.kind === "sweep");
}

/** Declarations inside an item and, for a variant, a recipe or a sweep, inside the program that it is of. */
function scopeOf(files: Files, item: ast.Item, seen: readonly ast.Item[] = []): readonly Declared[] {
  if (seen.includes(item)) return [];
  const own = item.kind === "model" || item.kind === "variant" || item.kind === "module" ? inside(item) : [];
  const base = item.kind === "variant" || item.kind === "sweep" ? item.base : item.kind === "train" || item.kind === "probe" ? item.model : undefined;
  const program = base === undefined ? undefined : topLevel(files).find((d) => d.name.text === base.text && d.by.kind !== "module")?.by;
  return program === undefined ? own : [...own, ...scopeOf(files, program, [...seen, item])];
}

function inside(item: ast.Item): readonly Declared[] {
  return itemNames(item).filter(({ by }) => by !== item).map(({ name, by }) => ({ name, by, within: item }));
}

/** What an item declares, itself first; sizes of a module's data are declared where they first stand. */
function itemNames(item: ast.Item): readonly { readonly name: ast.Name; readonly by: Declaring }[] {
  switch (item.kind) {
    case "use": case "train": case "probe": return [];
    case "sweep": return [{ name: item.name, by: item }];
    case "model": case "variant": return [{ name: item.name, by: item }, ...item.body.flatMap(statementNames)];
    case "module": return [
      { name: item.name, by: item },
      ...[...item.config, ...item.inputs].map((f) => ({ name: f.name, by: f })),
      ...sizesOf(item),
      ...item.body.flatMap(statementNames),
    ];
  }
}

function sizesOf(module: ast.Module): readonly { readonly name: ast.Name; readonly by: Declaring }[] {
  const known = new Set([...module.config, ...module.inputs].map((f) => f.name.text));
  return module.inputs.flatMap(({ type }) => (type?.args ?? []).flatMap((arg) => {
    if (arg.kind !== "ref" || type === undefined || known.has(arg.name)) return [];
    known.add(arg.name);
    return [{ name: { text: arg.name, span: arg.span }, by: type }];
  }));
}

function statementNames(statement: ast.Statement): readonly { readonly name: ast.Name; readonly by: Declaring }[] {
  switch (statement.kind) {
    case "param": case "input": case "mask": case "instance": case "part": case "learn": return [{ name: statement.name, by: statement }];
    case "view": case "binding": return statement.names.map((name) => ({ name, by: statement }));
    case "loss": return statement.name === undefined ? [] : [{ name: statement.name, by: statement }];
    case "repeat": return [...(statement.over === undefined ? [] : [{ name: statement.over.element, by: statement }]), ...statement.body.flatMap(statementNames)];
    case "result": case "allow": case "train": case "probe": return [];
  }
}
