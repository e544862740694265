/**
 * What a file declares, as a tree: items with what stands in them.
 *
 * Owns which declarations an outline shows, with the line that each is known by. Modules show their parts and parameters, not
 * every value.
 */
import type { Span } from "../base/span.js";
import type * as ast from "../syntax/ast.js";
import { printExpr, printType } from "../syntax/print.js";

/** One entry of an outline. */
export interface Entry {
  readonly name: string;
  readonly detail: string;
  readonly kind: ast.Item["kind"] | ast.Statement["kind"];
  /** All of it, and its name alone. */
  readonly span: Span;
  readonly named: Span;
  readonly children: readonly Entry[];
}

/** The outline of a file. */
export function outline(file: ast.File): readonly Entry[] {
  return file.items.flatMap((item): readonly Entry[] => {
    switch (item.kind) {
      case "use": return [];
      case "module": return [entry(item, item.name, "", item.body.flatMap((s) => (s.kind === "binding" || s.kind === "result" ? [] : statement(s))))];
      case "model": return [entry(item, item.name, "", item.body.flatMap(statement))];
      case "variant": return [entry(item, item.name, `of ${item.base.text}`, item.body.flatMap(statement))];
      case "sweep": return [entry(item, item.name, `of ${item.base.text}`, [])];
      case "train": case "probe": return [recipe(item)];
    }
  });
}

function statement(s: ast.Statement): readonly Entry[] {
  switch (s.kind) {
    case "param": return [entry(s, s.name, printExpr(s.value))];
    case "input": return [entry(s, s.name, printType(s.type))];
    case "mask": case "instance": case "part": return [entry(s, s.name, printExpr(s.value))];
    case "learn": return [entry(s, s.name, printExpr(s.init))];
    case "view": case "binding": return s.names.map((name) => entry(s, name, printExpr(s.value)));
    case "loss": return [entry(s, s.name ?? { text: "loss", span: s.span }, printExpr(s.value))];
    case "repeat": return s.body.flatMap(statement);
    case "train": case "probe": return [recipe(s)];
    case "result": case "allow": return [];
  }
}

function recipe(item: ast.Train | ast.Probe): Entry {
  return entry(item, { text: item.model === undefined ? item.kind : `${item.kind} ${item.model.text}`, span: item.model?.span ?? item.span }, "");
}

function entry(node: ast.Item | ast.Statement, name: ast.Name, detail: string, children: readonly Entry[] = []): Entry {
  return { name: name.text, detail, kind: node.kind, span: node.span, named: name.span, children };
}
