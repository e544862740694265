/**
 * What an expression can stand for while a program is being checked.
 *
 * Owns the `Value` union: static data, tensors of the body under construction, modules in their various stages of being
 * applied, and the poison that follows an error so that one mistake is reported once. Leaves evaluation to `expr.ts`.
 */
import type { Span } from "../base/span.js";
import type * as ast from "../syntax/ast.js";
import type { NodeId, Schedule, WeightsFrom } from "../model/ir.js";
import type { ValueType } from "../types/value-type.js";

/** A static number, text or truth value. */
export type Static = number | string | boolean;

/** Where a configuration argument stands, its name included, and the name of the program that it is where it is a bare one. */
export interface Given {
  readonly span: Span;
  readonly bare: string | undefined;
}

/** A module with its configuration bound, not yet given parameters or data. */
export interface Partial {
  readonly kind: "partial";
  readonly module: ast.Module;
  readonly config: ReadonlyMap<string, Value>;
  /** Where each argument was written, for mistakes that show only inside the module. */
  readonly given?: ReadonlyMap<string, Given>;
}

export type Value =
  /** `written` is what stands in the program where that is not the value: `10 percent`. */
  | { readonly kind: "static"; readonly value: Static; readonly written?: string }
  | { readonly kind: "range"; readonly low: number; readonly high: number }
  | { readonly kind: "arrow"; readonly points: readonly number[] }
  | { readonly kind: "schedule"; readonly schedule: Schedule }
  | { readonly kind: "duration"; readonly unit: "epochs" | "steps"; readonly value: number }
  | { readonly kind: "list"; readonly items: readonly Value[] }
  /** A value of the body under construction. */
  | { readonly kind: "tensor"; readonly id: NodeId; readonly type: ValueType }
  /** A module as declared: `vit`. */
  | { readonly kind: "module"; readonly module: ast.Module }
  | Partial
  /** A named part or instance: its parameters live under `path`. */
  | { readonly kind: "instance"; readonly path: string; readonly partial: Partial }
  /** `part blocks = depth of block(heads)` */
  | { readonly kind: "instances"; readonly path: string; readonly count: number; readonly partial: Partial }
  /** `ema(student, momentum: …)` before it is bound to a name; `of` is the followed instance. */
  | { readonly kind: "following"; readonly of: string; readonly momentum: Schedule }
  /** `frozen(x)`, `pretrained(x)` before it is bound; `tuned`: trained on from there. */
  | { readonly kind: "untrained"; readonly partial: Partial; readonly init: "random" | "pretrained" | "identity"; readonly copyOf: string | undefined; readonly from?: WeightsFrom; readonly tuned?: true }
  | { readonly kind: "mask"; readonly name: string }
  /** A position table that waits for the tokens it is added to. */
  | { readonly kind: "table"; readonly name: "sincos" | "sincos2d" | "sincos3d"; readonly width: number; readonly span: ast.Expr["span"] }
  | { readonly kind: "builtin"; readonly name: string }
  | { readonly kind: "poison" };

export const poison: Value = { kind: "poison" };

/** A static number as a value. */
export const num = (value: number): Value => ({ kind: "static", value });

const numbersText = /^\[\s*-?\d+(?:\.\d+)?\s*(?:,\s*-?\d+(?:\.\d+)?\s*)*\]$/;

/** What was said from outside, by a sweep or `--set`: a text such as `[16, 8]` is the list that it would be in a program. */
export function fromOutside(value: Static): Value {
  if (typeof value !== "string" || !numbersText.test(value)) return { kind: "static", value };
  return { kind: "list", items: value.slice(1, -1).split(",").map((part) => num(Number(part))) };
}

/** What a value is, in the words of messages. */
export function describe(value: Value): string {
  switch (value.kind) {
    case "static": return value.written ?? (typeof value.value === "number" ? `the number ${value.value}` : typeof value.value === "string" ? `the text "${value.value}"` : `${value.value}`);
    case "range": return `the range ${value.low}..${value.high}`;
    case "arrow": return `the schedule ${value.points.join(" -> ")}`;
    case "schedule": return "a schedule";
    case "duration": return `${value.value} ${value.unit}`;
    case "list": return "a list";
    case "tensor": return "a tensor";
    case "module": return `the module \`${value.module.name.text}\``;
    case "partial": return `the module \`${value.module.name.text}\` without data`;
    case "instance": return `the module \`${value.path}\``;
    case "instances": return `the list of modules \`${value.path}\``;
    case "following": return `a moving average of \`${value.of}\``;
    case "untrained": return `an untrained \`${value.partial.module.name.text}\``;
    case "mask": return `the mask \`${value.name}\``;
    case "table": return "a position table";
    case "builtin": return `the built-in \`${value.name}\``;
    case "poison": return "something that has an error";
  }
}

/** A text that is equal for equal configurations, for sharing functions. */
export function configKey(value: Value): string {
  switch (value.kind) {
    case "static": return JSON.stringify(value.value);
    case "range": return `${value.low}..${value.high}`;
    case "arrow": return value.points.join("->");
    case "list": return `[${value.items.map(configKey).join(", ")}]`;
    case "partial": return `${value.module.name.text}(${[...value.config].map(([k, v]) => `${k}:${configKey(v)}`).join(",")})`;
    case "module": return value.module.name.text;
    case "builtin": return value.name;
    default: return value.kind;
  }
}
