/**
 * Reading the IR's text.
 *
 * The inverse of `print.ts`: a line-oriented notation, one node per line, so the parser is a cursor over one line at a
 * time. It checks words and syntax only; whether the IR is well-formed is `verify.ts`'s question. Mistakes come from people
 * who edit dumps: they throw IrError with the line number (this is a developer's tool, not the language's front end).
 */
import type { Span } from "../base/span.js";
import type { Dim } from "../types/dim.js";
import { parseDim } from "../types/dim.js";
import type { Func, Input, InputRole, Module, Node, Output, OutputRole, TensorType, Value, ValueId } from "./ir.js";
import { IrError, makeNode } from "./ir.js";
import type { AttrKind } from "./ops.js";
import { isOpName, specOf } from "./ops.js";

/** Reads a module. @throws IrError with the line that does not read. */
export function parseModule(text: string): Module {
  const funcs = new Map<string, Func>();
  const lines = text.split("\n");
  let doc: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = (lines[i] ?? "").trim();
    if (line === "") continue;
    if (line.startsWith("///")) {
      doc.push(line.slice(3).replace(/^ /, ""));
      continue;
    }
    const end = lines.findIndex((l, j) => j > i && l.trim() === "}");
    if (end < 0) throw new IrError(`Line ${i + 1}: the function is not closed.`);
    const func = parseFunc(lines.slice(i, end), i + 1, doc);
    funcs.set(func.name, func);
    doc = [];
    i = end;
  }
  return { funcs };
}

const inputRoles: ReadonlySet<string> = new Set<InputRole>(["data", "param", "index", "saved", "cotangent", "scalar"]);
const outputRoles: ReadonlySet<string> = new Set<OutputRole>(["data", "saved", "grad", "loss", "watch"]);

function parseFunc(lines: readonly string[], firstLine: number, doc: readonly string[]): Func {
  const values: Value[] = [];
  const inputs: Input[] = [];
  const outputs: Output[] = [];
  const nodes: Node[] = [];
  const head = new Cursor(lines[0] ?? "", firstLine);
  head.expect("func");
  const name = head.word();
  const dims = head.list("(", ")", () => head.word());
  const origin = head.origin();
  head.expect("{");
  head.end();
  lines.slice(1).forEach((text, i) => {
    const cx = new Cursor(text, firstLine + 1 + i);
    if (cx.atEnd()) return;
    if (cx.accept("return")) outputs.push(parseOutput(cx));
    else parseDefinition(cx, values, inputs, nodes);
    cx.end();
  });
  return { name, dims, inputs, outputs, values, nodes, ...(doc.length === 0 ? {} : { doc: doc.join("\n") }), origin };
}

function parseOutput(cx: Cursor): Output {
  const role = cx.word();
  if (!isOutputRole(role)) throw cx.bug(`\`${role}\` is no role of an output`);
  const path = cx.string();
  cx.expect("=");
  return { value: cx.value(), role, path };
}

function parseDefinition(cx: Cursor, values: Value[], inputs: Input[], nodes: Node[]): void {
  const labels: { id: ValueId; name: string | undefined }[] = [];
  if (!cx.at("=")) {
    do labels.push({ id: cx.value(), name: cx.at('"') ? cx.string() : undefined });
    while (cx.accept(","));
  }
  cx.expect("=");
  const word = cx.word();
  const define = (types: readonly TensorType[]): void => {
    if (types.length !== labels.length) throw cx.bug(`${labels.length} values have ${types.length} types`);
    labels.forEach(({ id, name }, i) => {
      const type = types[i];
      if (type !== undefined) values[id] = name === undefined ? { id, type } : { id, type, name };
    });
  };
  if (isInputRole(word)) {
    const path = cx.string();
    cx.expect(":");
    define([cx.type()]);
    const [first] = labels;
    if (first !== undefined) inputs.push({ value: first.id, role: word, path });
    return;
  }
  if (!isOpName(word)) throw cx.bug(`\`${word}\` is no op and no role of an input`);
  const args = cx.list("(", ")", () => cx.value());
  const attrs = parseAttrs(cx, specOf(word).attrs);
  cx.expect(":");
  define(labels.length === 0 ? [] : cx.types());
  nodes.push(makeNode({ op: word, args, results: labels.map((l) => l.id), attrs, origin: cx.origin() }));
}

function parseAttrs(cx: Cursor, kinds: Readonly<Record<string, AttrKind>>): object {
  if (!cx.at("{")) return {};
  const entries = cx.list("{", "}", (): [string, unknown] => {
    const name = cx.word();
    cx.expect(":");
    const kind = kinds[name];
    if (kind === undefined) throw cx.bug(`there is no attribute \`${name}\``);
    return [name, parseAttr(cx, kind)];
  });
  return Object.fromEntries(entries);
}

function parseAttr(cx: Cursor, kind: AttrKind): unknown {
  switch (kind) {
    case "number":
    case "integer":
      return cx.number();
    case "boolean":
      return cx.word() === "true";
    case "name":
      return cx.word();
    case "integers":
      return cx.list("[", "]", () => cx.number());
    case "dim":
      return cx.dim();
    case "dims":
      return cx.list("[", "]", () => cx.dim());
    case "bindings":
      return Object.fromEntries(
        cx.list("{", "}", (): [string, Dim] => {
          const symbol = cx.word();
          cx.expect(":");
          return [symbol, cx.dim()];
        }),
      );
  }
}

function isInputRole(word: string): word is InputRole {
  return inputRoles.has(word);
}

function isOutputRole(word: string): word is OutputRole {
  return outputRoles.has(word);
}

/** A position in one line. Every method skips blanks first. */
class Cursor {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly line: number,
  ) {}

  at(literal: string): boolean {
    this.#skip();
    return this.text.startsWith(literal, this.#at);
  }

  accept(literal: string): boolean {
    if (!this.at(literal)) return false;
    this.#at += literal.length;
    return true;
  }

  expect(literal: string): void {
    if (!this.accept(literal)) throw this.bug(`\`${literal}\` is expected`);
  }

  atEnd(): boolean {
    this.#skip();
    return this.#at >= this.text.length;
  }

  end(): void {
    if (!this.atEnd()) throw this.bug("nothing more is expected");
  }

  word(): string {
    return this.#match(/[A-Za-z_][A-Za-z0-9_.$]*/y, "a word");
  }

  value(): ValueId {
    return Number(this.#match(/%\d+/y, "a value").slice(1));
  }

  number(): number {
    return Number(this.#match(/-?\d+(\.\d+)?(e[+-]?\d+)?/y, "a number"));
  }

  string(): string {
    const parsed: unknown = JSON.parse(this.#match(/"(?:[^"\\]|\\.)*"/y, "a string"));
    return String(parsed);
  }

  dim(): Dim {
    const text = this.#match(/[A-Za-z0-9_+\-*()]+/y, "a dimension");
    const parsed = parseDim(text);
    if (parsed === undefined) throw this.bug(`\`${text}\` is no dimension`);
    return parsed;
  }

  list<T>(open: string, close: string, item: () => T): T[] {
    const items: T[] = [];
    this.expect(open);
    if (this.accept(close)) return items;
    do items.push(item());
    while (this.accept(","));
    this.expect(close);
    return items;
  }

  type(): TensorType {
    const stack: number[] = [];
    while (!this.at("f32") && !this.at("i32")) {
      stack.push(this.number());
      this.expect("of");
    }
    const dtype = this.accept("f32") ? "f32" : "i32";
    if (dtype === "i32") this.expect("i32");
    return { dtype, shape: this.list("[", "]", () => this.dim()), stack };
  }

  types(): TensorType[] {
    const types: TensorType[] = [];
    do types.push(this.type());
    while (this.accept(","));
    return types;
  }

  origin(): Span | undefined {
    if (!this.accept("@")) return undefined;
    const file = this.string();
    this.expect(":");
    const start = this.number();
    this.expect(":");
    return { file, start, end: this.number() };
  }

  bug(problem: string): IrError {
    return new IrError(`Line ${this.line}, column ${this.#at + 1}: ${problem} in \`${this.text.trim()}\`.`);
  }

  #match(pattern: RegExp, what: string): string {
    this.#skip();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw this.bug(`${what} is expected`);
    this.#at += found.length;
    return found;
  }

  #skip(): void {
    while (this.text[this.#at] === " ") this.#at++;
  }
}
