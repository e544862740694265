/**
 * A drawn program by other words: hostile names, statements in another order, a sum of losses as lines of their own. Nothing
 * that it computes may change.
 */
import type { Draw } from "./generate.js";
import { own } from "../../compiler/base/own.js";

/** Words of JavaScript, WGSL, the language itself and emitted code, none of them reserved. */
const hostile = [
  "constructor", "__proto__", "toString", "hasOwnProperty", "class", "let", "var", "fn", "function", "default", "await", "arguments", "eval", "k", "p", "step", "f32", "main", "import", "export", "return",
  "prototype", "valueOf", "thread", "sizes", "hyper", "struct", "array", "grads", "state", "inputs", "images", "masks", "undefined", "NaN", "null", "this", "i32", "vec4", "override", "enable", "model", "mask",
  "encoder", "encoders", "forward", "backward", "static", "delete", "typeof", "new", "then", "length", "name", "K_targets", "B", "tf", "out", "dy",
];

/** The program by other names, with what each name became. */
export function renamed(text: string, d: Draw): { readonly text: string; readonly names: ReadonlyMap<string, string> } {
  const declared = [/^ *(?:encoder|predictor|head|mask|learn|state|part|view) (\w+)/gm, /^module (\w+)/gm, /^ *loss (\w+) = /gm, /^ *(\w+) = /gm].flatMap((pattern) => [...text.matchAll(pattern)].map((m) => m[1] ?? ""));
  const pool = hostile.filter((word) => !new RegExp(`\\b${word}\\b`).test(text));
  const names = new Map<string, string>();
  for (const name of new Set(declared)) {
    if (name === "x" || !d.chance(0.8)) continue;
    const [to] = pool.splice(d.below(pool.length), 1);
    if (to !== undefined) names.set(name, to);
  }
  // The word before a colon is an argument's.
  return { text: text.replace(/(?<!\.)\b[A-Za-z_]\w*\b(?!\s*:)/g, (word) => names.get(word) ?? word), names };
}

/** The model's statements in another order; terms of a sum of losses are lines. */
export function shuffled(text: string, d: Draw): string {
  const start = text.indexOf("model fuzz {\n") + "model fuzz {\n".length;
  const end = text.indexOf("\n}", start);
  const lines = text.slice(start, end).split("\n").flatMap((line) => {
    const sum = /^ *loss (?!\w+ = )(.*)$/.exec(line)?.[1]?.split(" + ") ?? [];
    return sum.length < 2 ? [line] : sum.map((term, i) => `  loss part_${i} = ${term}`);
  });
  const rest = lines.filter((line) => !/^ *(?:input|mask|view)/.test(line));
  const fixed = lines.filter((line) => !rest.includes(line));
  const drawn = rest.map((line) => ({ line, key: d.below(1e6) })).sort((a, b) => a.key - b.key);
  return `${text.slice(0, start)}${[...fixed, ...drawn.map(({ line }) => line)].join("\n")}${text.slice(end)}`;
}

/** A path of a parameter by other names. */
export function pathBy(names: ReadonlyMap<string, string>, path: string): string {
  return path.split(".").map((part) => names.get(part) ?? part).join(".");
}

/** A record by other names; none of them is anybody's prototype. */
export function recordBy<T>(names: ReadonlyMap<string, string>, record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.keys(record).flatMap((key): [string, T][] => { const value = own(record, key); return value === undefined ? [] : [[names.get(key) ?? key, value]]; }));
}
