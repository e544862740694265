/**
 * The model graph as text.
 *
 * Owns a line-oriented notation that `parse.ts` reads back exactly, so that the graph can be dumped, edited and fed in
 * again: one declaration or node per line. A name that is not a plain word is a JSON string; records are JSON with bare
 * keys; source positions are `@file:start:end` with files numbered in the first line. Types print as
 * `f32[batch B, token K_context, feature 192] at mask(context, 8x8/4x3) in latent(student)`.
 */
import type { Span } from "../base/span.js";
import { printDim } from "../types/dim.js";
import type { Grid, Positions, Space, ValueType } from "../types/value-type.js";
import type { Attrs, Body, ModelGraph, Node, ParamDecl } from "./ir.js";
import { opTable } from "./ops.js";
import { requireGraph } from "./require.js";

/** What a record of the notation can hold. */
export type Literal = null | boolean | number | string | readonly Literal[] | LiteralRecord;

/** A record; undefined fields are not printed. */
export interface LiteralRecord {
  readonly [key: string]: Literal | undefined;
}

/** How to print. */
export interface PrintOptions {
  /** Source positions; needed to read back what was printed. Default true. */
  readonly origins?: boolean;
}

/** Text of a graph. */
export function printGraph(graph: ModelGraph, options: PrintOptions = {}): string {
  requireGraph(graph);
  const files = new Map<string, number>();
  const at = (span: Span): string => {
    if (options.origins === false) return "";
    const file = files.get(span.file) ?? files.size;
    files.set(span.file, file);
    return ` @${file}:${span.start}:${span.end}`;
  };
  const lines = [
    `model ${word(graph.name)}${at(graph.origin)}`,
    ...docLines(graph.doc, ""),
    ...graph.inputs.map((i) => `input ${word(i.name)} ${literal({ frames: i.frames, height: i.height, width: i.width, channels: i.channels })}${at(i.origin)}`),
    ...graph.views.map((v) => `view ${word(v.name)} ${literal({ input: v.input, height: v.height, width: v.width, transforms: v.transforms.map((t) => ({ name: t.name, args: { ...t.args } })) })}${at(v.origin)}`),
    ...graph.masks.map(({ name, origin, grid, ...rest }) => `mask ${word(name)} ${literal({ ...rest, grid: grid && printGrid(grid) })}${at(origin)}`),
    ...graph.instances.flatMap((i) => [
      `instance ${word(i.name)} ${literal({ role: i.role, module: i.module, config: { ...i.config }, training: trainingOf(i.training), ...(i.from === undefined ? {} : { from: { ...i.from } }) })}${at(i.origin)}`,
      ...i.params.map((p) => `  ${paramLine(p)}${at(p.origin)}`),
    ]),
    ...graph.funcs.flatMap((f) => [
      `func ${word(f.name)} ${literal({ module: f.module, config: { ...f.config }, masks: f.masks, dims: f.dims })}${at(f.origin)}`,
      ...docLines(f.doc, "  "),
      ...f.params.map((p) => `  ${paramLine(p)}${at(p.origin)}`),
      ...bodyLines(f.body, at),
    ]),
    "body",
    ...bodyLines(graph.body, at),
    ...graph.losses.map((l) => `loss ${word(l.name)} = %${l.node} ${literal({ kind: l.kind, weight: { ...l.weight } })}${at(l.origin)}`),
    ...graph.allowed.map((a) => `allow ${word(a.what)} ${literal({ reason: a.reason })}${at(a.origin)}`),
  ];
  const table = files.size === 0 ? [] : [`files ${literal([...files.keys()])}`];
  return `${[...table, ...lines].join("\n")}\n`;
}

/** Text of one node. */
function printNode(node: Node): string {
  const name = node.name === undefined ? "" : ` ${word(node.name)}`;
  const attrs = attrsOf(node);
  const record = Object.keys(attrs).length === 0 ? "" : ` ${literal(attrs)}`;
  return `%${node.id}${name} = ${node.op}(${node.args.map((a) => `%${a}`).join(", ")})${record}: ${printType(node.type)}`;
}

function docLines(doc: string | undefined, indent: string): string[] {
  return doc === undefined ? [] : [`${indent}doc ${JSON.stringify(doc)}`];
}

function bodyLines(body: Body, at: (span: Span) => string): string[] {
  const ids = (list: readonly number[]): string => list.map((id) => ` %${id}`).join("");
  return [`  inputs${ids(body.inputs)}`, ...body.nodes.map((n) => `  ${printNode(n)}${at(n.origin)}`), `  results${ids(body.results)}`];
}

function paramLine(p: ParamDecl): string {
  return `${p.role} ${word(p.path)} ${literal({ shape: p.shape, stack: p.stack, init: { ...p.init } })}`;
}

function trainingOf(training: ModelGraph["instances"][number]["training"]): LiteralRecord {
  return training.kind === "ema" ? { kind: "ema", of: training.of, momentum: { ...training.momentum } } : { ...training };
}

function attrsOf(node: Node): LiteralRecord {
  const row = opTable[node.op];
  const order = [...row.required, ...row.optional];
  const rest = Object.keys(node.attrs).filter((k) => !order.some((o) => o === k));
  const all = new Map(Object.entries(plainAttrs(node.attrs)));
  return Object.fromEntries([...order, ...rest].flatMap((k): [string, Literal][] => {
    const value = all.get(k);
    return value === undefined ? [] : [[k, value]];
  }));
}

/** Attributes with dims and grids as text. */
export function plainAttrs(attrs: Attrs): LiteralRecord {
  const { dims, grid, select, ...rest } = attrs;
  return {
    ...rest,
    schedule: rest.schedule === undefined ? undefined : { ...rest.schedule },
    numbers: rest.numbers === undefined ? undefined : { ...rest.numbers },
    strings: rest.strings === undefined ? undefined : { ...rest.strings },
    dims: dims === undefined ? undefined : Object.fromEntries(Object.entries(dims).map(([k, d]) => [k, printDim(d)])),
    grid: grid === undefined ? undefined : printGrid(grid),
    select: select === undefined ? undefined : { start: printDim(select.start), length: printDim(select.length) },
  };
}

/**
 * `8x8/4x3`: rows x columns / side of a patch x channels; `1x40/1:25x22` with patches of one row and 25 columns; `8x8/4x3x2*4` with
 * four rows along time of tubes of two frames.
 */
export function printGrid(grid: Grid): string {
  return `${grid.rows}x${grid.cols}/${grid.patch}${grid.across === undefined ? "" : `:${grid.across}`}x${grid.channels}${grid.frames === undefined ? "" : `x${grid.tube ?? 1}*${grid.frames}`}`;
}

/** Text of a type. */
function printType(type: ValueType): string {
  const axes = type.shape.map((d, i) => `${type.axes[i] ?? "feature"} ${printDim(d)}`);
  const place = type.positions.kind === "none" ? "" : ` at ${positionText(type.positions)}`;
  const space = type.space.kind === "any" ? "" : ` in ${spaceText(type.space)}`;
  const pending = type.pending === undefined ? "" : ` pending ${word(type.pending)}`;
  return `${type.dtype}[${axes.join(", ")}]${place}${space}${pending}`;
}

function positionText(p: Positions): string {
  switch (p.kind) {
    case "none": return "none";
    case "all": return `all(${printGrid(p.grid)})`;
    case "mask": return `mask(${word(p.mask)}, ${printGrid(p.grid)})`;
    case "opaque": return `opaque(${word(p.of)})`;
    case "concat": return `concat(${p.parts.map((x) => `${printDim(x.length)} of ${positionText(x.positions)}`).join(", ")})`;
  }
}

function spaceText(space: Space): string {
  if (space.kind === "latent") return `latent(${word(space.of)})`;
  return space.kind === "free" ? `free(${word(space.by)})` : space.kind;
}

/** A name as it is where it is a plain word (dots and stars allowed), a JSON string elsewhere. */
function word(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z0-9_]+|\*))*$/.test(name) ? name : JSON.stringify(name);
}

/** A record, list, text or number in the notation. */
function literal(value: Literal): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(literal).join(", ")}]`;
  const fields = Object.entries(value).flatMap(([k, v]) => (v === undefined ? [] : [`${/^[A-Za-z_][A-Za-z0-9_]*$/.test(k) ? k : JSON.stringify(k)}: ${literal(v)}`]));
  return `{${fields.join(", ")}}`;
}

function isList(value: readonly Literal[] | LiteralRecord): value is readonly Literal[] {
  return Array.isArray(value);
}
