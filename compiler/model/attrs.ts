/**
 * What ops of the model graph are called, and what they take besides operands.
 *
 * Apart from `ir.ts` because the table of ops (`ops.ts`) stands between the two: by it, each op's nodes have the attributes
 * that the op needs.
 */
import type { Dim } from "../types/dim.js";
import type { Grid } from "../types/value-type.js";

/** The primitives of the model level. See `check/builtins.ts` for the typing rule of each. */
export type ModelOp =
  | "input" | "param" | "constant"
  | "call" | "repeat" | "result"
  | "patches" | "at" | "table_at" | "expand_at" | "replace_at" | "concat" | "slice_features" | "join_features"
  | "union" | "slice_batch" | "slice_time"
  | "affine" | "matmul" | "transpose" | "rotate" | "attend"
  | "similarities" | "second_moments" | "diagonal" | "off_diagonal"
  | "add" | "sub" | "mul" | "div" | "scale" | "shift"
  | "neg" | "exp" | "log" | "sqrt" | "square" | "abs" | "relu" | "gelu" | "tanh" | "sigmoid"
  | "softmax" | "log_softmax" | "normalize" | "l2_normalize" | "batch_normalize"
  | "batch_norm" | "center" | "whiten" | "sinkhorn" | "assign" | "nearest"
  | "mean" | "sum" | "stop_gradient" | "flatten"
  | "loss";

/** What an op needs besides operands; which fields are present is fixed per op (see `verify.ts`). */
export interface Attrs {
  /** call: the instance whose parameters it uses, relative to the body ("" = the body's own element). */
  readonly instance?: string;
  /** call, repeat: the function. */
  readonly func?: string;
  /** call, repeat: values of the callee's dims in the caller's. */
  readonly dims?: Readonly<Record<string, Dim>>;
  /** repeat: how often; the list of parts whose elements it walks; how many leading args are carried. */
  readonly count?: number;
  readonly list?: string;
  readonly carries?: number;
  /** result: which one of the call's results. */
  readonly index?: number;
  /** input, param: name or path. */
  readonly path?: string;
  /** at, table_at, expand_at: the mask; undefined = all positions. `runs`: which run of a concat `at` selects. */
  readonly mask?: string;
  readonly grid?: Grid;
  readonly select?: { readonly start: Dim; readonly length: Dim };
  /** patches: height of a patch; the grid says its width. */
  readonly patch?: number;
  readonly heads?: number;
  /** attend: how many tokens a moment has, where later moments are hidden. */
  readonly block?: number;
  readonly start?: number;
  readonly size?: number;
  readonly value?: number;
  readonly eps?: number;
  readonly temperature?: number;
  /** batch_norm: share of the new statistics; center: share of the old center. */
  readonly momentum?: number;
  /** whiten, sinkhorn: rounds. */
  readonly iterations?: number;
  /** scale: a factor that changes over training; `value` is its first point. */
  readonly schedule?: Schedule;
  /** mean, sum: the axes removed (`column`: the second of a matrix of pairs); softmax: the axis that sums to one, where it is not the last. */
  readonly over?: readonly string[];
  /** loss: the kind in the loss table, its named numbers and words. */
  readonly loss?: string;
  readonly numbers?: Readonly<Record<string, number>>;
  readonly strings?: Readonly<Record<string, string>>;
}

/** Values over training: constant, or from point to point. */
export interface Schedule {
  readonly kind: "constant" | "linear" | "cosine" | "warmup_cosine";
  readonly points: readonly number[];
  readonly warmup: { readonly unit: "epochs" | "steps"; readonly value: number } | undefined;
  readonly stretch: number;
}
