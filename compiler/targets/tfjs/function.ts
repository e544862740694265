/**
 * One IR function as one JavaScript function.
 *
 * Walks the nodes in order and writes a statement for each: a kernel call, a call of another emitted function, or a `for`
 * loop for a `repeat`. Keeps for every value where it lies (`access.ts`), frees what dies right after the statement that
 * used it last (`liveness.ts`), and points to the program's line whenever that changes. Values get the names they have in
 * the source where they have one. What ops become is `lowering.ts`; what the function looks like from outside is
 * `signature.ts`.
 */
import type { Dim } from "../../types/dim.js";
import type { Func, Module, Node, ValueId } from "../../tensor/ir.js";
import { IrError, typeOf } from "../../tensor/ir.js";
import type { PrimitiveName } from "../../tensor/ops.js";
import { specOf } from "../../tensor/ops.js";
import { useCounts } from "../../tensor/visit.js";
import type { Access, Leaf, Seg } from "./access.js";
import { accessText, bundleText, elementOf, pathText, star } from "./access.js";
import { Liveness } from "./liveness.js";
import type { Lowered } from "./lowering.js";
import { lowerOp, numberText } from "./lowering.js";
import { Scope } from "./names.js";
import { baseName } from "./signature.js";
import type { Place, Signature } from "./signature.js";
import { Sizes } from "./sizes.js";
import type { Lines } from "./text.js";
import { width, wrap } from "./text.js";

/** What functions share while they are written. */
export interface EmitContext {
  readonly module: Module;
  /** Signatures of the functions already written, by IR name. */
  readonly signatures: ReadonlyMap<string, Signature>;
  /** Names taken at the top level of the file. */
  readonly top: Scope;
  readonly lines: Lines;
}

/** A function as text. */
export interface WrittenFunc {
  readonly signature: Signature;
  /** Parameter list and body without comments: equal for functions that do the same. */
  readonly key: string;
  /** Body lines, indented. */
  readonly body: readonly string[];
  readonly parameters: readonly string[];
}

type Control = Extract<Node, { op: "call" | "repeat" }>;
type Repeat = Extract<Node, { op: "repeat" }>;

/** Writes a function whose callees have been written. */
export function writeFunc(cx: EmitContext, signature: Signature): WrittenFunc {
  return new FuncWriter(cx, signature).write();
}

class FuncWriter {
  readonly #cx: EmitContext;
  readonly #sig: Signature;
  readonly #func: Func;
  readonly #scope: Scope;
  readonly #access = new Map<ValueId, Access>();
  readonly #constants = new Map<ValueId, number>();
  /** All leaves of objects that calls returned, by variable: whether an object has more than is wanted. */
  readonly #objects = new Map<string, readonly (readonly Seg[])[]>();
  readonly #body: { readonly text: string; readonly isComment: boolean; readonly indent: string }[] = [];
  readonly #uses: readonly number[];
  readonly #hints: ReadonlyMap<ValueId, string>;
  readonly #live: Liveness;
  readonly #sizes: Sizes;
  readonly #parameters: string[];
  readonly #isBackward: boolean;
  /** Nodes that a statement before theirs has taken care of. */
  readonly #done = new Set<Node>();
  #line: string | undefined;

  constructor(cx: EmitContext, sig: Signature) {
    this.#cx = cx;
    this.#sig = sig;
    this.#func = sig.func;
    this.#scope = new Scope(cx.top);
    this.#uses = useCounts(sig.func);
    this.#isBackward = sig.func.outputs.some((o) => o.role === "grad");
    this.#hints = hintsOf(sig);
    for (const node of sig.func.nodes) {
      const [r] = node.results;
      const isNumber = node.op === "fill" && node.attrs.shape.length === 0 && node.attrs.stack.length === 0;
      if (node.op === "fill" && isNumber && r !== undefined) this.#constants.set(r, node.attrs.value);
    }
    this.#live = new Liveness(sig.func, new Set(this.#constants.keys()));
    this.#parameters = this.#declareInputs();
    this.#sizes = new Sizes(this.#shapeSources(), this.#scope);
    this.#line = cx.lines.at(sig.func.origin);
  }

  write(): WrittenFunc {
    const unused = this.#func.inputs.filter((i) => this.#uses[i.value] === 0).map((i) => i.value);
    this.#free(this.#live.dying(unused, -1));
    this.#func.nodes.forEach((node, at) => this.#node(node, at));
    const savedResults = this.#return();
    const { lines, extra } = this.#sizes.finish();
    const parameters = [...this.#parameters, ...extra.map((x) => x.name)];
    const head = lines.flatMap((line) => wrap(line, "  "));
    const code = [...head, ...this.#body.flatMap((l) => (l.isComment ? [] : wrap(l.text, l.indent)))];
    const body = [...head, ...this.#body.flatMap((l) => (l.isComment ? [l.indent + l.text] : wrap(l.text, l.indent)))];
    const signature = { ...this.#sig, savedResults, extraDims: extra.map((x) => x.symbol) };
    return { signature, key: JSON.stringify([parameters, code]), body, parameters };
  }

  // Inputs.

  #declareInputs(): string[] {
    const { params, saved, inputs } = this.#sig;
    const list = ["k"];
    const input = (index: number): ValueId => this.#func.inputs[index]?.value ?? bug("an input is missing");
    if (params.length > 0) list.push("p");
    for (const { index, rel } of params) this.#access.set(input(index), { root: "p", path: rel });
    if (saved.length > 0) {
      const root = this.#scope.take("saved");
      list.push(root);
      for (const { index, rel } of saved) this.#access.set(input(index), { root, path: rel });
    }
    for (const index of inputs) {
      const { path, value } = this.#func.inputs[index] ?? bug("an input is missing");
      const root = this.#scope.take(lastName(path));
      const depth = typeOf(this.#func, value).stack.length;
      this.#access.set(value, { root, path: Array.from({ length: depth }, () => star) });
      list.push(root);
    }
    return list;
  }

  /** Inputs whose shapes can be asked; saved ones last, and none of rank 4, which may be a list of tensors. */
  #shapeSources(): { text: string; shape: readonly Dim[] }[] {
    const order = ["data", "cotangent", "index", "scalar", "param", "saved"];
    return this.#func.inputs
      .toSorted((a, b) => order.indexOf(a.role) - order.indexOf(b.role))
      .flatMap((input) => {
        const { stack, shape } = typeOf(this.#func, input.value);
        if (stack.length > 0 || (input.role === "saved" && shape.length === 4)) return [];
        return [{ text: this.#text(input.value), shape }];
      });
  }

  // Texts of values.

  #accessOf(id: ValueId): Access {
    return this.#access.get(id) ?? bug(`%${id} of \`${this.#func.name}\` lies nowhere`);
  }

  #text(id: ValueId): string {
    const constant = this.#constants.get(id);
    return constant === undefined ? accessText(this.#accessOf(id)) : `k.scalar(${numberText(constant)})`;
  }

  /** The value, or one element of it, for someone who will own it. */
  #given(id: ValueId, at: number, args: readonly ValueId[], index?: string): Access | string {
    const plain = this.#constants.has(id) ? undefined : this.#accessOf(id);
    const access = plain !== undefined && index !== undefined ? elementOf(plain, index) : plain;
    if (access !== undefined && this.#live.canGive(id, at, args)) {
      this.#live.give(id);
      return access;
    }
    const text = access === undefined ? this.#text(id) : accessText(access);
    if (access === undefined || !access.path.some((s) => s.kind === "star")) return `k.share(${text})`;
    return sharedStack(access, typeOf(this.#func, id).stack.slice(index === undefined ? 0 : 1));
  }

  #name(id: ValueId, fallback: string): string {
    const own = this.#hints.get(id) ?? this.#func.values[id]?.name;
    return this.#scope.take(own === undefined ? fallback : lastName(own));
  }

  // Statements.

  #say(text: string, indent = "  "): void {
    this.#body.push({ text, isComment: false, indent });
  }

  #comment(node: Node): void {
    const line = this.#cx.lines.at(node.origin);
    if (line === undefined || line === this.#line) return;
    this.#line = line;
    this.#body.push({ text: `// ${line}`, isComment: true, indent: "  " });
  }

  /** Frees values, on the line of the statement before where there is room. */
  #free(ids: readonly ValueId[], indent = "  "): void {
    if (ids.length === 0) return;
    const text = `k.free(${ids.map((id) => this.#freeText(id)).join(", ")});`;
    const last = this.#body.at(-1);
    const fits = last !== undefined && !last.isComment && /[;]$/.test(last.text) && last.indent === indent
      && !last.text.startsWith("k.free(") && indent.length + last.text.length + 1 + text.length <= width;
    if (fits) this.#body[this.#body.length - 1] = { ...last, text: `${last.text} ${text}` };
    else this.#say(text, indent);
  }

  #freeText(id: ValueId): string {
    const { stack, shape } = typeOf(this.#func, id);
    const text = this.#text(id);
    return stack.length > 0 && (shape.length === 4 || stack.length > 1) ? `${text}.flat(2)` : text;
  }

  #node(node: Node, at: number): void {
    if (node.results.some((r) => this.#constants.has(r)) || this.#done.has(node)) return;
    this.#comment(node);
    if (node.op === "add" && this.#sumOfObjects(node)) return;
    if (node.op === "call") this.#call(node, at);
    else if (node.op === "repeat") this.#repeat(node, at);
    else if (node.op === "stack_front" || node.op === "stack_last") this.#end(node);
    else if (node.op === "stack_join") this.#join(node, at);
    else if (node.results.some((r) => typeOf(this.#func, r).stack.length > 0)) this.#stacked(node);
    else this.#primitive(node);
    this.#free(this.#live.dying([...node.args, ...node.results.filter((r) => this.#uses[r] === 0)], at));
  }

  #primitive(node: Exclude<Node, Control>): void {
    const lowered = this.#lower(node, (id) => this.#text(id));
    const names = specOf(node.op).results;
    const declare = (r: ValueId, i: number): string => {
      const root = this.#name(r, this.#isBackward ? "d" : defaultName(node.op, names[i] ?? "y"));
      this.#access.set(r, { root, path: [] });
      return root;
    };
    if (typeof lowered !== "string") {
      this.#say(`const [${node.results.map(declare).join(", ")}] = ${lowered.all};`);
      return;
    }
    const [first, ...others] = node.results;
    if (first === undefined) throw bug(`\`${node.op}\` has no result`);
    // Results that the chosen kernel does not make are not there to be freed.
    others.forEach((r) => this.#live.give(r));
    this.#say(`const ${declare(first, 0)} = ${lowered};`);
  }

  #lower(node: Exclude<Node, Control>, text: (id: ValueId) => string): Lowered {
    const arg = (i: number): ValueId => node.args[i] ?? bug(`\`${node.op}\` has no operand ${i}`);
    const result = (i: number): ValueId => node.results[i] ?? bug(`\`${node.op}\` has no result ${i}`);
    return lowerOp<PrimitiveName>(node.op, {
      attrs: node.attrs,
      n: node.args.length,
      arg: (i) => text(arg(i)),
      number: (i) => this.#constants.get(arg(i)),
      argType: (i) => typeOf(this.#func, arg(i)),
      resultType: (i) => typeOf(this.#func, result(i)),
      used: (i) => (this.#uses[result(i)] ?? 0) > 0,
      dim: (d) => this.#sizes.text(d),
    });
  }

  /** An elementwise op over sequences: an array of its applications. */
  #stacked(node: Exclude<Node, Control>): void {
    const [result] = node.results;
    if (result === undefined) throw bug(`\`${node.op}\` has no result`);
    const { stack } = typeOf(this.#func, result);
    const letters = stack.map((_, d) => (d === 0 ? "n" : `n${d + 1}`));
    const element = (id: ValueId): string => accessText(letters.reduce(elementOf, this.#accessOf(id)));
    const lowered = this.#lower(node, element);
    if (typeof lowered !== "string") throw bug(`\`${node.op}\` is no elementwise op`);
    const text = stack.reduceRight((inner, n, d) => `Array.from({ length: ${n} }, (_, ${letters[d]}) => ${inner})`, lowered);
    const root = this.#name(result, this.#isBackward ? "d" : defaultName(node.op, "y"));
    this.#access.set(result, { root, path: stack.map(() => star) });
    this.#say(`const ${root} = ${text};`);
  }

  /** An end of a sequence: a place in one that is lent, handles of its own on one that is owned. */
  #end(node: Extract<Node, { op: "stack_front" | "stack_last" }>): void {
    const [x = -1] = node.args;
    const [result = -1] = node.results;
    const whole = this.#accessOf(x);
    const place = node.op === "stack_front" ? whole : elementOf(whole, String((typeOf(this.#func, x).stack[0] ?? 1) - 1));
    if (!this.#live.owns(x)) {
      this.#access.set(result, place);
      this.#live.give(result);
      return;
    }
    const { stack } = typeOf(this.#func, result);
    const root = this.#name(result, defaultName(node.op, "y"));
    this.#access.set(result, { root, path: stack.map(() => star) });
    this.#say(`const ${root} = ${stack.length === 0 ? `k.share(${accessText(place)})` : sharedStack(place, stack)};`);
  }

  /** One sequence of two: the list of all but the last, and the last. */
  #join(node: Extract<Node, { op: "stack_join" }>, at: number): void {
    if (this.#joinOfObjects(node)) return;
    const [result = -1] = node.results;
    const items = node.args.map((id, i) => {
      const place = this.#given(id, at, node.args);
      const text = typeof place === "string" ? place : stackText(place, typeOf(this.#func, id).stack);
      return i < node.args.length - 1 ? `...${text}` : text;
    });
    const root = this.#name(result, this.#isBackward ? "d" : "list");
    this.#access.set(result, { root, path: typeOf(this.#func, result).stack.map(() => star) });
    this.#say(`const ${root} = [${items.join(", ")}];`);
  }

  /** Gradients of a loop and of what follows it: where every leaf of an object joins its list, the object does. */
  #joinOfObjects(node: Node): boolean {
    const accesses = (n: Node): (Access | undefined)[] => n.args.map((a) => this.#access.get(a)).toReversed();
    const [object, list] = accesses(node).map((a) => a?.root);
    const [ours, theirs] = [object, list].map((root) => this.#objects.get(root ?? ""));
    if (object === undefined || ours === undefined || object === list) return false;
    if (node.args.length > 1 && theirs?.length !== ours.length) return false;
    const group = this.#func.nodes.filter((n) => {
      const [last, front] = accesses(n);
      return n.op === "stack_join" && n.args.length === node.args.length && last?.root === object && front?.root === list
        && (front === undefined || JSON.stringify(front.path) === JSON.stringify([star, ...last.path]));
    });
    const args = group.flatMap((n) => n.args);
    if (group.length !== ours.length || args.some((a) => !this.#live.owns(a) || this.#uses[a] !== 1)) return false;
    const root = list ?? this.#scope.take(object.replace(/_\d+$/, ""));
    this.#say(list === undefined ? `const ${root} = [${object}];` : `${list}.push(${object});`);
    this.#objects.set(root, ours.map((rel) => [star, ...rel]));
    args.forEach((a) => this.#live.give(a));
    for (const n of group) {
      const path = this.#access.get(n.args.at(-1) ?? -1)?.path ?? [];
      for (const r of n.results) this.#access.set(r, { root, path: [star, ...path] });
      this.#done.add(n);
    }
    return true;
  }

  /** Gradients of one module from two uses: where every leaf of two objects is added, the objects are. */
  #sumOfObjects(node: Node): boolean {
    const accesses = (n: Node): (Access | undefined)[] => n.args.map((a) => this.#access.get(a));
    const [left, right] = accesses(node).map((a) => a?.root);
    const [ours, theirs] = [left, right].map((root) => this.#objects.get(root ?? ""));
    if (left === undefined || right === undefined || left === right || ours === undefined || theirs?.length !== ours.length || ours.length < 2) return false;
    const group = this.#func.nodes.filter((n) => {
      const [a, b] = accesses(n);
      return n.op === "add" && a?.root === left && b?.root === right && JSON.stringify(a.path) === JSON.stringify(b.path);
    });
    const args = group.flatMap((n) => n.args);
    if (group.length !== ours.length || args.some((a) => !this.#live.owns(a) || this.#uses[a] !== 1)) return false;
    const root = this.#scope.take(left);
    this.#say(`const ${root} = k.addTrees(${left}, ${right});`);
    this.#say(`k.freeTrees(${left}, ${right});`);
    this.#objects.set(root, ours);
    args.forEach((a) => this.#live.give(a));
    for (const n of group) {
      const path = this.#access.get(n.args[0] ?? -1)?.path ?? [];
      for (const r of n.results) this.#access.set(r, { root, path });
      this.#done.add(n);
    }
    return true;
  }

  // Calls and loops.

  #call(node: Extract<Node, { op: "call" }>, at: number): void {
    const callee = this.#callee(node);
    const call = this.#callText(node, at, callee, () => undefined);
    const parts = this.#resultParts(node, callee, (output) => node.results[output]);
    const assign = (place: Access, output: number): void => {
      const r = node.results[output];
      if (r !== undefined) this.#access.set(r, place);
    };
    parts.forEach((part) => part.leaves.forEach(({ index, rel }) => assign({ root: part.name, path: rel }, index)));
    this.#say(`const ${pattern(parts)} = ${call};`);
  }

  #callee(node: Control): Signature {
    return this.#cx.signatures.get(node.attrs.fn) ?? bug(`\`${node.attrs.fn}\` has not been written`);
  }

  /** `fn(k, p.attn, saved, x)`. `override` gives other accesses to arguments of a loop's body. */
  #callText(node: Control, at: number, callee: Signature, override: (arg: number) => Access | string | undefined): string {
    const arg = (i: number): ValueId => node.args[i] ?? bug(`\`${node.op}\` has no operand ${i}`);
    const from = (i: number): Access | string => override(i) ?? (this.#constants.has(arg(i)) ? this.#text(arg(i)) : this.#accessOf(arg(i)));
    const leaf = (own: boolean) => ({ index, rel }: Place): Leaf => {
      const stack = typeOf(callee.func, callee.func.inputs[index]?.value ?? -1).stack;
      return { rel, from: own ? (override(index) ?? this.#given(arg(index), at, node.args)) : from(index), stack };
    };
    const args = ["k"];
    if (callee.params.length > 0) args.push(bundleText(callee.params.map(leaf(false))));
    if (callee.saved.length > 0) args.push(bundleText(callee.saved.map(leaf(true))));
    for (const i of callee.inputs) {
      const place = from(i);
      args.push(typeof place === "string" ? place : stackText(place, typeOf(callee.func, callee.func.inputs[i]?.value ?? -1).stack));
    }
    for (const symbol of callee.extraDims) args.push(this.#sizes.text(node.attrs.dims[symbol] ?? bug(`\`${symbol}\` is not bound`)));
    return `${callee.name}(${args.join(", ")})`;
  }

  /** What a call returns, in order, each part with a name of its own. */
  #resultParts(node: Control, callee: Signature, resultOf: (output: number) => ValueId | undefined): Part[] {
    const parts = callee.results.map((index): Part => {
      const r = resultOf(index);
      const { path, value } = callee.func.outputs[index] ?? bug("an output is missing");
      const fallback = callee.func.outputs[index]?.role === "grad" ? `d_${lastName(path)}` : lastName(path);
      const depth = typeOf(callee.func, value).stack.length;
      const name = r === undefined ? this.#scope.take(fallback) : this.#name(r, fallback);
      return { name, leaves: [{ index, rel: Array.from({ length: depth }, () => star) }], isObject: false };
    });
    const label = `${this.#instanceName(node, callee)}${node.op === "repeat" ? "_i" : ""}`;
    const bundle = (places: readonly Place[], name: string): Part[] => {
      if (places.length === 0) return [];
      const part = { name: this.#scope.take(name), leaves: places, isObject: true };
      this.#objects.set(part.name, places.map((p) => p.rel));
      return [part];
    };
    return [...parts, ...bundle(callee.grads, `d_${label}`), ...bundle(callee.savedResults, label)];
  }

  /** What a person would call this use of the callee: the field with its parameters, or else its own name. */
  #instanceName(node: Control, callee: Signature): string {
    const first = callee.params[0];
    const access = first === undefined ? undefined : this.#access.get(node.args[first.index] ?? -1);
    if (access !== undefined && first !== undefined) {
      const path = access.path.slice(0, access.path.length - first.rel.length);
      const owner = path.findLast((s) => s.kind === "key");
      const element = path.at(-1);
      if (owner?.kind === "key") return element?.kind === "at" ? `${owner.key}_${element.index}` : owner.key;
    }
    return baseName(callee.func.name);
  }

  #repeat(node: Repeat, at: number): void {
    const { count, reverse, carries, consts } = node.attrs;
    const callee = this.#callee(node);
    const carried = this.#startCarries(node, at, callee);
    const isConsumed = (i: number): boolean => callee.func.inputs[i]?.role === "saved";
    const override = (i: number): Access | string | undefined => {
      const arg = node.args[i] ?? bug("an operand of a repeat is missing");
      if (i < carries) return { root: carried[i] ?? bug("a carry is missing"), path: [] };
      // A constant is needed by every iteration, so a body that consumes it gets a handle of its own.
      if (i < carries + consts) return isConsumed(i) ? `k.share(${this.#text(arg)})` : undefined;
      return isConsumed(i) ? this.#given(arg, at, node.args, "i") : elementOf(this.#accessOf(arg), "i");
    };
    const call = this.#callText(node, at, callee, override);
    const parts = this.#resultParts(node, callee, () => undefined);
    const inside = `    const ${pattern(parts)} = ${call};`;
    const body = [inside.trimStart()];
    const old = carried.filter((_, i) => !isConsumed(i));
    if (old.length > 0) body.push(`k.free(${old.join(", ")});`);
    for (const part of parts) {
      for (const { index, rel } of part.leaves) {
        if (index < carries) body.push(`${carried[index]} = ${part.name}${pathText(rel)};`);
      }
    }
    for (const part of parts) {
      if (part.leaves.every((l) => l.index < carries)) continue;
      const list = this.#listName(node, part);
      this.#say(`const ${list} = [];`);
      body.push(`${list}[i] = ${part.name};`);
      if (part.isObject) this.#objects.set(list, part.leaves.map((l) => [star, ...l.rel]));
      for (const { index, rel } of part.leaves) {
        const r = index < carries ? undefined : node.results[index];
        if (r !== undefined) this.#access.set(r, { root: list, path: [star, ...rel] });
      }
    }
    const loop = reverse ? `let i = ${count - 1}; i >= 0; i--` : `let i = 0; i < ${count}; i++`;
    this.#say(`for (${loop}) {`);
    for (const line of joinShort(body)) this.#say(line, "    ");
    this.#say("}");
    carried.forEach((root, i) => {
      const r = node.results[i];
      if (r !== undefined) this.#access.set(r, { root, path: [] });
    });
  }

  #listName(node: Repeat, part: Part): string {
    const [only] = part.leaves;
    if (part.isObject || only === undefined) return this.#scope.take(part.name.replace(/_i\d*$/, ""));
    return this.#name(node.results[only.index] ?? -1, `${part.name}s`);
  }

  /** Variables for the carries: the start itself where it is owned and not needed again, else a handle on it. */
  #startCarries(node: Repeat, at: number, callee: Signature): string[] {
    return Array.from({ length: node.attrs.carries }, (_, i) => {
      const start = this.#given(node.args[i] ?? bug("a carry is missing"), at, node.args);
      const path = callee.func.inputs[i]?.path ?? "x";
      const name = this.#name(node.results[i] ?? -1, lastName(path.replace(/^(sum )?d /, "d_")));
      this.#say(`let ${name} = ${typeof start === "string" ? start : accessText(start)};`);
      return name;
    });
  }

  // Results.

  /** Writes the return statement; says where saved values were put. */
  #return(): readonly Place[] {
    const { results, grads, savedResults: _, func } = this.#sig;
    const end = Infinity;
    const give = (index: number): Access | string => this.#given(func.outputs[index]?.value ?? -1, end, []);
    const stackOf = (index: number): readonly number[] => typeOf(func, func.outputs[index]?.value ?? -1).stack;
    const parts = results.map((index) => {
      const place = give(index);
      return typeof place === "string" ? place : stackText(place, stackOf(index));
    });
    if (grads.length > 0) {
      const leaves = grads.map(({ index, rel }): Leaf => ({ rel, from: give(index), stack: stackOf(index) }));
      parts.push(bundleText(leaves, (access) => this.#countLeaves(access)));
    }
    const savedIds = func.outputs.flatMap((o, index) => (o.role === "saved" ? [index] : []));
    const places = this.#savedPlaces(savedIds);
    if (places.length > 0) {
      parts.push(bundleText(places.map(({ index, rel }): Leaf => ({ rel, from: give(index), stack: stackOf(index) }))));
    }
    const [only] = parts;
    const last = this.#body.at(-1);
    if (parts.length === 1 && last !== undefined && last.text.startsWith(`const ${only} = `) && !last.text.includes("; ")) {
      this.#body[this.#body.length - 1] = { ...last, text: `return ${last.text.slice(`const ${only} = `.length)}` };
    } else this.#say(parts.length === 1 ? `return ${only};` : `return [${parts.join(", ")}];`);
    return places;
  }

  /** Saved values go by the names of the variables they lie in; the same place twice gets a number. */
  #savedPlaces(indices: readonly number[]): Place[] {
    const taken = new Set<string>();
    return indices.map((index) => {
      const value = this.#func.outputs[index]?.value ?? -1;
      const depth = typeOf(this.#func, value).stack.length;
      const access = this.#access.get(value) ?? { root: "number", path: Array.from({ length: depth }, () => star) };
      const rel: Seg[] = [{ kind: "key", key: access.root }, ...access.path];
      let unique = rel;
      for (let n = 2; taken.has(JSON.stringify(unique)); n++) {
        unique = [{ kind: "key", key: `${access.root}_${n}` }, ...access.path];
      }
      taken.add(JSON.stringify(unique));
      return { index, rel: unique };
    });
  }

  #countLeaves(access: Access): number | undefined {
    const leaves = this.#objects.get(access.root);
    const same = (a: Seg | undefined, b: Seg): boolean => (a?.kind === "key" ? b.kind === "key" && a.key === b.key : a !== undefined && b.kind !== "key");
    return leaves?.filter((leaf) => access.path.every((s, i) => same(leaf[i], s))).length;
  }
}

/** A result of a call: a value by itself, or an object of values. */
interface Part {
  readonly name: string;
  readonly leaves: readonly Place[];
  readonly isObject: boolean;
}

function pattern(parts: readonly Part[]): string {
  const names = parts.map((p) => p.name);
  return names.length === 1 ? (names[0] ?? "") : `[${names.join(", ")}]`;
}

/** A sequence as an array with the nesting of its stack. */
function stackText(access: Access, stack: readonly number[]): string {
  return bundleText([{ rel: stack.map(() => star), from: access, stack }]);
}

/** A sequence of second handles. */
function sharedStack(access: Access, stack: readonly number[]): string {
  const letters = stack.map((_, d) => (d === 0 ? "n" : `n${d + 1}`));
  const element = `k.share(${accessText(letters.reduce(elementOf, access))})`;
  return stack.reduceRight((inner, n, d) => `Array.from({ length: ${n} }, (_, ${letters[d]}) => ${inner})`, element);
}

/** Names that outputs ask for: the gradient of x is d_x. */
function hintsOf(sig: Signature): Map<ValueId, string> {
  const hints = new Map<ValueId, string>();
  for (const o of sig.func.outputs) {
    const isNamed = sig.func.values[o.value]?.name !== undefined;
    if (o.role === "grad" && !isNamed) hints.set(o.value, `d_${o.path.split(".").filter((w) => w !== "*").slice(-2).join("_")}`);
    if ((o.role === "loss" || o.role === "watch") && !isNamed) hints.set(o.value, o.path);
  }
  return hints;
}

/** `norm1.weight` is called `weight`; a number says nothing and goes with the word before. */
function lastName(path: string): string {
  const words = path.split(".").filter((w) => w !== "*");
  return words.at(-1) ?? path;
}

const letters: Readonly<Record<string, string>> = {
  add: "x", sub: "d", mul: "m", div: "q", linear: "h", matmul: "m", gelu: "a", gelu_slope: "a", feed_forward: "h", scale_rows: "w", layer_norm: "h", concat: "xs",
  attention: "o", qkv_attention: "o", gather_rows: "rows", gather_table: "rows", linear_grad_x: "dx", linear_grad_w: "dw", sum_leading: "db",
};

function defaultName(op: string, result: string): string {
  const isFirst = result === "y" || result === "out" || result === "o";
  return isFirst && !(op === "layer_norm" && result === "y") ? (letters[op] ?? "h") : result;
}

/** Short statements of a loop body side by side. */
function joinShort(lines: readonly string[]): string[] {
  const [first = "", ...rest] = lines;
  const joined = rest.join(" ");
  return rest.length > 0 && joined.length <= width - 4 ? [first, joined] : [first, ...rest];
}

function bug(problem: string): never {
  throw new IrError(`tfjs target: ${problem}.`);
}
