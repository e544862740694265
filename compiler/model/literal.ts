/**
 * Words, numbers and records of the model graph's text.
 *
 * Owns the cursor over one line and the reading of literals (JSON with bare keys, and the numbers that JSON lacks), with
 * typed access to the fields of a record. Every mistake names line and column. Leaves what lines mean to `parse.ts`.
 */
import type { Literal, LiteralRecord } from "./print.js";

/** Text that is not a model graph: where, and what was expected. */
export class GraphTextError extends Error {
  override readonly name = "GraphTextError";
}

/** Whether a literal is a list. */
export function isListLiteral(value: Literal | undefined): value is readonly Literal[] {
  return Array.isArray(value);
}

function isRecordLiteral(value: Literal | undefined): value is LiteralRecord {
  return typeof value === "object" && value !== null && !isListLiteral(value);
}

/** Typed access to a record of the notation. */
export class Fields {
  constructor(
    private readonly values: ReadonlyMap<string, Literal>,
    private readonly bug: (problem: string) => GraphTextError,
  ) {}

  keys(): string[] {
    return [...this.values.keys()];
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  get(key: string): Literal {
    const value = this.values.get(key);
    if (value === undefined) throw this.bug(`\`${key}\` is missing`);
    return value;
  }

  text(key: string): string {
    const value = this.get(key);
    if (typeof value !== "string") throw this.bug(`\`${key}\` must be text`);
    return value;
  }

  number(key: string): number {
    const value = this.get(key);
    if (typeof value !== "number") throw this.bug(`\`${key}\` must be a number`);
    return value;
  }

  boolean(key: string): boolean {
    const value = this.get(key);
    if (typeof value !== "boolean") throw this.bug(`\`${key}\` must be true or false`);
    return value;
  }

  scalar(key: string): string | number | boolean {
    const value = this.get(key);
    if (typeof value === "object") throw this.bug(`\`${key}\` must be a single value`);
    return value;
  }

  /** A single value, or a list of numbers. */
  argument(key: string): string | number | boolean | readonly number[] {
    return isListLiteral(this.get(key)) ? this.numbers(key) : this.scalar(key);
  }

  choice<T extends string>(key: string, allowed: readonly T[]): T {
    const value = this.get(key);
    const found = allowed.find((a) => a === value);
    if (found === undefined) throw this.bug(`\`${key}\` must be one of ${allowed.join(", ")}`);
    return found;
  }

  list(key: string): readonly Literal[] {
    const value = this.get(key);
    if (!isListLiteral(value)) throw this.bug(`\`${key}\` must be a list`);
    return value;
  }

  numbers(key: string): number[] {
    return this.list(key).map((x) => {
      if (typeof x !== "number") throw this.bug(`\`${key}\` must be a list of numbers`);
      return x;
    });
  }

  texts(key: string): string[] {
    return this.list(key).map((x) => {
      if (typeof x !== "string") throw this.bug(`\`${key}\` must be a list of texts`);
      return x;
    });
  }

  pair(key: string): readonly [number, number] {
    const [low, high, ...more] = this.numbers(key);
    if (low === undefined || high === undefined || more.length > 0) throw this.bug(`\`${key}\` must be two numbers`);
    return [low, high];
  }

  record(value: Literal): Fields {
    if (!isRecordLiteral(value)) throw this.bug("a record is expected");
    return new Fields(entries(value), this.bug);
  }
}

function entries(value: LiteralRecord): ReadonlyMap<string, Literal> {
  return new Map(Object.entries(value).flatMap(([k, v]): [string, Literal][] => (v === undefined ? [] : [[k, v]])));
}

/** A position in one line. Every method skips blanks first. */
export class Cursor {
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

  /** A plain word or a JSON string. */
  word(): string {
    return this.at('"') ? this.string() : this.#match(/[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z0-9_]+|\*))*/y, "a name");
  }

  string(): string {
    const text = this.#match(/"(?:[^"\\]|\\.)*"/y, "a string");
    try {
      const parsed: unknown = JSON.parse(text);
      return String(parsed);
    } catch {
      throw this.bug("the string does not read");
    }
  }

  number(): number {
    return Number(this.#match(/-?(\d+(\.\d+)?(e[+-]?\d+)?|Infinity)|NaN/y, "a number"));
  }

  value(): number {
    return Number(this.#match(/%\d+/y, "a value").slice(1));
  }

  values(): number[] {
    const found: number[] = [];
    while (this.at("%")) found.push(this.value());
    return found;
  }

  dimText(): string {
    return this.#match(/[A-Za-z0-9_+\-*()]+/y, "a dimension");
  }

  gridText(): string {
    return this.#match(/\d+x\d+\/\d+(:\d+)?x\d+(x\d+\*\d+)?/y, "a grid such as 8x8/4x3");
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

  /** A record with typed access. */
  fields(): Fields {
    const bug = (problem: string): GraphTextError => this.bug(problem);
    const value = this.literal();
    if (!isRecordLiteral(value)) throw this.bug("a record is expected");
    return new Fields(entries(value), bug);
  }

  literal(depth = 0): Literal {
    if (depth > 64) throw this.bug("the record is nested too deeply");
    if (this.at("{")) {
      return Object.fromEntries(this.list("{", "}", (): [string, Literal] => {
        const key = this.word();
        this.expect(":");
        return [key, this.literal(depth + 1)];
      }));
    }
    if (this.at("[")) return this.list("[", "]", () => this.literal(depth + 1));
    if (this.at('"')) return this.string();
    if (this.accept("true")) return true;
    if (this.accept("false")) return false;
    return this.accept("null") ? null : this.number();
  }

  origin(): { readonly file: number; readonly start: number; readonly end: number } | undefined {
    if (!this.accept("@")) return undefined;
    const file = this.number();
    this.expect(":");
    const start = this.number();
    this.expect(":");
    return { file, start, end: this.number() };
  }

  bug(problem: string): GraphTextError {
    return new GraphTextError(`Line ${this.line}, column ${this.#at + 1}: ${problem} in \`${this.text.trim().slice(0, 200)}\`.`);
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
