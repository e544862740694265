/**
 * ONNX models as bytes: the few protobuf messages that a graph of float tensors needs, written by hand.
 *
 * Owns the wire format (varints, lengths, fixed 32-bit floats) and the field numbers of `onnx.proto3`, which are frozen by the
 * standard. Why by hand: docs/decisions/onnx-writer.md. Nothing is read here, and nothing is known of any IR.
 */

/** A tensor stored in the model: float32, or int64 for shapes and indices. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** An attribute of a node. */
export type OnnxAttribute = { readonly kind: "int"; readonly value: number } | { readonly kind: "float"; readonly value: number } | { readonly kind: "ints"; readonly value: readonly number[] };

export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A float32 input or output; a text is a dimension that is known when the model runs. */
export interface OnnxPort {
  readonly name: string;
  readonly dims: readonly (number | string)[];
}

/** A whole model. `external` names the file beside the model that holds the tensors, when they do not fit into it. */
export interface OnnxModel {
  readonly name: string;
  readonly doc: string;
  readonly producer: string;
  readonly version: string;
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly external?: string;
}

/** The model's bytes, and those of the file beside it (empty when `external` is not given). */
export function encodeModel(model: OnnxModel): { readonly model: Uint8Array; readonly data: Uint8Array } {
  const { offsets, total } = placesOutside(model);
  const data = new Uint8Array(total);
  for (const t of model.tensors) {
    const at = offsets.get(t);
    if (at !== undefined) data.set(bytesOf(t.data), at);
  }
  const graph = message([
    ...model.nodes.map((n) => inner(1, node(n))),
    text(2, model.name),
    ...model.tensors.map((t) => inner(5, tensor(t, model.external ?? "", offsets.get(t)))),
    text(10, model.doc),
    ...model.inputs.map((p) => inner(11, port(p))),
    ...model.outputs.map((p) => inner(12, port(p))),
  ]);
  const bytes = message([
    integer(1, 8), // IR version 8: the one of opset 17
    text(2, model.producer),
    text(3, model.version),
    inner(7, graph),
    inner(8, message([text(1, ""), integer(2, model.opset)])),
    ...Object.entries(model.metadata).map(([key, value]) => inner(14, pair(key, value))),
  ]);
  return { model: bytes, data };
}

/** Shapes and small constants stay in the model, where readers want them before they open the other file. */
const smallest = 1024;

/** Where large tensors lie in the other file: at multiples of 4096, so that a reader can map them. */
function placesOutside({ external, tensors }: OnnxModel): { readonly offsets: ReadonlyMap<OnnxTensor, number>; readonly total: number } {
  const offsets = new Map<OnnxTensor, number>();
  let total = 0;
  for (const t of tensors) {
    if (external === undefined || t.data.byteLength < smallest) continue;
    const start = Math.ceil(total / 4096) * 4096;
    offsets.set(t, start);
    total = start + t.data.byteLength;
  }
  return { offsets, total };
}

function tensor(t: OnnxTensor, external: string, offset: number | undefined): Uint8Array {
  const head = [packed(1, t.dims), integer(2, t.data instanceof Float32Array ? 1 : 7), text(8, t.name)];
  if (offset === undefined) return message([...head, inner(9, bytesOf(t.data))]);
  const place = [["location", external], ["offset", String(offset)], ["length", String(t.data.byteLength)]];
  return message([...head, ...place.map(([key = "", value = ""]) => inner(13, pair(key, value))), integer(14, 1)]);
}

function node(n: OnnxNode): Uint8Array {
  return message([...n.inputs.map((i) => text(1, i)), ...n.outputs.map((o) => text(2, o)), text(3, n.name), text(4, n.op), ...Object.entries(n.attributes).map(([name, a]) => inner(5, attribute(name, a)))]);
}

function attribute(name: string, a: OnnxAttribute): Uint8Array {
  switch (a.kind) {
    case "int": return message([text(1, name), integer(3, a.value), integer(20, 2)]);
    case "float": return message([text(1, name), float(2, a.value), integer(20, 1)]);
    case "ints": return message([text(1, name), packed(8, a.value), integer(20, 7)]);
  }
}

function port({ name, dims }: OnnxPort): Uint8Array {
  const shape = message(dims.map((d) => inner(1, message([typeof d === "number" ? integer(1, d) : text(2, d)]))));
  return message([text(1, name), inner(2, message([inner(1, message([integer(1, 1), inner(2, shape)]))]))]);
}

function pair(key: string, value: string): Uint8Array {
  return message([text(1, key), text(2, value)]);
}

// The wire format: a field is its number and kind, then its content.

function message(fields: readonly (readonly Uint8Array[])[]): Uint8Array {
  const parts = fields.flat();
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function inner(field: number, content: Uint8Array): Uint8Array[] {
  return [varint(field * 8 + 2), varint(content.length), content];
}

function text(field: number, value: string): Uint8Array[] {
  return inner(field, new TextEncoder().encode(value));
}

function integer(field: number, value: number): Uint8Array[] {
  return [varint(field * 8), varint(value)];
}

function float(field: number, value: number): Uint8Array[] {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return [varint(field * 8 + 5), bytes];
}

function packed(field: number, values: readonly number[]): Uint8Array[] {
  return inner(field, message([values.map(varint)]));
}

/** Negative numbers are written as 64-bit two's complement, as the format wants it. */
function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

function bytesOf(data: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
