/**
 * Runs the text of a WGSL kernel on the host, for kernels that no driver at hand can run: those with subgroup matrices.
 *
 * Reads the part of the language that the generator writes (functions, let, var, for, if, assignments, arrays, vectors of four,
 * built-in vectors of three, subgroup matrices) and turns it into JavaScript, an invocation being a generator that stops at each
 * barrier. What is checked on the way: every index lies within its array, matrices lie within it with whole strides (the rule
 * of the proposal), those that are multiplied fit each other, all invocations of a workgroup meet the same barriers, and between
 * two barriers nobody touches an element of workgroup memory that another one writes. A matrix belongs to all lanes of a subgroup:
 * the first one computes, and the others must ask for the same. Numbers are rounded as their types are. A variable that is declared
 * in a loop without a value holds nonsense, not the zeros that WGSL promises: Dawn leaves there what the last turn had.
 */
/** What a type is to the emulator: `int`, `float`, `half`, `bool`, or a shape with elements. */
type Type = { readonly kind: "int" | "float" | "half" | "bool" | "void" } | { readonly kind: "array" | "vector"; readonly of: Type; readonly zero: string } | { readonly kind: "matrix"; readonly zero: string } | { readonly kind: "struct" };

interface Expr { readonly js: string; readonly type: Type }

const INT: Type = { kind: "int" };
const FLOAT: Type = { kind: "float" };
const BOOL: Type = { kind: "bool" };
const HALVES: Type = { kind: "vector", of: { kind: "half" }, zero: "[0, 0, 0, 0]" };
/** `vec4<u32>` stands for eight f16, which is all that kernels use it for; half of it is bit-cast to four. */
const PACKED: Type & { readonly zero: string } = { kind: "vector", of: INT, zero: "[0, 0, 0, 0, 0, 0, 0, 0]" };

/** A matrix of a subgroup. */
interface Matrix { readonly rows: number; readonly columns: number; readonly data: readonly number[] }

/** Memory that kernels index. */
export type Memory = (number | number[])[];

/** The nearest number that f16 has. */
function toHalf(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10);
  const [below, part] = [Math.floor(x / unit), x / unit - Math.floor(x / unit)];
  const whole = part === 0.5 ? below + below % 2 : Math.round(x / unit);
  return Math.abs(whole * unit) > 65504 ? Math.sign(x) * Infinity : whole * unit;
}

/** Who last wrote and who read each element of workgroup memory since the last barrier; "many" where several read. */
interface Touched { readonly writers: Map<number, number>; readonly readers: Map<number, number | "many"> }

/** The workgroup memory of the group that runs, with what has been touched since the last barrier. */
let shared = new Map<Memory, Touched>();
/** The invocation that runs, its subgroup, and what lanes of that have done with matrices since the last barrier. */
let running: { readonly thread: number; readonly subgroup: number; readonly lane: number; readonly done: Done[]; at: number } = { thread: 0, subgroup: 0, lane: 0, done: [], at: 0 };

interface Done { readonly asked: readonly unknown[]; readonly result: Matrix }

/** What a subgroup does as one: the first lane does it, the others must ask for the same in the same order. */
function together(asked: readonly unknown[], work: () => Matrix): Matrix {
  if (running.lane === 0) running.done.push({ asked, result: work() });
  const known = running.done[running.at++];
  if (known === undefined || asked.length !== known.asked.length || asked.some((x, i) => x !== known.asked[i])) throw new Error("lanes of a subgroup do not ask for the same matrix");
  return known.result;
}

/** Matrices of zeros and of nonsense, one of each size. */
const filled = new Map<string, Matrix>();

function filledMatrix(rows: number, columns: number, value: number): Matrix {
  const key = `${rows} ${columns} ${value}`;
  const made = filled.get(key) ?? { rows, columns, data: Array.from({ length: rows * columns }, () => value) };
  filled.set(key, made);
  return made;
}

/** Subgroups as those who touch by matrices; invocations are 0 and up. */
const wholeSubgroup = (): number => -1 - running.subgroup;

/** Notes an access to workgroup memory. @throws where another one wrote the element since the last barrier, or is to be overwritten while it reads. */
function touch(memory: Memory, i: number, who: number, writes: boolean): void {
  const touched = shared.get(memory);
  if (touched === undefined) return;
  const [writer, reader] = [touched.writers.get(i), touched.readers.get(i)];
  if (writer !== undefined && writer !== who) throw new Error(`a race: element ${i} was written by ${writer} and is ${writes ? "written" : "read"} by ${who}`);
  if (writes && reader !== undefined && reader !== who) throw new Error(`a race: element ${i} was read by ${reader} and is written by ${who}`);
  if (writes) touched.writers.set(i, who);
  else touched.readers.set(i, reader === undefined || reader === who ? who : "many");
}

/** Elements that one element of a memory holds. */
const lanesIn = (memory: Memory): number => (Array.isArray(memory[0]) ? memory[0].length : 1);

/** Goes over the places of a matrix's elements: the element of the memory and the lane in it; offsets and strides count elements of the memory. */
function overPlaces(rows: number, columns: number, byRows: boolean, memory: Memory, from: number, stride: number, visit: (at: number, lane: number, i: number) => void): void {
  const lanes = lanesIn(memory);
  const [slices, along] = byRows ? [rows, columns] : [columns, rows];
  if (stride * lanes < along) throw new Error(`a stride of ${stride * lanes} for slices of ${along}`);
  if (from + stride * slices > memory.length) throw new Error(`a matrix from ${from}, ${slices} times ${stride}, in ${memory.length}`);
  for (let slice = 0; slice < slices; slice++) {
    for (let step = 0; step < along; step++) visit(from + slice * stride + Math.floor(step / lanes), step % lanes, byRows ? slice * columns + step : step * columns + slice);
  }
}

/** What the generated code calls. */
const support = {
  f16: toHalf,
  thread: (): number => running.thread,
  at(memory: Memory, i: number): number | number[] {
    const value = memory[i];
    if (value === undefined) throw new Error(`index ${i} of ${memory.length}`);
    touch(memory, i, running.thread, false);
    return value;
  },
  put(memory: Memory, i: number, value: number | number[]): void {
    if (i < 0 || i >= memory.length) throw new Error(`store to ${i} of ${memory.length}`);
    touch(memory, i, running.thread, true);
    memory[i] = value;
  },
  zero: (rows: number, columns: number): Matrix => filledMatrix(rows, columns, 0),
  nonsense: (rows: number, columns: number): Matrix => filledMatrix(rows, columns, NaN),
  load: (rows: number, columns: number, byRows: boolean, memory: Memory, from: number, stride: number): Matrix => together([rows, columns, byRows, memory, from, stride], () => {
    const data = Array.from({ length: rows * columns }, () => NaN);
    overPlaces(rows, columns, byRows, memory, from, stride, (at, lane, i) => {
      touch(memory, at, wholeSubgroup(), false);
      const value = memory[at];
      data[i] = Number(Array.isArray(value) ? value[lane] : value);
    });
    return { rows, columns, data };
  }),
  multiply: (a: Matrix, b: Matrix, c: Matrix): Matrix => together([a, b, c], () => {
    if (a.columns !== b.rows || a.rows !== c.rows || b.columns !== c.columns) throw new Error(`${a.rows} x ${a.columns} times ${b.rows} x ${b.columns} into ${c.rows} x ${c.columns}`);
    const data = c.data.map((start, i) => {
      const [row, column] = [Math.floor(i / c.columns), i % c.columns];
      let sum = start;
      for (let k = 0; k < a.columns; k++) sum = Math.fround(sum + (a.data[row * a.columns + k] ?? NaN) * (b.data[k * b.columns + column] ?? NaN));
      return sum;
    });
    return { ...c, data };
  }),
  store: (byRows: boolean, memory: Memory, from: number, m: Matrix, stride: number): Matrix => together([byRows, memory, from, m, stride], () => {
    overPlaces(m.rows, m.columns, byRows, memory, from, stride, (at, lane, i) => {
      touch(memory, at, wholeSubgroup(), true);
      const [old, value] = [memory[at], m.data[i] ?? NaN];
      memory[at] = Array.isArray(old) ? old.map((x, l) => (l === lane ? value : x)) : value;
    });
    return m;
  }),
  /** A function of numbers, or of each lane of vectors. */
  each(f: (...x: number[]) => number, ...args: (number | number[])[]): number | number[] {
    const lanes = args.find((x) => Array.isArray(x))?.length;
    if (lanes === undefined) return f(...args.map(Number));
    return Array.from({ length: lanes }, (_, l) => f(...args.map((x) => Number(Array.isArray(x) ? x[l] : x))));
  },
  dot: (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, l) => Math.fround(sum + Math.fround(x * (b[l] ?? NaN))), 0),
};

interface Place { readonly x: number; readonly y: number; readonly z: number }

/** Built-in values of an invocation, by their names in WGSL. */
type Builtins = Readonly<Record<string, number | Place>>;

/** A kernel that can be run. */
export interface Emulated {
  readonly threads: number;
  readonly subgroup: number;
  run(sizes: Readonly<Record<string, number>>, storage: Readonly<Record<string, Memory>>, groups: readonly [number, number, number]): void;
}

/** Reads a kernel's text. */
export function emulate(text: string): Emulated {
  const code = new Translator(text.replace(/\/\/.*$/gm, "")).translate();
  const made: unknown = new Function("support", "p", "storage", code)(support, undefined, undefined);
  if (!isMaker(made)) throw new Error("the emulator made no kernel");
  return {
    threads: made.threads, subgroup: made.subgroup,
    run(sizes, storage, [gx, gy, gz]) {
      for (let z = 0; z < gz; z++) for (let y = 0; y < gy; y++) for (let x = 0; x < gx; x++) oneGroup(made, sizes, storage, { x, y, z }, { x: gx, y: gy, z: gz });
    },
  };
}

interface Maker { readonly threads: number; readonly subgroup: number; readonly group: (p: Readonly<Record<string, number>>, storage: Readonly<Record<string, Memory>>) => { readonly main: (builtins: Builtins) => Generator<void>; readonly memories: readonly Memory[] } }

function isMaker(x: unknown): x is Maker {
  return typeof x === "object" && x !== null && "threads" in x && "group" in x && typeof x.group === "function";
}

function oneGroup(made: Maker, sizes: Readonly<Record<string, number>>, storage: Readonly<Record<string, Memory>>, group: Place, groups: Place): void {
  shared = new Map();
  const { main, memories } = made.group(sizes, storage);
  const forget = (): void => memories.forEach((memory) => shared.set(memory, { writers: new Map(), readers: new Map() }));
  const invocations = Array.from({ length: made.threads }, (_, thread) => main({ workgroup_id: group, num_workgroups: groups, local_invocation_index: thread, subgroup_id: Math.floor(thread / made.subgroup), subgroup_invocation_id: thread % made.subgroup }));
  for (;;) {
    forget();
    let done: Done[] = [];
    const ended = invocations.map((i, thread) => {
      const lane = thread % made.subgroup;
      if (lane === 0) done = [];
      running = { thread, subgroup: Math.floor(thread / made.subgroup), lane, done, at: 0 };
      const over = i.next().done === true;
      if (running.at < done.length) throw new Error("lanes of a subgroup do not ask for the same matrix");
      return over;
    });
    if (ended.every((e) => e)) return;
    if (ended.some((e) => e)) throw new Error("invocations of a workgroup do not meet the same barriers");
  }
}

const LEVELS: readonly (readonly string[])[] = [["||"], ["&&"], ["==", "!=", "<", ">", "<=", ">="], ["+", "-"], ["*", "/", "%"]];

class Translator {
  readonly #tokens: readonly string[];
  #at = 0;
  #scopes: Map<string, Type>[] = [new Map([["p", { kind: "struct" }]])];
  readonly #returns = new Map<string, Type>();
  readonly #privates = new Set<string>();
  #loops = 0;

  constructor(text: string) {
    this.#tokens = text.match(/[A-Za-z_]\w*|\d[\d.]*(?:e[+-]?\d+)?[ufh]?|->|\+\+|[-+*/<>=!]=|&&|\|\||[^\s]/g) ?? [];
  }

  /** JavaScript that returns the kernel. */
  translate(): string {
    const consts: string[] = [];
    const shared: string[] = [];
    const memories: string[] = [];
    const functions: string[] = [];
    let threads = "";
    while (this.#at < this.#tokens.length) {
      const word = this.#next();
      if (word === "enable" || word === "diagnostic" || word === "requires" || word === "const_assert") this.#skipTo(";");
      else if (word === "struct") this.#skipTo("}");
      else if (word === "@") {
        const name = this.#next();
        if (name === "workgroup_size") { this.#take("("); threads = this.#expr().js; this.#take(")"); }
        else if (this.#peek() === "(") this.#skipTo(")");
      } else if (word === "const") {
        const name = this.#next();
        this.#take("=");
        consts.push(`const ${name} = ${this.#expr().js};`);
        this.#declare(name, INT);
        this.#take(";");
      } else if (word === "var") {
        const space = this.#angle();
        if (space === "uniform") {
          this.#skipTo(";");
          continue;
        }
        const name = this.#next();
        this.#take(":");
        const type = this.#type();
        this.#take(";");
        this.#declare(name, type);
        if (space === "private") {
          // Each invocation has its own.
          this.#privates.add(name);
          shared.push(`const ${name} = Array.from({ length: ${threads === "" ? "THREADS" : threads} }, () => ${"zero" in type ? type.zero : "0"});`);
          continue;
        }
        if (space === "workgroup") memories.push(name);
        shared.push(space === "workgroup" && type.kind === "array" ? `const ${name} = ${type.zero};` : `const ${name} = storage.${name};`);
      } else if (word === "fn") functions.push(this.#function());
      else if (word !== ";") throw new Error(`the emulator does not know ${word}`);
    }
    return `${consts.join("\n")}\nreturn { threads: ${threads}, subgroup: typeof SUBGROUP === "undefined" ? ${threads} : SUBGROUP, group(p, storage) {\n${shared.join("\n")}\n${functions.join("\n")}\nreturn { main, memories: [${memories.join(", ")}] };\n} };`;
  }

  #function(): string {
    const name = this.#next();
    this.#take("(");
    this.#scopes.push(new Map());
    const parameters: string[] = [];
    while (!this.#took(")")) {
      let builtin: string | undefined;
      if (this.#took("@")) { this.#take("builtin"); this.#take("("); builtin = this.#next(); this.#take(")"); }
      const own = this.#next();
      this.#take(":");
      this.#declare(own, this.#type());
      parameters.push(builtin === undefined ? own : `${builtin}: ${own}`);
      this.#took(",");
    }
    this.#returns.set(name, this.#took("->") ? this.#type() : { kind: "void" });
    const body = this.#block();
    this.#scopes.pop();
    return name === "main" ? `function* main({ ${parameters.join(", ")} }) ${body}` : `function ${name}(${parameters.join(", ")}) ${body}`;
  }

  #block(): string {
    this.#take("{");
    this.#scopes.push(new Map());
    const lines: string[] = [];
    while (!this.#took("}")) lines.push(this.#statement());
    this.#scopes.pop();
    return `{\n${lines.join("\n")}\n}`;
  }

  #statement(): string {
    if (this.#peek() === "{") return this.#block();
    if (this.#took(";")) return "";
    if (this.#took("if")) {
      this.#take("(");
      const condition = this.#expr().js;
      this.#take(")");
      const then = this.#block();
      return `if (${condition}) ${then}${this.#took("else") ? ` else ${this.#statement()}` : ""}`;
    }
    if (this.#took("for")) {
      this.#take("(");
      this.#scopes.push(new Map());
      const start = this.#peek() === ";" ? "" : this.#simple();
      this.#take(";");
      const condition = this.#expr().js;
      this.#take(";");
      const step = this.#simple();
      this.#take(")");
      this.#loops++;
      const body = this.#block();
      this.#loops--;
      this.#scopes.pop();
      return `for (${start}; ${condition}; ${step}) ${body}`;
    }
    if (this.#took("return")) {
      const value = this.#peek() === ";" ? "" : this.#expr().js;
      this.#take(";");
      return `return ${value};`;
    }
    const text = this.#simple();
    this.#take(";");
    return `${text};`;
  }

  /** A declaration, an assignment or a call. */
  #simple(): string {
    if (this.#peek() === "let" || this.#peek() === "var") {
      this.#next();
      const name = this.#next();
      const declared = this.#took(":") ? this.#type() : undefined;
      const zero = declared !== undefined && "zero" in declared ? declared.zero : "0";
      const value = this.#took("=") ? this.#expr() : { js: this.#loops === 0 ? zero : nonsense(zero), type: declared ?? FLOAT };
      this.#declare(name, declared ?? value.type);
      return `let ${name} = ${value.js}`;
    }
    const target = this.#postfix();
    if (this.#took("++")) return `${target.js}++`;
    const operator = this.#next();
    if (operator === "=") return this.#assign(target, this.#expr());
    if (/^[-+*/]=$/.test(operator)) return this.#assign(target, binary(operator.charAt(0), target, this.#expr()));
    this.#at--;
    return target.js;
  }

  #assign(target: Expr, value: Expr): string {
    const element = /^support\.at\(([^]*)\)$/.exec(target.js);
    return element === null ? `${target.js} = ${value.js}` : `support.put(${element[1] ?? ""}, ${value.js})`;
  }

  #expr(level = 0): Expr {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#expr(level + 1);
    while (operators.includes(this.#peek())) left = binary(this.#next(), left, this.#expr(level + 1));
    return left;
  }

  #unary(): Expr {
    if (this.#took("-")) {
      const of = this.#unary();
      return { js: `(-${of.js})`, type: of.type };
    }
    if (this.#took("!")) return { js: `(!${this.#unary().js})`, type: BOOL };
    if (this.#took("&")) return this.#unary();
    return this.#postfix();
  }

  #postfix(): Expr {
    let value = this.#primary();
    for (;;) {
      if (this.#took("[")) {
        const index = this.#expr().js;
        this.#take("]");
        value = { js: `support.at(${value.js}, ${index})`, type: "of" in value.type ? value.type.of : FLOAT };
      } else if (this.#took(".")) {
        const field = this.#next();
        if (value.type === PACKED) value = { js: `${value.js}.slice(${field === "xy" ? "0, 4" : "4, 8"})`, type: HALVES };
        else value = value.type.kind === "vector" ? { js: `${value.js}[${"xyzw".indexOf(field)}]`, type: value.type.of } : { js: `${value.js}.${field}`, type: INT };
      } else return value;
    }
  }

  #primary(): Expr {
    const word = this.#next();
    if (word === "(") {
      const inner = this.#expr();
      this.#take(")");
      return { js: `(${inner.js})`, type: inner.type };
    }
    if (/^\d/.test(word)) return { js: word.replace(/[ufh]$/, ""), type: word.endsWith("h") ? { kind: "half" } : word.endsWith("f") || /[.e]/.test(word) ? FLOAT : INT };
    if (word === "true" || word === "false") return { js: word, type: BOOL };
    const typed = this.#peek() === "<" && /^(vec4|bitcast|subgroupMatrix\w+)$/.test(word);
    if (!typed && this.#peek() !== "(") return { js: this.#privates.has(word) ? `${word}[support.thread()]` : word, type: this.#typeOf(word) };
    return this.#call(word, typed);
  }

  #call(name: string, typed: boolean): Expr {
    let matrix = { rows: "", columns: "" };
    let byRows = true;
    let of = FLOAT;
    if (typed) {
      this.#take("<");
      if (name === "subgroupMatrixLoad") { matrix = this.#matrix(); this.#take(","); }
      if (name === "vec4" || name === "bitcast") of = this.#type();
      else byRows = this.#next() === "row_major";
      this.#take(">");
    }
    this.#take("(");
    const args: Expr[] = [];
    while (!this.#took(")")) { args.push(this.#expr()); this.#took(","); }
    const js = args.map((a) => a.js);
    switch (name) {
      case "bitcast": return { js: js[0] ?? "", type: HALVES };
      case "vec4": return of.kind === "int" ? { js: PACKED.zero, type: PACKED } : { js: vector(args, of), type: { kind: "vector", of, zero: "[0, 0, 0, 0]" } };
      case "subgroupMatrixLoad": return { js: `support.load(${matrix.rows}, ${matrix.columns}, ${byRows}, ${js.join(", ")})`, type: { kind: "matrix", zero: "" } };
      case "subgroupMatrixMultiplyAccumulate": return { js: `support.multiply(${js.join(", ")})`, type: { kind: "matrix", zero: "" } };
      case "subgroupMatrixStore": return { js: `support.store(${byRows}, ${js.join(", ")})`, type: { kind: "void" } };
      case "workgroupBarrier": return { js: "yield", type: { kind: "void" } };
      case "f32": case "f16": return { js: rounded(js[0] ?? "", name === "f16" ? { kind: "half" } : FLOAT), type: name === "f16" ? { kind: "half" } : FLOAT };
      case "u32": return { js: `Math.trunc(${js[0] ?? ""})`, type: INT };
      case "min": case "max": return { js: `Math.${name}(${js.join(", ")})`, type: args[0]?.type ?? FLOAT };
      case "exp": case "log": case "sqrt": case "abs": return { js: `support.each((x) => Math.fround(Math.${name}(x)), ${js.join(", ")})`, type: args[0]?.type ?? FLOAT };
      case "dot": return { js: `support.dot(${js.join(", ")})`, type: FLOAT };
      case "select": return { js: `(${js[2] ?? ""} ? ${js[1] ?? ""} : ${js[0] ?? ""})`, type: args[0]?.type ?? FLOAT };
      default: {
        const type = this.#returns.get(name);
        if (type === undefined) throw new Error(`the emulator does not know the function ${name}`);
        return { js: `${name}(${js.join(", ")})`, type };
      }
    }
  }

  /** A type of matrix: rows and columns, from left<T, K, M>, right<T, N, K> or result<T, N, M>, all columns first. */
  #matrix(): { rows: string; columns: string } {
    if (!/^subgroup_matrix_(left|right|result)$/.test(this.#next())) throw new Error("a matrix was expected");
    this.#take("<");
    this.#next();
    this.#take(",");
    const columns = this.#expr(3).js;
    this.#take(",");
    const rows = this.#expr(3).js;
    this.#take(">");
    return { rows, columns };
  }

  #type(): Type {
    const name = this.#next();
    if (name === "f32") return FLOAT;
    if (name === "f16") return { kind: "half" };
    if (name === "u32" || name === "i32") return INT;
    if (name === "vec3" || name === "vec4") {
      this.#take("<");
      const of = this.#type();
      this.#take(">");
      return name === "vec3" ? { kind: "struct" } : of.kind === "int" ? PACKED : { kind: "vector", of, zero: "[0, 0, 0, 0]" };
    }
    if (name === "array") {
      this.#take("<");
      const of = this.#type();
      const count = this.#took(",") ? this.#expr(3).js : "0";
      this.#take(">");
      return { kind: "array", of, zero: `Array.from({ length: ${count} }, () => ${"zero" in of ? of.zero : "0"})` };
    }
    this.#at--;
    const { rows, columns } = this.#matrix();
    return { kind: "matrix", zero: `support.zero(${rows}, ${columns})` };
  }

  #typeOf(name: string): Type {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const type = this.#scopes[i]?.get(name);
      if (type !== undefined) return type;
    }
    throw new Error(`the emulator does not know ${name}`);
  }

  #declare(name: string, type: Type): void {
    this.#scopes.at(-1)?.set(name, type);
  }

  #angle(): string {
    this.#take("<");
    let text = "";
    while (!this.#took(">")) text += this.#next();
    return text;
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? "";
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error("the kernel ends too early");
    return token;
  }

  #took(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }

  #take(token: string): void {
    const found = this.#next();
    if (found !== token) throw new Error(`${token} was expected, not ${found}, in ${this.#tokens.slice(this.#at - 8, this.#at + 4).join(" ")}`);
  }

  #skipTo(token: string): void {
    while (this.#next() !== token);
  }
}

/** The text of a zero with no number for every 0. */
function nonsense(zero: string): string {
  return zero.replace(/^0$|(?<==> )0(?=\))|(?<=[[, ])0(?=[,\]])/g, "NaN").replaceAll("support.zero(", "support.nonsense(");
}

function rounded(js: string, type: Type): string {
  if (type.kind === "float") return `Math.fround(${js})`;
  return type.kind === "half" ? `support.f16(${js})` : js;
}

function vector(args: readonly Expr[], of: Type): string {
  if (args.length === 0) return "[0, 0, 0, 0]";
  const [first] = args;
  if (args.length === 1 && first !== undefined) return first.type.kind === "vector" ? `${first.js}.map((x) => ${rounded("x", of)})` : `Array(4).fill(${rounded(first.js, of)})`;
  return `[${args.map((a) => rounded(a.js, of)).join(", ")}]`;
}

function binary(operator: string, a: Expr, b: Expr): Expr {
  if (LEVELS.slice(0, 3).flat().includes(operator)) return { js: `(${a.js} ${operator} ${b.js})`, type: BOOL };
  const [left, right] = [a, b].map(({ type }) => (type.kind === "vector" ? type.of.kind : type.kind));
  if ((a.type.kind === "vector" || b.type.kind === "vector") && left === "float" && right === "float") {
    return { js: `support.each((a, b) => Math.fround(a ${operator} b), ${a.js}, ${b.js})`, type: a.type.kind === "vector" ? a.type : b.type };
  }
  if (a.type.kind !== "int" && a.type.kind !== "float") throw new Error(`the emulator has no ${operator} for ${a.type.kind}`);
  if (a.type.kind === "float") return { js: `Math.fround(${a.js} ${operator} ${b.js})`, type: FLOAT };
  const js = operator === "*" ? `Math.imul(${a.js}, ${b.js})` : operator === "/" ? `Math.trunc(${a.js} / ${b.js})` : `${a.js} ${operator} ${b.js}`;
  return { js: `((${js}) >>> 0)`, type: INT };
}
