/**
 * The model graph for Mermaid, which renders in Markdown on many sites.
 *
 * The same boxes and arrows as the SVG, as a flowchart. Ids are made here; the program's text only occurs in quoted
 * strings with every special character as an entity code, because Mermaid has keywords in surprising places.
 */
import type { Arrow, Box, BoxKind } from "./diagram.js";
import { boxLabel, diagram } from "./diagram.js";
import type { ModelGraph } from "./ir.js";
import { mermaidString } from "./text.js";

const shapes: Readonly<Record<BoxKind, readonly [string, string]>> = {
  input: ["[/", "/]"], view: ["[/", "/]"], mask: ["([", "])"], encoder: ["[", "]"], predictor: ["[", "]"], head: ["[", "]"], op: ["(", ")"], loss: ["{{", "}}"],
};

const classes = [
  "classDef input fill:#eef1f5,stroke:#7d8a9b,color:#1c2430", "classDef view fill:#e9f5ee,stroke:#4d9a6d,color:#1c2430",
  "classDef mask fill:#fff6dc,stroke:#c28f11,color:#1c2430", "classDef encoder fill:#e5effd,stroke:#2f6fd0,color:#1c2430",
  "classDef predictor fill:#f1e9fc,stroke:#8247cf,color:#1c2430", "classDef head fill:#e2f5f4,stroke:#1d8f89,color:#1c2430",
  "classDef op fill:#fafbfc,stroke:#b8c1cd,color:#1c2430", "classDef loss fill:#fde8ea,stroke:#cf3548,color:#1c2430",
  "classDef untrained stroke-dasharray:6 4",
];

/** Mermaid text. */
export function toMermaid(graph: ModelGraph): string {
  const content = diagram(graph);
  const styled = content.arrows.flatMap((arrow, i) => linkStyle(arrow, i));
  return [
    "flowchart TD",
    ...content.boxes.map(boxLine),
    ...content.arrows.map(arrowLine),
    ...classes.map((c) => `  ${c}`),
    ...content.boxes.map((b) => `  class ${b.id} ${b.kind}`),
    ...content.boxes.flatMap((b) => (b.state === "follows" || b.state === "frozen" ? [`  class ${b.id} untrained`] : [])),
    ...styled,
    "",
  ].join("\n");
}

function boxLine(box: Box): string {
  const label = boxLabel(box);
  const [open, close] = shapes[box.kind];
  return `  ${box.id}${open}${mermaidString(label)}${close}`;
}

function arrowLine(arrow: Arrow): string {
  if (arrow.kind === "ema") return `  ${arrow.from} -. ${mermaidString(arrow.label ?? "ema")} .-> ${arrow.to}`;
  if (arrow.kind === "mask") return `  ${arrow.from} -.-> ${arrow.to}`;
  if (arrow.stopped) return `  ${arrow.from} --x|"stop-gradient"| ${arrow.to}`;
  return arrow.gradient ? `  ${arrow.from} ==> ${arrow.to}` : `  ${arrow.from} --> ${arrow.to}`;
}

function linkStyle(arrow: Arrow, index: number): string[] {
  if (arrow.kind === "ema") return [`  linkStyle ${index} stroke:#2f6fd0`];
  if (arrow.kind === "mask") return [`  linkStyle ${index} stroke:#c28f11`];
  return arrow.gradient ? [`  linkStyle ${index} stroke:#e07714,stroke-width:2.5px`] : [];
}
