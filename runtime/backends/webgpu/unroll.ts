/**
 * Loops of a kernel's text written out, where its author marked them: drivers keep arrays of subgroup matrices in slow memory
 * unless every index is a constant, and WGSL has no word for "unroll".
 *
 * A loop `for (var i = 0u; i < ROWS; i++) { // unrolled` becomes one block for each turn, with `i` replaced by its value; a
 * declaration `var acc: array<array<T, COLUMNS>, ROWS>; // split` becomes a variable for each element. Counts are constants of the
 * text, which `forms.ts` sets to what the device has before. The text stays valid WGSL without any of this, and means the same.
 */

/** Integer constants of a text: declared by numbers, constants, and `+ - * / %` between them. */
function constantsOf(text: string): Map<string, number> {
  const known = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^const (\w+) = ([^;]*);$/gm)) {
    const number = valueOf(value ?? "", known);
    if (name !== undefined && number !== undefined) known.set(name, number);
  }
  return known;
}

/** The value of an expression; undefined where it is none that is understood. */
function valueOf(text: string, known: ReadonlyMap<string, number>): number | undefined {
  const tokens = text.match(/\d+u?|\w+|[-+*/%()]|\S/g) ?? [];
  let at = 0;
  const unit = (): number | undefined => {
    const token = tokens[at++];
    if (token === "(") {
      const inner = sum();
      return tokens[at++] === ")" ? inner : undefined;
    }
    return token !== undefined && /^\d+u?$/.test(token) ? Number.parseInt(token, 10) : known.get(token ?? "");
  };
  const chain = (operand: () => number | undefined, operators: string, apply: (a: number, operator: string, b: number) => number): number | undefined => {
    let left = operand();
    while (operators.includes(tokens[at] ?? " ")) {
      const operator = tokens[at++] ?? "";
      const right = operand();
      if (left === undefined || right === undefined) return undefined;
      left = apply(left, operator, right);
    }
    return left;
  };
  const product = (): number | undefined => chain(unit, "*/%", (a, o, b) => (o === "*" ? a * b : o === "/" ? Math.trunc(a / b) : a % b));
  const sum = (): number | undefined => chain(product, "+-", (a, o, b) => (o === "+" ? a + b : a - b));
  const value = sum();
  return at === tokens.length ? value : undefined;
}

/** The text with its marked loops and arrays written out. */
export function unrolled(text: string): string {
  const known = constantsOf(text);
  return split(written(text.split("\n"), known).join("\n"), known);
}

const LOOP = /^(\s*)for \(var (\w+) = 0u; \w+ < ([^;]+); \w+\+\+\) \{ \/\/ unrolled$/;

function written(lines: readonly string[], known: ReadonlyMap<string, number>): string[] {
  const out: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const [, indent, name, bound] = LOOP.exec(line) ?? [];
    const count = bound === undefined ? undefined : valueOf(bound, known);
    if (indent === undefined || name === undefined || count === undefined) {
      out.push(line);
      continue;
    }
    const end = closing(lines, at);
    const body = lines.slice(at + 1, end).join("\n");
    for (let i = 0; i < count; i++) out.push(`${indent}{`, ...written(body.replace(new RegExp(`\\b${name}\\b`, "g"), `${i}u`).split("\n"), known), `${indent}}`);
    at = end;
  }
  return out;
}

/** The line on which the block that `at` opens ends. */
function closing(lines: readonly string[], at: number): number {
  let depth = 0;
  for (let i = at; i < lines.length; i++) {
    const line = (lines[i] ?? "").replace(/\/\/.*/, "");
    depth += (line.match(/\{/g) ?? []).length - (line.match(/\}/g) ?? []).length;
    if (depth === 0) return i;
  }
  return lines.length;
}

const ARRAY = /^(\s*)var (\w+): array<(.+)>; \/\/ split$/gm;

/** Arrays of one or two dimensions as variables; every index of theirs has become a number. */
function split(text: string, known: ReadonlyMap<string, number>): string {
  let names: { readonly name: string; readonly nested: boolean }[] = [];
  const declared = text.replace(ARRAY, (line: string, indent: string, name: string, inner: string) => {
    const nested = inner.startsWith("array<");
    const [, element = "", first = "1", second = ""] = (nested ? /^array<(.+), ([^,<>]+)>, ([^,<>]+)$/ : /^(.+), ()([^,<>]+)$/).exec(inner) ?? [];
    const [outer, own] = [valueOf(second, known), nested ? valueOf(first, known) : 1];
    if (outer === undefined || own === undefined) return line;
    names = [...names, { name, nested }];
    const places = Array.from({ length: outer * own }, (_, i) => (nested ? `${Math.floor(i / own)}_${i % own}` : `${i}`));
    return places.map((place) => `${indent}var ${name}_${place}: ${element};`).join("\n");
  });
  return names.reduce((code, { name, nested }) => (nested
    ? code.replace(new RegExp(`\\b${name}\\[(\\d+)u\\]\\[(\\d+)u\\]`, "g"), `${name}_$1_$2`)
    : code.replace(new RegExp(`\\b${name}\\[(\\d+)u\\]`, "g"), `${name}_$1`)), declared);
}
