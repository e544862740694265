/**
 * Where emitted functions get the values of dimension symbols.
 *
 * A size is read off the shape of an argument: `const [B, T] = x.shape`. This finds, for the symbols a function's text
 * uses, an argument axis that decides each (the symbol itself, or linear in it: `4 * B`); what no axis decides has to come
 * from the caller as a number. Only what the text uses is written.
 */
import type { Dim } from "../../types/dim.js";
import { add, constantDim, constantOf, equal, mul, printDim, sub, substitute, symbolDim, symbolsOf } from "../../types/dim.js";
import type { Scope } from "./names.js";

/** An argument whose shape may be asked: its text and IR shape. */
export interface ShapeSource {
  readonly text: string;
  readonly shape: readonly Dim[];
}

/** Sizes of one function. */
export class Sizes {
  readonly #names = new Map<string, string>();
  readonly #sources: readonly ShapeSource[];
  readonly #scope: Scope;

  constructor(sources: readonly ShapeSource[], scope: Scope) {
    this.#sources = sources;
    this.#scope = scope;
  }

  /** Text of a dimension's value; its symbols are needed from now on. */
  text(d: Dim): string {
    const known = constantOf(d);
    if (known !== undefined) return String(known);
    return printDim(this.#renamed(d)).replace(/[*+]|(?<=[\w)])-/g, " $& ");
  }

  #renamed(d: Dim): Dim {
    return substitute(d, new Map(symbolsOf(d).map((s) => [s, symbolDim(this.#name(s))])));
  }

  #name(symbol: string): string {
    const known = this.#names.get(symbol);
    if (known !== undefined) return known;
    const name = this.#scope.take(symbol);
    this.#names.set(symbol, name);
    return name;
  }

  /** The lines that define what the text used, and the symbols that have to be passed, with their names. */
  finish(): { lines: string[]; extra: { symbol: string; name: string }[] } {
    const solved = new Set<string>();
    const lines: string[] = [];
    const extra: { symbol: string; name: string }[] = [];
    const solve = (symbol: string, visiting: ReadonlySet<string>): boolean => {
      if (solved.has(symbol)) return true;
      if (visiting.has(symbol)) return false;
      const found = this.#equation(symbol, (s) => solve(s, new Set([...visiting, symbol])));
      if (found === undefined) return false;
      solved.add(symbol);
      lines.push(`const ${this.#name(symbol)} = ${found};`);
      return true;
    };
    for (const symbol of [...this.#names.keys()]) {
      if (!solve(symbol, new Set())) {
        extra.push({ symbol, name: this.#name(symbol) });
        solved.add(symbol);
      }
    }
    return { lines: destructured(axesFirst(lines)), extra };
  }

  /** What an axis says that the symbol is; axes that are the symbol itself first. */
  #equation(symbol: string, has: (s: string) => boolean): string | undefined {
    const own = symbolDim(symbol);
    const axes = this.#sources.flatMap(({ text, shape }) => shape.map((d, i) => ({ d, text: `${text}.shape[${i}]` })));
    const exact = axes.find((axis) => equal(axis.d, own));
    if (exact !== undefined) return exact.text;
    for (const { d, text } of axes) {
      if (!symbolsOf(d).includes(symbol)) continue;
      const rest = substitute(d, new Map([[symbol, constantDim(0)]]));
      const slope = sub(substitute(d, new Map([[symbol, constantDim(1)]])), rest);
      if (!equal(d, add(mul(slope, own), rest)) || symbolsOf(slope).includes(symbol)) continue;
      if (![...symbolsOf(slope), ...symbolsOf(rest)].every(has)) continue;
      const left = constantOf(rest) === 0 ? text : `(${text} - ${bracketed(this.text(rest))})`;
      return constantOf(slope) === 1 ? left : `${left} / ${bracketed(this.text(slope))}`;
    }
    return undefined;
  }
}

function bracketed(text: string): string {
  return /^\w+$/.test(text) ? text : `(${text})`;
}

/** Sizes that are an axis depend on nothing: they go first, those of one argument together and in order. */
function axesFirst(lines: readonly string[]): string[] {
  const axes = lines.filter((line) => axisLine.test(line));
  const sources = [...new Set(axes.map((line) => axisLine.exec(line)?.[2]))];
  const rank = (line: string): number => sources.indexOf(axisLine.exec(line)?.[2]) * 16 + Number(axisLine.exec(line)?.[3]);
  return [...axes.toSorted((a, b) => rank(a) - rank(b)), ...lines.filter((line) => !axisLine.test(line))];
}

const axisLine = /^const (\w+) = ([^()]*)\.shape\[(\d+)\];$/;

/** `const B = x.shape[0]; const T = x.shape[1];` as `const [B, T] = x.shape;`. */
function destructured(lines: readonly string[]): string[] {
  const out: string[] = [];
  for (const line of lines) {
    const [, name, source, axis] = axisLine.exec(line) ?? [];
    const before = /^const (?:\[(.*)\]) = ([^()]*)\.shape;$/.exec(out.at(-1) ?? "");
    if (name === undefined || source === undefined) out.push(line);
    else if (before !== null && before[2] === source && before[1]?.split(", ").length === Number(axis)) {
      out[out.length - 1] = `const [${before[1]}, ${name}] = ${source}.shape;`;
    } else if (axis === "0") out.push(`const [${name}] = ${source}.shape;`);
    else out.push(line);
  }
  return out;
}
