/**
 * Whether an encoder is the standard library's vision transformer, and the two numbers of it that no parameter shows.
 *
 * Parameters with the right names and shapes are not yet the right function: a program may bring its own `block`. So the
 * encoder's tensor IR is compared, function by function, with that of a program that is written here with the same
 * numbers. What the program calls its input and its encoder makes no difference. Heads and the epsilon of the norms are read off the IR. Exports to other people's model classes rest on this.
 */
import { compile } from "../compile.js";
import { encoderFunction, encodersFile } from "../targets/encoders.js";
import { computed } from "../targets/computed.js";
import type { Module } from "../tensor/ir.js";
import { funcOf } from "../tensor/ir.js";
import { parseModule } from "../tensor/parse.js";
import { reachable } from "../tensor/visit.js";
import type { VitSizes } from "../../runtime/export/vit-layout.js";
import { CliError } from "./command.js";

/** What the parameters of a vision transformer do not say. */
export interface VitFacts {
  readonly heads: number;
  readonly eps: number;
}

/** The facts of an encoder with these sizes. @throws CliError when it computes something else than the library's `vit`. */
export function vitFacts(module: Module, encoder: string, sizes: VitSizes): VitFacts {
  const root = encoderFunction(encoder);
  const nodes = [...reachable(module, [root])].flatMap((name) => funcOf(module, name).nodes);
  const heads = new Set(nodes.flatMap((n) => (n.op === "sdpa" ? [n.attrs.heads] : [])));
  const eps = new Set(nodes.flatMap((n) => (n.op === "normalize" ? [n.attrs.eps] : [])));
  const [oneHeads] = heads;
  const [oneEps] = eps;
  const standard = heads.size === 1 && oneHeads !== undefined ? standardModule(sizes, oneHeads) : undefined;
  if (standard === undefined || oneHeads === undefined || oneEps === undefined || computed(module, encoder) !== computed(standard, standardEncoder)) {
    throw new CliError(`the encoder ${encoder} does not compute what the library's \`vit\` computes, so IJepaModel would give other features`, "export it with --format onnx, which takes any encoder");
  }
  return { heads: oneHeads, eps: oneEps };
}

/** What the encoder of the program to compare with is called. */
const standardEncoder = "standard_encoder";

function standardModule({ image, patch, channels, width, depth, hidden }: VitSizes, heads: number): Module {
  const text = `use std.vit
model standard {
  input image: Image[${image}, ${image}, ${channels}]
  encoder ${standardEncoder} = vit(patch: ${patch}, width: ${width}, depth: ${depth}, heads: ${heads}, ratio: ${hidden} / ${width})
  guess = decode(${standardEncoder}(image))
  loss mse(guess, patches(image, ${patch})) in pixels
}
train standard {
  data images("pictures")
  steps 1
  batch 1
  optimizer adamw()
  learning_rate constant(1e-3)
  weight_decay constant(0)
}
`;
  const compiled = compile({ file: "standard.jepa", text });
  const file = compiled.files.find((f) => f.path === encodersFile);
  if (file === undefined) throw new Error(`the standard encoder does not compile: ${compiled.diagnostics.map((d) => d.message).join("; ")}`);
  return parseModule(file.text);
}
