/**
 * From files to one program: which model is meant, and what its variants and train blocks add up to.
 *
 * Owns the table of top-level names, the choice of a program, the merging of a variant with its base (a variant keeps
 * everything that it does not say again; saying what is not there is an error) and overrides from sweeps and the command
 * line. The result is a flat list of statements and settings. Leaves their meaning to `model.ts` and `train.ts`.
 */
import { own } from "../base/own.js";
import type { Span } from "../base/span.js";
import type { Diagnostics } from "../messages/report.js";
import { didYouMean, surelyMeant } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";

/** A program ready to be elaborated. */
export interface Program {
  readonly name: string;
  readonly doc: string | undefined;
  readonly statements: readonly ast.Statement[];
  readonly settings: readonly ast.Setting[];
  readonly probes: readonly ast.Expr[];
  readonly modules: ReadonlyMap<string, ast.Module>;
  readonly sweeps: readonly ast.Sweep[];
  readonly span: Span;
  /** From the model down to this variant. */
  readonly chain: readonly string[];
  /** A used file is missing: see `Items`. */
  readonly lacking: boolean;
  /** Names that lines which could not be read may have declared. */
  readonly lost: ReadonlySet<string>;
}

/** Every top-level item that the files of a program declare. */
export interface Items {
  readonly models: ReadonlyMap<string, ast.Model>;
  readonly variants: ReadonlyMap<string, ast.Variant>;
  readonly modules: ReadonlyMap<string, ast.Module>;
  readonly sweeps: readonly ast.Sweep[];
  readonly trains: readonly ast.Train[];
  readonly probes: readonly ast.Probe[];
  /** Models and variants declared in the main file, in order. */
  readonly own: readonly string[];
  /** Models and variants of used files that the main file sweeps; where it declares nothing else, those that it trains or probes. */
  readonly adopted: readonly string[];
  /** A used file could not be had: what is not known here may be declared there. */
  readonly lacking: boolean;
  /** Names that lines which could not be read may have declared. */
  readonly lost: ReadonlySet<string>;
}

/** Collects items of the main file and of what it uses; library modules may be replaced by the program's own. */
export function collect(main: ast.File, used: readonly ast.File[], library: readonly ast.File[], lacking: boolean, diagnostics: Diagnostics): Items {
  const models = new Map<string, ast.Model>();
  const variants = new Map<string, ast.Variant>();
  const modules = new Map<string, ast.Module>();
  const sweeps: ast.Sweep[] = [];
  const trains: ast.Train[] = [];
  const probes: ast.Probe[] = [];
  for (const file of library) for (const item of file.items) if (item.kind === "module") modules.set(item.name.text, item);
  const declared = new Map<string, ast.Name>();
  const declare = (name: ast.Name): boolean => {
    const first = declared.get(name.text);
    if (first === undefined) {
      declared.set(name.text, name);
      return true;
    }
    diagnostics.add(report("JEP2002", name.span, { name: name.text }, { related: [{ span: first.span, message: "declared first here" }] }));
    return false;
  };
  for (const item of [...used.flatMap((f) => f.items), ...main.items]) {
    switch (item.kind) {
      case "model": if (declare(item.name)) models.set(item.name.text, item); break;
      case "variant": if (declare(item.name)) variants.set(item.name.text, item); break;
      case "module": if (declare(item.name)) modules.set(item.name.text, item); break;
      case "sweep": if (declare(item.name)) sweeps.push(item); break;
      case "train": trains.push(item); break;
      case "probe": probes.push(item); break;
      case "use": break;
    }
  }
  const own = main.items.flatMap((i) => (i.kind === "model" || i.kind === "variant" ? [i.name.text] : []));
  const swept = main.items.flatMap((i) => (i.kind === "sweep" ? [i.base.text] : []));
  const recipes = main.items.flatMap((i) => (i.kind === "train" || i.kind === "probe" ? i.model?.text ?? [] : []));
  const adopted = [...new Set(own.length + swept.length > 0 ? swept : recipes)].filter((n) => !own.includes(n) && (models.has(n) || variants.has(n)));
  const lost = new Set([main, ...used].flatMap((f) => f.broken.flatMap((b) => b.names)));
  if (!lacking) checkTargets(models, variants, sweeps, trains, probes, lost, diagnostics);
  return { models, variants, modules, sweeps, trains, probes, own, adopted, lacking, lost };
}

function checkTargets(models: ReadonlyMap<string, unknown>, variants: ReadonlyMap<string, unknown>, sweeps: readonly ast.Sweep[], trains: readonly ast.Train[], probes: readonly ast.Probe[], lost: ReadonlySet<string>, diagnostics: Diagnostics): void {
  const unknown = [...trains.map((t) => t.model), ...probes.map((p) => p.model), ...sweeps.map((s) => s.base)]
    .filter((name) => name !== undefined && !models.has(name.text) && !variants.has(name.text) && !lost.has(name.text));
  const told = new Set<string>();
  for (const name of unknown) {
    if (name === undefined || told.has(name.text)) continue;
    told.add(name.text);
    unknownModel(name, unknown.flatMap((n) => (n !== undefined && n !== name && n.text === name.text ? [n.span] : [])), [...models.keys(), ...variants.keys()], diagnostics);
  }
}

/** One report for all places that speak of a model by a name that none has; those of one file have one fix. */
function unknownModel(name: ast.Name, others: readonly Span[], known: readonly string[], diagnostics: Diagnostics): void {
  const extras = didYouMean(name.text, known, name.span, "Declare the model, or `use` the file that does.");
  const here = others.filter((s) => s.file === name.span.file);
  const fixes = extras.fixes?.map((f) => ({ ...f, edits: [...f.edits, ...here.flatMap((span) => f.edits.map(({ text }) => ({ span, text })))] }));
  diagnostics.add(report("JEP2003", name.span, { name: name.text }, {
    ...extras, ...(fixes === undefined ? {} : { fixes }), related: others.map((span) => ({ span, message: "and here" })),
  }));
}

/** The program to take when nothing is said: the file's first model, else its first variant, else the first that it adopts. */
export function defaultProgram(items: Items): string | undefined {
  const models = items.own.filter((n) => items.models.has(n));
  return models[0] ?? items.own[0] ?? items.adopted[0];
}

/** Every model and variant of the main file, and those that it adopts. */
export function programNames(items: Items): readonly string[] {
  return [...items.own, ...items.adopted];
}

/** Assembles a model or variant; undefined after a reported mistake. */
export function assemble(items: Items, name: string, diagnostics: Diagnostics): Program | undefined {
  const chain: ast.Variant[] = [];
  let current = name;
  while (!items.models.has(current)) {
    const variant = items.variants.get(current);
    if (variant === undefined) {
      const last = chain.at(-1);
      if (last !== undefined && !items.lacking && !items.lost.has(last.base.text)) unknownModel(last.base, [], [...items.models.keys(), ...items.variants.keys()], diagnostics);
      return undefined;
    }
    if (chain.includes(variant)) {
      diagnostics.add(report("JEP2024", variant.name.span, { name: variant.name.text }, { related: [{ span: variant.base.span, message: "the chain of bases comes back here" }] }));
      return undefined;
    }
    chain.push(variant);
    current = variant.base.text;
  }
  const model = items.models.get(current);
  if (model === undefined) return undefined;
  let statements = uniqueStatements(model.body, diagnostics);
  let settings = settingsOf(items, model.name.text, model.body);
  let probes = probesOf(items, model.name.text, model.body);
  const names = [model.name.text];
  for (const variant of chain.reverse()) {
    names.push(variant.name.text);
    statements = merge(statements, variant, diagnostics);
    settings = mergeSettings(settings, settingsOf(items, variant.name.text, variant.body));
    const own = probesOf(items, variant.name.text, variant.body);
    if (own.length > 0) probes = own;
  }
  const top = chain.at(-1);
  return {
    name, doc: top?.doc ?? model.doc, statements, settings, probes, modules: items.modules,
    sweeps: items.sweeps.filter((s) => s.base.text === name), span: top?.name.span ?? model.name.span, chain: names, lacking: items.lacking, lost: items.lost,
  };
}

function settingsOf(items: Items, name: string, body: readonly ast.Statement[]): readonly ast.Setting[] {
  // A file that uses another one says over again what it would have otherwise; within one file, twice is a mistake.
  const trains = items.trains.filter((t) => t.model?.text === name);
  const files = [...new Set(trains.map((t) => t.span.file))];
  const outer = files.reduce<readonly ast.Setting[]>((settings, file) => mergeSettings(settings, trains.flatMap((t) => (t.span.file === file ? t.settings : []))), []);
  const inner = body.flatMap((s) => (s.kind === "train" ? s.settings : []));
  return mergeSettings(outer, inner);
}

function probesOf(items: Items, name: string, body: readonly ast.Statement[]): readonly ast.Expr[] {
  return [...items.probes.filter((p) => p.model?.text === name).flatMap((p) => p.entries), ...body.flatMap((s) => (s.kind === "probe" ? s.entries : []))];
}

function mergeSettings(base: readonly ast.Setting[], over: readonly ast.Setting[]): readonly ast.Setting[] {
  const exclusive: Readonly<Record<string, string>> = { epochs: "steps", steps: "epochs" };
  const said = new Set(over.flatMap((s) => [s.name.text, own(exclusive, s.name.text) ?? s.name.text]));
  return [...base.filter((s) => !said.has(s.name.text)), ...over];
}

/** What a statement declares, as a key that an override must hit. */
function statementKey(statement: ast.Statement): string | undefined {
  switch (statement.kind) {
    case "param": case "input": case "mask": case "instance": case "part": case "learn": return statement.name.text;
    case "view": case "binding": return statement.names.map((n) => n.text).join(",");
    case "loss": return statement.name === undefined ? "loss" : `loss ${statement.name.text}`;
    default: return undefined;
  }
}

function uniqueStatements(body: readonly ast.Statement[], diagnostics: Diagnostics): readonly ast.Statement[] {
  const first = new Map<string, ast.Statement>();
  // Terms may share a name among each other, and with nothing else.
  for (const statement of [...body.filter((s) => s.kind !== "loss"), ...body.filter((s) => s.kind === "loss")]) {
    for (const name of declaredNames(statement)) {
      const other = first.get(name.text);
      if (statement.kind === "loss" && other?.kind === "loss") continue;
      if (other !== undefined) diagnostics.add(report("JEP2002", name.span, { name: name.text }, { related: [{ span: other.span, message: "declared first here" }] }));
      else first.set(name.text, statement);
    }
  }
  return body.filter((s) => s.kind !== "train" && s.kind !== "probe");
}

/** The names that a model-level statement brings into scope. */
export function declaredNames(statement: ast.Statement): readonly ast.Name[] {
  switch (statement.kind) {
    case "param": case "input": case "mask": case "instance": return [statement.name];
    case "view": case "binding": return statement.names;
    case "loss": return statement.name === undefined ? [] : [statement.name];
    default: return [];
  }
}

function merge(base: readonly ast.Statement[], variant: ast.Variant, diagnostics: Diagnostics): readonly ast.Statement[] {
  const own = uniqueStatements(variant.body, diagnostics);
  const known = new Map(base.map((s) => [statementKey(s) ?? "", s]));
  const baseNames = new Set(base.flatMap((s) => declaredNames(s).map((n) => n.text)));
  const replaced = new Map<string, ast.Statement[]>();
  const added: ast.Statement[] = [];
  for (const statement of own) {
    const key = statementKey(statement);
    if (key === undefined) {
      added.push(statement);
      continue;
    }
    if (known.has(key)) {
      replaced.set(key, [...(replaced.get(key) ?? []), statement]);
      continue;
    }
    const other = statement.kind === "loss" && statement.name !== undefined ? base.find((s) => s.kind !== "loss" && declaredNames(s).some((n) => n.text === statement.name?.text)) : undefined;
    if (other !== undefined && statement.kind === "loss" && statement.name !== undefined) {
      diagnostics.add(report("JEP2002", statement.name.span, { name: statement.name.text }, { related: [{ span: other.span, message: "declared first here" }] }));
    }
    if (statement.kind !== "param" && statement.kind !== "input") added.push(statement);
    else {
      const meant = reportMissing(statement, baseNames, variant, diagnostics);
      // Without it the base's own number would stand, and not fit the others of the variant.
      if (meant !== undefined && base.some((s) => s.kind === statement.kind && statementKey(s) === meant)) replaced.set(meant, [...(replaced.get(meant) ?? []), { ...statement, name: { ...statement.name, text: meant } }]);
    }
  }
  // A loss said without a name replaces the whole unnamed objective, and is the objective where the base names its terms.
  const restates = own.some((s) => s.kind === "loss" && s.name === undefined);
  const kept = base.flatMap((s): readonly ast.Statement[] => {
    const key = statementKey(s);
    if (s.kind === "loss" && restates && (s.name === undefined || !replaced.has(key ?? ""))) {
      return s === base.find((x) => x.kind === "loss") ? (replaced.get("loss") ?? []) : [];
    }
    const over = key === undefined ? undefined : replaced.get(key);
    if (over === undefined) return [s];
    return s === known.get(key ?? "") ? over : [];
  });
  const names = new Set(own.flatMap((s) => declaredNames(s).map((n) => n.text)));
  const shadowed = kept.filter((s) => !(s.kind === "binding" && s.names.length > 1 && !own.includes(s) && s.names.every((n) => names.has(n.text))));
  return [...shadowed, ...added.filter((s) => !shadowed.includes(s))];
}

/** Reports an override of nothing; gives the name that was surely meant. */
function reportMissing(statement: ast.Param | ast.Input, known: ReadonlySet<string>, variant: ast.Variant, diagnostics: Diagnostics): string | undefined {
  const extras = didYouMean(statement.name.text, known, statement.name.span, `Declare \`${statement.name.text}\` in \`${variant.base.text}\`, or remove the line.`);
  diagnostics.add(report("JEP2021", statement.name.span, { name: statement.name.text, base: variant.base.text }, {
    ...extras,
    related: [{ span: variant.base.span, message: `the base is \`${variant.base.text}\`` }],
  }));
  return surelyMeant(extras);
}
