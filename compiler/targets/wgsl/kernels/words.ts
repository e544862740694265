/**
 * Elementwise work in words: the formulas in a kernel's header.
 *
 * Owns how an expression is written for people: parentheses only where they say something, numbers without `f`, operands by the
 * last name of a parameter (`bias`) where there is one and else by their variable. Made from the same expressions as the kernel's
 * text (`elements.ts`), so that both say one thing; nothing here goes into a text.
 */
import { printDim } from "../../../types/dim.js";
import type { Expr, Tensor, View } from "../graph.js";
import type { KernelWriter } from "../kernel.js";

/** An operand's name in a formula, and its variable or function in the kernel. */
export interface OperandWords {
  readonly word: string;
  readonly variable: string;
}

/** What a formula calls its operands, and what the kernel has computed before. */
export interface Names {
  readonly loads: readonly OperandWords[];
  readonly acc: string | undefined;
}

/** Names of operands that a kernel has bound, or computes by the functions `prefix` and their slot. */
export function operandWords(w: KernelWriter, loads: readonly View[], prefix: string): OperandWords[] {
  const words = loads.map(({ tensor }) => parameterWord(tensor));
  return loads.map(({ tensor }, slot) => {
    const variable = w.variableOf(tensor) ?? `${prefix}${slot}`;
    const word = words[slot];
    // A name that two tensors have would say that they are one.
    const shared = loads.some((other, i) => other.tensor !== tensor && words[i] === word);
    return { word: word === undefined || shared ? variable : word, variable };
  });
}

function parameterWord({ home }: Tensor): string | undefined {
  const last = home.kind === "param" || home.kind === "half" ? home.name.split(".").at(-1) : undefined;
  return last !== undefined && /^[a-z]\w*$/i.test(last) ? last : undefined;
}

/** `y = ...`, or `y0 = ..., y1 = ...` where there are several results. */
export function formulas(exprs: readonly Expr[], names: Names): string {
  return exprs.map((e, i) => `${exprs.length === 1 ? "y" : `y${i}`} = ${written(e, names).text}`).join(", ");
}

/** How tightly the outermost operation of a text binds. */
type Level = "sum" | "product" | "atom";

interface Written {
  readonly text: string;
  readonly level: Level;
}

const atom = (text: string): Written => ({ text, level: "atom" });

function written(e: Expr, names: Names): Written {
  switch (e.kind) {
    case "load": return atom(names.loads[e.slot]?.word ?? `v${e.slot}`);
    case "acc": return { text: names.acc ?? "acc", level: names.acc?.includes(" ") === true ? "product" : "atom" };
    case "number": return e.value < 0 ? { text: short(e.value), level: "sum" } : atom(short(e.value));
    case "ratio": return atom(`(${[e.num, e.den].map((d) => printDim(d)).map((d) => (/^\w+$/.test(d) ? d : `(${d})`)).join(" / ")})`);
    case "apply": return applied(e.text, e.args.map((a) => written(a, names)));
  }
}

/** A text with its arguments: sums, products, a change of sign, or whatever else it is, as in the kernel. */
function applied(template: string, args: readonly Written[]): Written {
  const argument = (text: string): Written => {
    const slot = /^\$(\d)$/.exec(text)?.[1];
    return slot === undefined ? atom(plain(text)) : args[Number(slot)] ?? atom(text);
  };
  const [, left, sign, right] = /^\((\S+) ([-+*/]) (\S+)\)$/.exec(template) ?? [];
  if (left !== undefined && right !== undefined && sign !== undefined) {
    const additive = sign === "+" || sign === "-";
    const after: readonly Level[] = sign === "+" ? [] : sign === "/" ? ["sum", "product"] : ["sum"];
    return { text: `${held(argument(left), additive ? [] : ["sum"])} ${sign} ${held(argument(right), after)}`, level: additive ? "sum" : "product" };
  }
  if (template === "(-$0)") return { text: `-${held(argument("$0"), ["sum"])}`, level: "sum" };
  // An argument that stands alone between brackets and commas needs none of its own.
  const text = plain(template)
    .replace(/(?<=\(|, )\$(\d)(?=\)|,)/g, (_, slot: string) => argument(`$${slot}`).text)
    .replace(/\$(\d)/g, (_, slot: string) => held(argument(`$${slot}`), ["sum", "product"]));
  return atom(text);
}

function held({ text, level }: Written, loose: readonly Level[]): string {
  return loose.includes(level) ? `(${text})` : text;
}

/** A text of the kernel with its literals as numbers: `0.1` for `0.10000000149011612f`. */
function plain(text: string): string {
  return text.replace(/(?<![\w.])(\d+(?:\.\d+)?(?:e[-+]?\d+)?)f\b/g, (_, x: string) => short(Number(x)));
}

function short(x: number): string {
  return String(Number(x.toPrecision(6)));
}
