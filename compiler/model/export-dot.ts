/**
 * The model graph for Graphviz.
 *
 * The same boxes and arrows as the SVG, in DOT: `dot -Tsvg`. Ids are made here, and the program's text only occurs in
 * quoted strings. Colors are of the light theme.
 */
import type { Arrow, Box, BoxKind } from "./diagram.js";
import { boxLabel, diagram } from "./diagram.js";
import type { ModelGraph } from "./ir.js";
import { dotString } from "./text.js";

const looks: Readonly<Record<BoxKind, string>> = {
  input: 'shape=parallelogram, style=filled, fillcolor="#eef1f5", color="#7d8a9b"',
  view: 'shape=parallelogram, style=filled, fillcolor="#e9f5ee", color="#4d9a6d"',
  mask: 'shape=box, style="rounded,filled", fillcolor="#fff6dc", color="#c28f11"',
  encoder: 'shape=box, style="STYLE", fillcolor="#e5effd", color="#2f6fd0"',
  predictor: 'shape=box, style="STYLE", fillcolor="#f1e9fc", color="#8247cf"',
  head: 'shape=box, style="STYLE", fillcolor="#e2f5f4", color="#1d8f89"',
  op: 'shape=box, style="rounded,filled", fillcolor="#fafbfc", color="#b8c1cd"',
  loss: 'shape=hexagon, style=filled, fillcolor="#fde8ea", color="#cf3548"',
};

/** DOT text. */
export function toDot(graph: ModelGraph): string {
  const content = diagram(graph);
  return [
    `digraph ${dotString(content.title)} {`,
    `  label=${dotString(`${content.title}\n${content.subtitle}`)}; labelloc=t; fontname="Helvetica"; rankdir=TB;`,
    '  node [fontname="Helvetica", fontsize=11]; edge [fontname="Helvetica", fontsize=10, color="#93a0b0"];',
    ...content.boxes.map(boxLine),
    ...content.arrows.map(arrowLine),
    "}",
    "",
  ].join("\n");
}

function boxLine(box: Box): string {
  const label = boxLabel(box);
  const style = box.state === "follows" ? "filled,dashed" : box.state === "frozen" ? "filled,dotted" : "filled";
  return `  ${box.id} [${looks[box.kind].replace("STYLE", style)}, label=${dotString(label)}, tooltip=${dotString(box.tip)}];`;
}

function arrowLine(arrow: Arrow): string {
  return `  ${arrow.from} -> ${arrow.to} [${arrowLook(arrow)}];`;
}

function arrowLook(arrow: Arrow): string {
  if (arrow.kind === "ema") return `style=dashed, color="#2f6fd0", constraint=false, label=${dotString(arrow.label ?? "ema")}`;
  if (arrow.kind === "mask") return 'style=dotted, color="#c28f11"';
  if (arrow.stopped) return 'arrowhead=teenormal, color="#cf3548", label="stop-gradient"';
  return arrow.gradient ? 'color="#e07714", penwidth=2' : "";
}
