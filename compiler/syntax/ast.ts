/**
 * The syntax tree of a `.jepa` file: plain, readonly, serialisable data.
 *
 * Owns the shape of what a person wrote, before any name is resolved. Every node carries the span of its own text; spans
 * nest. A node never holds a value computed from another node. Unions are discriminated by `kind`. Comments and blank
 * lines stay outside the tree (the formatter reads them from the token stream), except doc comments, which belong to
 * their item. The parser makes these, the formatter and the checker read them.
 */
import type { Span } from "../base/span.js";

/** An identifier with its place. */
export interface Name {
  readonly text: string;
  readonly span: Span;
}

/** One file. `items` are in source order. */
export interface File {
  readonly kind: "file";
  readonly items: readonly Item[];
  /** Statements that could be read in part only; what is said of the rest of such a line is said once it can be read. */
  readonly broken: readonly Broken[];
  readonly span: Span;
}

/** A statement with a mistake of grammar: what of it is in the tree is not what was meant. */
export interface Broken {
  readonly span: Span;
  /** Names before its `=`: what it may have declared. */
  readonly names: readonly string[];
}

export type Item = Use | Module | Model | Train | Probe | Variant | Sweep;

/** `use std.vit` (a dotted library path) or `use "./ijepa.jepa"` (a file relative to this one). */
export interface Use {
  readonly kind: "use";
  readonly doc: string | undefined;
  readonly path: { readonly kind: "library"; readonly names: readonly Name[] } | { readonly kind: "file"; readonly text: string; readonly span: Span };
  readonly span: Span;
}

/** `module block(heads, ratio = 4) (x: Tokens[width]) -> Tokens[width] { … }` */
export interface Module {
  readonly kind: "module";
  readonly doc: string | undefined;
  readonly name: Name;
  readonly config: readonly Formal[];
  readonly inputs: readonly Formal[];
  readonly result: TypeExpr | undefined;
  readonly body: readonly Statement[];
  readonly span: Span;
}

/** A formal parameter: `heads`, `ratio = 4.0`, `x: Tokens[width]`. */
export interface Formal {
  readonly name: Name;
  readonly type: TypeExpr | undefined;
  readonly default: Expr | undefined;
  readonly span: Span;
}

/** `Tokens[width]`, `Image[224, 224, 3]`, `Positions`; the optional `in` names a space: `Tokens[w] in pixels`. */
export interface TypeExpr {
  readonly name: Name;
  readonly args: readonly Expr[];
  readonly space: Expr | undefined;
  readonly span: Span;
}

export interface Model {
  readonly kind: "model";
  readonly doc: string | undefined;
  readonly name: Name;
  readonly body: readonly Statement[];
  readonly span: Span;
}

/** `variant pixel_target of ijepa { … }`; the body may hold nested `train { … }` and `probe { … }` overrides. */
export interface Variant {
  readonly kind: "variant";
  readonly doc: string | undefined;
  readonly name: Name;
  readonly base: Name;
  readonly body: readonly Statement[];
  readonly span: Span;
}

/** `train ijepa { epochs 300 … }` */
export interface Train {
  readonly kind: "train";
  readonly doc: string | undefined;
  readonly model: Name | undefined;
  readonly settings: readonly Setting[];
  readonly span: Span;
}

/** One line of a train block: a word and its values; `block` is the `{ … }` after it, if any. */
export interface Setting {
  readonly kind: "setting";
  readonly name: Name;
  readonly values: readonly Expr[];
  readonly block: readonly Expr[] | undefined;
  readonly span: Span;
}

/** `probe ijepa { linear(on: teacher, pool: mean) }` */
export interface Probe {
  readonly kind: "probe";
  readonly doc: string | undefined;
  readonly model: Name | undefined;
  readonly entries: readonly Expr[];
  readonly span: Span;
}

/** `sweep predictor_depth of ijepa { predict.depth in [6, 12] }` */
export interface Sweep {
  readonly kind: "sweep";
  readonly doc: string | undefined;
  readonly name: Name;
  readonly base: Name;
  readonly axes: readonly SweepAxis[];
  readonly span: Span;
}

export interface SweepAxis {
  readonly path: readonly Name[];
  readonly values: Expr;
  readonly span: Span;
}

export type Statement =
  | Param | Input | Mask | View | Instance | Part | Learn | Binding | Loss | Repeat | Result | Allow | Train | Probe;

/** `param width = 1280`: a static value that variants, sweeps and the command line may override. */
export interface Param { readonly kind: "param"; readonly doc: string | undefined; readonly name: Name; readonly value: Expr; readonly span: Span }
/** `input image: Image[224, 224, 3]` */
export interface Input { readonly kind: "input"; readonly doc: string | undefined; readonly name: Name; readonly type: TypeExpr; readonly span: Span }
/** `mask targets = 4 of block(…)` */
export interface Mask { readonly kind: "mask"; readonly doc: string | undefined; readonly name: Name; readonly value: Expr; readonly span: Span }
/** `view a, b = augment(image) { … }` */
export interface View { readonly kind: "view"; readonly doc: string | undefined; readonly names: readonly Name[]; readonly value: Expr; readonly span: Span }
/** `encoder student = vit(…)`, `predictor predict = …`, `head project = …`: a module with parameters of its own. */
export interface Instance {
  readonly kind: "instance"; readonly doc: string | undefined;
  readonly role: "encoder" | "predictor" | "head";
  readonly name: Name; readonly value: Expr; readonly span: Span;
}
/** `part attn = attention(heads)` inside a module: a named sub-module; `part blocks = depth of block(heads)` is a list. */
export interface Part { readonly kind: "part"; readonly doc: string | undefined; readonly name: Name; readonly value: Expr; readonly span: Span }
/** `learn weight[in, out] ~ trunc_normal(std: 0.02)` (trained), `fixed table[n, d] ~ …` (never trained), `state mean[n] ~ …` (rewritten by each step). */
export interface Learn {
  readonly kind: "learn"; readonly doc: string | undefined;
  readonly role: "learn" | "fixed" | "state"; readonly name: Name; readonly shape: readonly Expr[]; readonly init: Expr; readonly span: Span;
}
/** `z = teacher(image)`; several names take the results of a call that gives several. */
export interface Binding { readonly kind: "binding"; readonly doc: string | undefined; readonly names: readonly Name[]; readonly value: Expr; readonly span: Span }
/** `loss 25 * mse(a, b) in latent(teacher)`; with a name: `loss invariance = mse(a, b)`. */
export interface Loss { readonly kind: "loss"; readonly doc: string | undefined; readonly name: Name | undefined; readonly value: Expr; readonly space: Expr | undefined; readonly span: Span }
/** `repeat depth { … }` or `repeat block in blocks { … }` */
export interface Repeat {
  readonly kind: "repeat"; readonly doc: string | undefined;
  readonly count: Expr | undefined;
  readonly over: { readonly element: Name; readonly list: Name } | undefined;
  readonly body: readonly Statement[]; readonly span: Span;
}
/** The value a module gives back: an expression standing alone as the last statement. */
export interface Result { readonly kind: "result"; readonly doc: string | undefined; readonly value: Expr; readonly span: Span }
/** `allow collapse("ablation: …")` */
export interface Allow { readonly kind: "allow"; readonly doc: string | undefined; readonly what: Name; readonly reason: Expr | undefined; readonly span: Span }

export type Expr =
  | NumberLit | StringLit | BoolLit | Ref | Call | Member | Range | Arrow | Binary | Negate | At | Of | Minus | List | Unit | Hole;

export interface NumberLit { readonly kind: "number"; readonly value: number; readonly text: string; readonly span: Span }
export interface StringLit { readonly kind: "string"; readonly value: string; readonly span: Span }
export interface BoolLit { readonly kind: "bool"; readonly value: boolean; readonly span: Span }
export interface Ref { readonly kind: "ref"; readonly name: string; readonly span: Span }
/** `f(a, b, k: v)`; calls may be chained: `block(heads)(x)`. `block` is a trailing `{ … }` of expressions. */
export interface Call {
  readonly kind: "call"; readonly callee: Expr; readonly args: readonly Arg[];
  readonly block: readonly Expr[] | undefined; readonly span: Span;
}
export interface Arg { readonly name: Name | undefined; readonly value: Expr; readonly span: Span }
/** `predict.depth`, `student.patch_embed` */
export interface Member { readonly kind: "member"; readonly object: Expr; readonly member: Name; readonly span: Span }
/** `0.15..0.20` */
export interface Range { readonly kind: "range"; readonly low: Expr; readonly high: Expr; readonly span: Span }
/** `2e-4 -> 1e-3 -> 1e-6`: the points of a schedule, two or more. */
export interface Arrow { readonly kind: "arrow"; readonly points: readonly Expr[]; readonly span: Span }
export interface Binary { readonly kind: "binary"; readonly op: "+" | "-" | "*" | "/" | "^" | "@"; readonly left: Expr; readonly right: Expr; readonly span: Span }
export interface Negate { readonly kind: "negate"; readonly operand: Expr; readonly span: Span }
/** `image at context` */
export interface At { readonly kind: "at"; readonly value: Expr; readonly positions: Expr; readonly span: Span }
/** `4 of block(…)`, `depth of block(heads)` */
export interface Of { readonly kind: "of"; readonly count: Expr; readonly item: Expr; readonly span: Span }
/** `block(…) minus targets` */
export interface Minus { readonly kind: "minus"; readonly from: Expr; readonly removed: Expr; readonly span: Span }
export interface List { readonly kind: "list"; readonly items: readonly Expr[]; readonly span: Span }
/** `40 epochs`, `100 steps` */
export interface Unit { readonly kind: "unit"; readonly value: Expr; readonly unit: Name; readonly span: Span }
/** What the parser puts where an expression is missing; an error has been reported already, so checkers stay silent. */
export interface Hole { readonly kind: "hole"; readonly span: Span }
