/**
 * Reading the text of a model graph.
 *
 * The inverse of `print.ts`: `parseGraph(printGraph(g))` equals g. A cursor over one line at a time; records are read as
 * literals first (`literal.ts`) and then field by field with their kinds checked, so a slip in an edited dump is named by
 * line instead of becoming a half-made graph. It throws `GraphTextError`: this is a developer's tool. Whether the graph
 * is well-formed is `verify.ts`'s question.
 */
import type { Span } from "../base/span.js";
import type { Dim } from "../types/dim.js";
import { parseDim } from "../types/dim.js";
import type { Axis, Grid, Positions, Space, ValueType } from "../types/value-type.js";
import type { Attrs, Body, Func, ImageInput, Instance, LossTerm, Mask, ModelGraph, Node, ParamDecl, Schedule, View } from "./ir.js";
import { Cursor, Fields, GraphTextError, isListLiteral } from "./literal.js";
import { missingAttrs, nodeOf } from "./node.js";
import { isModelOp } from "./ops.js";
import type { Initializer } from "../../runtime/abi.js";

const axes = ["batch", "time", "token", "feature", "height", "width", "channel"] as const;
const roles = ["learn", "fixed", "state"] as const;

/** Everything read so far. */
interface Draft {
  files: readonly string[];
  name: string | undefined;
  doc: string | undefined;
  origin: Span;
  readonly inputs: ImageInput[];
  readonly views: View[];
  readonly masks: Mask[];
  readonly instances: (Omit<Instance, "params"> & { readonly params: ParamDecl[] })[];
  readonly funcs: (Omit<Func, "params" | "body" | "doc"> & { readonly params: ParamDecl[]; doc: string | undefined; readonly body: BodyDraft })[];
  readonly body: BodyDraft;
  readonly losses: LossTerm[];
  readonly allowed: ModelGraph["allowed"][number][];
  /** What the indented lines that follow belong to. */
  open: { readonly params: ParamDecl[]; readonly body: BodyDraft | undefined };
}

interface BodyDraft {
  inputs: readonly number[];
  readonly nodes: Node[];
  results: readonly number[];
}

const nowhere: Span = { file: "", start: 0, end: 0 };
const emptyBody = (): BodyDraft => ({ inputs: [], nodes: [], results: [] });

/** Reads a graph. @throws GraphTextError with the line that does not read. */
export function parseGraph(text: string): ModelGraph {
  const draft: Draft = {
    files: [], name: undefined, doc: undefined, origin: nowhere, inputs: [], views: [], masks: [], instances: [], funcs: [], body: emptyBody(),
    losses: [], allowed: [], open: { params: [], body: undefined },
  };
  text.split("\n").forEach((line, i) => {
    const cx = new Cursor(line, i + 1);
    if (cx.atEnd()) return;
    if (cx.at("%")) readNode(cx, draft);
    else readLine(cx, cx.word(), draft);
    cx.end();
  });
  if (draft.name === undefined) throw new GraphTextError("There is no `model` line.");
  const { name, doc, origin, inputs, views, masks, instances, losses, allowed } = draft;
  const funcs = draft.funcs.map((f): Func => ({ ...f }));
  return { name, doc, inputs, views, masks, instances, funcs, body: finish(draft.body), losses, allowed, origin };
}

function finish(body: BodyDraft): Body {
  return { inputs: body.inputs, nodes: body.nodes, results: body.results };
}

function readLine(cx: Cursor, keyword: string, draft: Draft): void {
  switch (keyword) {
    case "files": draft.files = readFiles(cx); break;
    case "model":
      draft.name = cx.word();
      draft.origin = origin(cx, draft);
      break;
    case "doc": readDoc(cx, draft); break;
    case "input": draft.inputs.push(readInput(cx, draft)); break;
    case "view": draft.views.push(readView(cx, draft)); break;
    case "mask": draft.masks.push(readMask(cx, draft)); break;
    case "instance": readInstance(cx, draft); break;
    case "func": readFunc(cx, draft); break;
    case "body": draft.open = { params: [], body: draft.body }; break;
    case "loss": draft.losses.push(readLoss(cx, draft)); break;
    case "allow": {
      const what = cx.word();
      draft.allowed.push({ what, reason: cx.fields().text("reason"), origin: origin(cx, draft) });
      break;
    }
    case "inputs": openBody(cx, draft).inputs = cx.values(); break;
    case "results": openBody(cx, draft).results = cx.values(); break;
    case "learn": case "fixed": case "state": draft.open.params.push(readParam(cx, keyword, draft)); break;
    default: throw cx.bug(`\`${keyword}\` begins no line`);
  }
}

function openBody(cx: Cursor, draft: Draft): BodyDraft {
  if (draft.open.body === undefined) throw cx.bug("this line belongs in a function or a body");
  return draft.open.body;
}

function readFiles(cx: Cursor): string[] {
  const list = cx.literal();
  if (!isListLiteral(list)) throw cx.bug("a list of file names is expected");
  return list.map(String);
}

function origin(cx: Cursor, draft: Draft): Span {
  const at = cx.origin();
  if (at === undefined) return nowhere;
  const file = draft.files[at.file];
  if (file === undefined) throw cx.bug(`there is no file ${at.file}`);
  return { file, start: at.start, end: at.end };
}

function readDoc(cx: Cursor, draft: Draft): void {
  const doc = cx.string();
  const func = draft.funcs.at(-1);
  if (func !== undefined && draft.open.body === func.body) func.doc = doc;
  else draft.doc = doc;
}

function readInput(cx: Cursor, draft: Draft): ImageInput {
  const name = cx.word();
  const f = cx.fields();
  const frames = f.has("frames") ? { frames: f.number("frames") } : {};
  return { name, ...frames, height: f.number("height"), width: f.number("width"), channels: f.number("channels"), origin: origin(cx, draft) };
}

function readView(cx: Cursor, draft: Draft): View {
  const name = cx.word();
  const f = cx.fields();
  const transforms = f.list("transforms").map((t) => {
    const one = f.record(t);
    const args = one.record(one.get("args"));
    return { name: one.text("name"), args: Object.fromEntries(args.keys().map((k) => [k, args.argument(k)])) };
  });
  return { name, input: f.text("input"), height: f.number("height"), width: f.number("width"), transforms, origin: origin(cx, draft) };
}

function readMask(cx: Cursor, draft: Draft): Mask {
  const name = cx.word();
  const f = cx.fields();
  return {
    name, kind: f.choice("kind", ["block", "random", "rasterized", "complement", "all"]), count: f.number("count"),
    scale: f.pair("scale"), aspect: f.pair("aspect"), ratio: f.pair("ratio"), minKeep: f.number("minKeep"), minus: f.texts("minus"),
    sampler: f.choice("sampler", ["published", "corrected"]), allowOverlap: f.boolean("allowOverlap"), trim: f.choice("trim", ["tail", "random"]),
    ...(f.has("trimGroup") ? { trimGroup: f.number("trimGroup") } : {}),
    grid: f.has("grid") ? gridOf(cx, f.text("grid")) : undefined, origin: origin(cx, draft),
  };
}

function readInstance(cx: Cursor, draft: Draft): void {
  const name = cx.word();
  const f = cx.fields();
  const params: ParamDecl[] = [];
  const t = f.record(f.get("training"));
  const kind = t.choice("kind", ["optimized", "frozen", "ema"]);
  const training: Instance["training"] = kind === "ema"
    ? { kind, of: t.text("of"), momentum: schedule(t.record(t.get("momentum"))) }
    : kind === "frozen" ? { kind, init: t.choice("init", ["random", "pretrained", "identity"]) } : { kind };
  draft.instances.push({ name, role: f.choice("role", ["encoder", "predictor", "head"]), module: f.text("module"), config: config(f), training, ...(f.has("from") ? { from: weightsFrom(f.record(f.get("from"))) } : {}), params, origin: origin(cx, draft) });
  draft.open = { params, body: undefined };
}

function weightsFrom(f: Fields): NonNullable<Instance["from"]> {
  return { path: f.text("path"), ...(f.has("name") ? { name: f.text("name") } : {}) };
}

function readFunc(cx: Cursor, draft: Draft): void {
  const name = cx.word();
  const f = cx.fields();
  const params: ParamDecl[] = [];
  const body = emptyBody();
  draft.funcs.push({ name, module: f.text("module"), doc: undefined, config: config(f), params, masks: f.texts("masks"), dims: f.texts("dims"), body, origin: origin(cx, draft) });
  draft.open = { params, body };
}

function config(f: Fields): Instance["config"] {
  const inner = f.record(f.get("config"));
  return Object.fromEntries(inner.keys().map((k) => [k, inner.scalar(k)]));
}

function schedule(f: Fields): Schedule {
  const warm = f.has("warmup") ? f.record(f.get("warmup")) : undefined;
  return {
    kind: f.choice("kind", ["constant", "linear", "cosine", "warmup_cosine"]), points: f.numbers("points"),
    warmup: warm && { unit: warm.choice("unit", ["epochs", "steps"]), value: warm.number("value") }, stretch: f.number("stretch"),
  };
}

function readParam(cx: Cursor, keyword: string, draft: Draft): ParamDecl {
  const path = cx.word();
  const f = cx.fields();
  const role = roles.find((r) => r === keyword) ?? "learn";
  return { path, shape: f.numbers("shape"), stack: f.numbers("stack"), init: init(f.record(f.get("init"))), role, origin: origin(cx, draft) };
}

function init(f: Fields): Initializer {
  const kind = f.choice("kind", ["zeros", "ones", "constant", "normal", "trunc_normal", "uniform", "xavier_uniform", "sincos2d", "sincos3d", "rotary"]);
  switch (kind) {
    case "constant": return { kind, value: f.number("value") };
    case "normal": return { kind, std: f.number("std") };
    case "trunc_normal": return { kind, std: f.number("std"), cut: f.number("cut") };
    case "uniform": return { kind, low: f.number("low"), high: f.number("high") };
    case "sincos2d": return { kind, rows: f.number("rows"), cols: f.number("cols"), ...(f.has("frames") ? { frames: f.number("frames") } : {}) };
    case "sincos3d": return { kind, frames: f.number("frames"), rows: f.number("rows"), cols: f.number("cols") };
    case "rotary": return { kind, sides: f.numbers("sides"), base: f.number("base") };
    default: return { kind };
  }
}

function readLoss(cx: Cursor, draft: Draft): LossTerm {
  const name = cx.word();
  cx.expect("=");
  const node = cx.value();
  const f = cx.fields();
  return { name, node, kind: f.text("kind"), weight: schedule(f.record(f.get("weight"))), origin: origin(cx, draft) };
}

function readNode(cx: Cursor, draft: Draft): void {
  const body = openBody(cx, draft);
  const id = cx.value();
  const name = cx.at("=") ? undefined : cx.word();
  cx.expect("=");
  const op = cx.word();
  if (!isModelOp(op)) throw cx.bug(`\`${op}\` is no op`);
  const args = cx.list("(", ")", () => cx.value());
  const attrs = cx.at("{") ? attributes(cx, cx.fields()) : {};
  cx.expect(":");
  const type = readType(cx);
  const [lacking] = missingAttrs({ op, attrs });
  if (lacking !== undefined) throw cx.bug(`\`${op}\` lacks \`${lacking}\``);
  body.nodes.push(nodeOf({ id, op, args, attrs, type, name, origin: origin(cx, draft) }));
}

function attributes(cx: Cursor, f: Fields): Attrs {
  const out: { -readonly [K in keyof Attrs]: Attrs[K] } = {};
  for (const key of f.keys()) {
    switch (key) {
      case "instance": case "func": case "list": case "path": case "mask": case "loss": out[key] = f.text(key); break;
      case "count": case "carries": case "index": case "patch": case "heads": case "start": case "size": case "value": case "eps": case "temperature":
      case "momentum": case "iterations": case "block":
        out[key] = f.number(key);
        break;
      case "schedule": out.schedule = schedule(f.record(f.get(key))); break;
      case "over": out.over = f.texts(key); break;
      case "grid": out.grid = gridOf(cx, f.text(key)); break;
      case "dims": out.dims = record(f, key, (inner, k) => dimOf(cx, inner.text(k))); break;
      case "numbers": out.numbers = record(f, key, (inner, k) => inner.number(k)); break;
      case "strings": out.strings = record(f, key, (inner, k) => inner.text(k)); break;
      case "select": {
        const inner = f.record(f.get(key));
        out.select = { start: dimOf(cx, inner.text("start")), length: dimOf(cx, inner.text("length")) };
        break;
      }
      default: throw cx.bug(`there is no attribute \`${key}\``);
    }
  }
  return out;
}

function record<T>(f: Fields, key: string, read: (inner: Fields, key: string) => T): Record<string, T> {
  const inner = f.record(f.get(key));
  return Object.fromEntries(inner.keys().map((k) => [k, read(inner, k)]));
}

function dimOf(cx: Cursor, text: string): Dim {
  const parsed = parseDim(text);
  if (parsed === undefined) throw cx.bug(`\`${text}\` is no dimension`);
  return parsed;
}

function gridOf(cx: Cursor, text: string): Grid {
  const m = /^(\d+)x(\d+)\/(\d+)(?::(\d+))?x(\d+)(?:x(\d+)\*(\d+))?$/.exec(text);
  if (m === null) throw cx.bug(`\`${text}\` is no grid`);
  const [rows = 0, cols = 0, patch = 0, across, channels = 0, tube, frames] = m.slice(1).map((part: string | undefined) => (part === undefined ? undefined : Number(part)));
  return { rows, cols, patch, channels, ...(across === undefined ? {} : { across }), ...(tube === undefined ? {} : { frames, tube }) };
}

function readType(cx: Cursor): ValueType {
  const dtype = cx.accept("f32") ? "f32" : "i32";
  if (dtype === "i32") cx.expect("i32");
  const sizes = cx.list("[", "]", () => {
    const name = cx.word();
    const axis = axes.find((a) => a === name);
    if (axis === undefined) throw cx.bug(`\`${name}\` is no axis`);
    return { axis, size: dimOf(cx, cx.dimText()) };
  });
  const positions = cx.accept("at ") ? readPositions(cx) : ({ kind: "none" } as const);
  const space = cx.accept("in ") ? readSpace(cx) : ({ kind: "any" } as const);
  const pending = cx.accept("pending ") ? cx.word() : undefined;
  return { shape: sizes.map((s) => s.size), axes: sizes.map((s): Axis => s.axis), positions, space, dtype, pending };
}

function readPositions(cx: Cursor): Positions {
  const kind = cx.word();
  if (kind === "none") return { kind };
  cx.expect("(");
  const positions = readPlace(cx, kind);
  cx.expect(")");
  return positions;
}

function readPlace(cx: Cursor, kind: string): Positions {
  switch (kind) {
    case "all": return { kind, grid: gridOf(cx, cx.gridText()) };
    case "opaque": return { kind, of: cx.word() };
    case "mask": {
      const mask = cx.word();
      cx.expect(",");
      return { kind, mask, grid: gridOf(cx, cx.gridText()) };
    }
    case "concat": {
      const parts: { positions: Positions; length: Dim }[] = [];
      while (!cx.at(")")) {
        const length = dimOf(cx, cx.dimText());
        cx.expect("of ");
        parts.push({ positions: readPositions(cx), length });
        if (!cx.accept(",")) break;
      }
      return { kind, parts };
    }
    default: throw cx.bug(`\`${kind}\` is no kind of positions`);
  }
}

function readSpace(cx: Cursor): Space {
  const kind = cx.word();
  switch (kind) {
    case "pixels": case "logits": case "labels": case "actions": case "scalar": return { kind };
    case "latent": case "free": {
      cx.expect("(");
      const of = cx.word();
      cx.expect(")");
      return kind === "latent" ? { kind, of } : { kind, by: of };
    }
    default: throw cx.bug(`\`${kind}\` is no space`);
  }
}
