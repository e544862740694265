/**
 * Another name for what a program declares, everywhere in its files.
 *
 * Owns the edits and the reasons against them. A bare argument finds its place by its name (`vit(patch, width)`), so one that
 * is renamed says which place it means from then on; a new name that would change what another place means is refused.
 */
import { isBuiltin } from "../check/builtins.js";
import type { Edit } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import { walk } from "../syntax/visit.js";
import type { Declared, Files, Occurrence } from "./names.js";
import { declarationOf, moduleBehind, namesIn, originOf, placesOf, topLevel } from "./names.js";

/** The edits, or why there are none. */
export type Renamed = { readonly edits: readonly Edit[] } | { readonly refused: string };

/** What a rename at this place would rename, or why nothing can be. */
export function renamable(files: Files, occurrence: Occurrence | undefined): Declared | { readonly refused: string } {
  if (occurrence === undefined) return { refused: "There is no name here." };
  const declared = declarationOf(files, occurrence);
  if (declared === undefined) return { refused: `\`${occurrence.name.text}\` is a word of the language, or is not declared.` };
  if (isLibraryName(originOf(files, declared).name.span.file)) return { refused: `\`${declared.name.text}\` belongs to the library.` };
  return declared;
}

/** Renames what stands at a place in the program's own files. */
export function rename(files: Files, occurrence: Occurrence | undefined, to: string): Renamed {
  const declared = renamable(files, occurrence);
  if ("refused" in declared) return declared;
  const from = declared.name.text;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(to)) return { refused: `\`${to}\` is no name: letters, digits and underscores, not beginning with a digit.` };
  if (to === from) return { edits: [] };
  if (isBuiltin(to)) return { refused: `\`${to}\` is built in, and other lines may mean that.` };
  const known = declared.within === undefined ? topLevel(files) : [...topLevel(files), ...namesIn(files, declared.within)];
  const other = known.find((d) => d.name.text === to);
  if (other !== undefined) return { refused: `\`${to}\` is declared already.` };
  const bare = bareArguments(files);
  const edits: Edit[] = [];
  for (const span of placesOf(files, declared)) {
    const formals = bare.get(`${span.file}:${span.start}`);
    if (formals?.has(to) === true) return { refused: `\`${to}\` is a parameter of a module that is called with \`${from}\` in another place.` };
    edits.push({ span, text: formals?.has(from) === true ? `${from}: ${to}` : to });
  }
  return { edits };
}

/** Names that stand alone as arguments, by their place, with the parameters of the module that is called. */
function bareArguments(files: Files): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const file of [files.main, ...files.used]) {
    for (const item of file.items) {
      walk(item, (node) => {
        if (node.kind !== "call") return;
        const module = moduleBehind(files, item, node.callee);
        if (module === undefined) return;
        const formals = new Set([...module.config, ...module.inputs].map((f) => f.name.text));
        for (const { name, value } of node.args) if (name === undefined && value.kind === "ref") found.set(`${value.span.file}:${value.span.start}`, formals);
      });
    }
  }
  return found;
}
