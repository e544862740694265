/**
 * The model graph: the typed, inspectable form of a program, and the input of every analysis.
 *
 * A `ModelGraph` has one top-level `Body` (what the `model { }` block says) and one `Func` per module as used. Nodes are
 * plain data in arenas: an operand's index is always smaller than its user's, so the graph is acyclic and in evaluation
 * order by construction. Module applications stay calls here (one node per application, with the instance whose
 * parameters it uses), because what an analysis asks is "which module does a gradient reach", not "which matmul".
 * `stop_gradient` is a node; a moving average is a fact about an instance; a loss is a scalar node that `losses` names.
 * Function bodies are polymorphic in token and batch dims where they never ask for positions; `repeat` is one node
 * whatever its count. Facts (flow, verdicts, cost) stand beside the graph in maps by id, never in it.
 */
import type { Span } from "../base/span.js";
import type { Grid, ValueType } from "../types/value-type.js";
import type { Initializer } from "../../runtime/abi.js";
import type { ModelOp, Schedule } from "./attrs.js";
import type { AttrsOf } from "./ops.js";

export type { Attrs, ModelOp, Schedule } from "./attrs.js";

/** A node's place in its body's list of nodes. */
export type NodeId = number;

/**
 * A parameter of a function, by its path from the function's module. A path through a list of parts has `*` for the
 * index (`blocks.*.norm1.weight`) and `stack` holds the counts, outermost first.
 */
export interface ParamDecl {
  readonly path: string;
  readonly shape: readonly number[];
  readonly stack: readonly number[];
  readonly init: Initializer;
  /** `learn`: trained; `fixed`: never trained; `state`: rewritten by the step (running statistics). */
  readonly role: "learn" | "fixed" | "state";
  readonly origin: Span;
}

/** What every value of a body has, whatever its op. */
interface NodeBase {
  readonly id: NodeId;
  readonly args: readonly NodeId[];
  /** The type of the (first) result; a `result` node picks a further one of a call. */
  readonly type: ValueType;
  /** The name that the source binds this value to, if it does. */
  readonly name: string | undefined;
  readonly origin: Span;
}

/** A node of one of these ops. */
export type NodeOf<Op extends ModelOp> = { readonly [One in Op]: NodeBase & { readonly op: One; readonly attrs: AttrsOf<One> } }[Op];

/** One value of a body: an operation on earlier values, with the type of its result. Where `op` is known, so is which attributes are there. */
export type Node = NodeOf<ModelOp>;

/** A node that runs a function. */
export type CallNode = NodeOf<"call" | "repeat">;

/** Inputs, nodes and results of one straight-line piece of program. */
export interface Body {
  readonly inputs: readonly NodeId[];
  readonly nodes: readonly Node[];
  readonly results: readonly NodeId[];
}

/** A module as used: one per (module, configuration, kinds of arguments). */
export interface Func {
  readonly name: string;
  /** The module it came from, or `repeat` for a loop body. */
  readonly module: string;
  readonly doc: string | undefined;
  readonly config: Readonly<Record<string, string | number | boolean>>;
  readonly params: readonly ParamDecl[];
  /** Masks whose index rows it reads (directly or through calls). */
  readonly masks: readonly string[];
  /** Dims it is polymorphic in. */
  readonly dims: readonly string[];
  readonly body: Body;
  readonly origin: Span;
}

/** Where trained parameters lie: a file or a folder, by its path as the program writes it. */
export interface WeightsFrom {
  readonly path: string;
  readonly name?: string;
}

/** A module with parameters of its own: an encoder, predictor, head, or an anonymous module at model level. */
export interface Instance {
  readonly name: string;
  readonly role: "encoder" | "predictor" | "head";
  readonly module: string;
  readonly config: Readonly<Record<string, string | number | boolean>>;
  /** `optimized`; `frozen` (never trained; `pretrained` says where from); `ema` of another instance. */
  readonly training:
    | { readonly kind: "optimized" }
    | { readonly kind: "frozen"; readonly init: "random" | "pretrained" | "identity" }
    | { readonly kind: "ema"; readonly of: string; readonly momentum: Schedule };
  /** The file that its parameters are read from at the start of a run, and what they are called there (its own name unless said). */
  readonly from?: WeightsFrom;
  readonly params: readonly ParamDecl[];
  readonly origin: Span;
}

/** A mask as declared; its grid is known once the mask has been used. */
export interface Mask {
  readonly name: string;
  readonly kind: "block" | "random" | "rasterized" | "complement" | "all";
  readonly count: number;
  readonly scale: readonly [number, number];
  readonly aspect: readonly [number, number];
  readonly ratio: readonly [number, number];
  readonly minKeep: number;
  readonly minus: readonly string[];
  readonly sampler: "published" | "corrected";
  readonly allowOverlap: boolean;
  readonly trim: "tail" | "random";
  /** Images within which rows are cut to the shortest, instead of the batch's. */
  readonly trimGroup?: number;
  readonly grid: Grid | undefined;
  readonly origin: Span;
}

/** An input of images, or with `frames` of clips that are so long. */
export interface ImageInput {
  readonly name: string;
  readonly frames?: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly origin: Span;
}

/** Pictures of an input after an augmentation of their own, at a size of their own. */
export interface View {
  readonly name: string;
  readonly input: string;
  readonly height: number;
  readonly width: number;
  readonly transforms: readonly { readonly name: string; readonly args: Readonly<Record<string, number | string | boolean | readonly number[]>> }[];
  readonly origin: Span;
}

/** One term of the objective: `weight · node`. */
export interface LossTerm {
  readonly name: string;
  readonly node: NodeId;
  readonly kind: string;
  readonly weight: Schedule;
  readonly origin: Span;
}

/** The whole of a checked program except how it is trained. */
export interface ModelGraph {
  readonly name: string;
  readonly doc: string | undefined;
  readonly inputs: readonly ImageInput[];
  readonly views: readonly View[];
  readonly masks: readonly Mask[];
  readonly instances: readonly Instance[];
  readonly funcs: readonly Func[];
  readonly body: Body;
  readonly losses: readonly LossTerm[];
  readonly allowed: readonly { readonly what: string; readonly reason: string; readonly origin: Span }[];
  readonly origin: Span;
}
