/**
 * Nodes of ops and attributes that come from elsewhere: from a builder's caller, from a text, from another node.
 *
 * Owns the step from "some attributes" to "those that the op needs", which the type of a node promises.
 */
import type { Attrs, ModelOp } from "./attrs.js";
import type { Node } from "./ir.js";
import { opTable } from "./ops.js";
import type { AttrName } from "./ops.js";

/** A node before it is known that its attributes are those of its op. */
export type LooseNode = Omit<Node, "op" | "attrs"> & { readonly op: ModelOp; readonly attrs: Attrs };

/** Attributes that an op needs and a node lacks. */
export function missingAttrs({ op, attrs }: Pick<LooseNode, "op" | "attrs">): readonly AttrName[] {
  const { required }: { readonly required: readonly AttrName[] } = opTable[op];
  return required.filter((name) => attrs[name] === undefined);
}

function isWhole(node: LooseNode): node is Node {
  return missingAttrs(node).length === 0;
}

/** The node. @throws Error where the op needs an attribute that is not there: a mistake of the caller */
export function nodeOf(node: LooseNode): Node {
  if (isWhole(node)) return node;
  throw new Error(`\`${node.op}\` lacks ${missingAttrs(node).map((name) => `\`${name}\``).join(", ")}`);
}
