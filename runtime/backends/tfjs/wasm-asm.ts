/**
 * A small assembler for WebAssembly with SIMD: expressions are byte arrays, a function is a list of statements.
 *
 * It exists so that the few kernels of `wasm-simd.ts` can be written beside the code that calls them, without a C
 * compiler in the build and without an opaque binary in the repository. It covers what those kernels need: i32, f32 and
 * 4 x f32 values, counted loops, loads and stores. Opcodes are those of the WebAssembly core specification 2.0, section 5.4.
 */

/** An instruction sequence that leaves one value, or a statement that leaves none. */
export type Code = readonly number[];

const unsigned = (value: number): number[] => value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
const signed = (value: number): number[] =>
  value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
const floatBytes = (value: number): number[] => [...new Uint8Array(Float32Array.of(value).buffer)];
const text = (value: string): number[] => [...unsigned(value.length), ...new TextEncoder().encode(value)];
const vector = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: Code): number[] => [id, ...unsigned(body.length), ...body];

const typeBytes = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
/** Types of values that the kernels compute with. */
export type ValueType = keyof typeof typeBytes;

const op = (...bytes: number[]) => (...operands: Code[]): Code => [...operands.flat(), ...bytes];
const simd = (code: number) => op(0xfd, ...unsigned(code));

/** i32 arithmetic; addresses are bytes. */
export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: op(0x6a), sub: op(0x6b), mul: op(0x6c), and: op(0x71), lt: op(0x48), le: op(0x4c), gt: op(0x4a), shl: op(0x74),
  load: (address: Code, offset = 0): Code => [...address, 0x28, 2, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0x36, 2, ...unsigned(offset)],
};

/** Scalar f32 arithmetic. */
export const f32 = {
  const: (value: number): Code => [0x43, ...floatBytes(value)],
  add: op(0x92), sub: op(0x93), mul: op(0x94), div: op(0x95), max: op(0x97), sqrt: op(0x91),
  load: (address: Code, offset = 0): Code => [...address, 0x2a, 2, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0x38, 2, ...unsigned(offset)],
};

/** Four f32 lanes. `min` and `max` are the pseudo forms: one instruction each, which the NaN-exact ones are not. */
export const f4 = {
  const: (value: number): Code => [0xfd, 0x0c, ...floatBytes(value), ...floatBytes(value), ...floatBytes(value), ...floatBytes(value)],
  splat: simd(0x13), add: simd(0xe4), sub: simd(0xe5), mul: simd(0xe6), div: simd(0xe7), min: simd(0xea), max: simd(0xeb),
  abs: simd(0xe0), neg: simd(0xe1), sqrt: simd(0xe3), gt: simd(0x44), lt: simd(0x43), and: simd(0x4e),
  /** Lanes of `a` where the mask is set, else of `b`. */
  select: (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, 0xfd, 0x52],
  lane: (x: Code, lane: number): Code => [...x, 0xfd, 0x1f, lane],
  load: (address: Code, offset = 0): Code => [...address, 0xfd, 0x00, 2, ...unsigned(offset)],
  loadSplat: (address: Code, offset = 0): Code => [...address, 0xfd, 0x09, 2, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0xfd, 0x0b, 2, ...unsigned(offset)],
  storeLane0: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0xfd, 0x5a, 2, ...unsigned(offset), 0],
  /** Lanes as i32: shifted left by `bits`, then a constant added. */
  shiftAdd: (x: Code, bits: number, constant: number): Code => [...x, ...i32.const(bits), 0xfd, ...unsigned(0xab), ...i4const(constant), 0xfd, ...unsigned(0xae)],
  /** Lanes 0..7 picked from the two operands by number. */
  shuffle: (a: Code, b: Code, lanes: readonly [number, number, number, number]): Code =>
    [...a, ...b, 0xfd, 0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))],
};

function i4const(value: number): Code {
  const bytes = [...new Uint8Array(Int32Array.of(value).buffer)];
  return [0xfd, 0x0c, ...bytes, ...bytes, ...bytes, ...bytes];
}

/** A local variable or parameter. */
export type Local = { readonly get: Code; set(value: Code): Code };

/** One function being written: hands out its local variables. */
export type Body = { local(type: ValueType): Local };

/** A function of the module. */
export type WasmFunction = { readonly name: string; readonly params: readonly ("i32" | "f32")[]; readonly write: (body: Body, at: (index: number) => Local) => Code[] };

/** A function whose parameters are reached by name, in the order they are listed. */
export function define<P extends Record<string, "i32" | "f32">>(
  name: string, params: P, write: (params: { [K in keyof P]: Local }, body: Body) => Code[],
): WasmFunction {
  const names = Object.keys(params);
  return {
    name,
    params: Object.values(params),
    // The mapped type cannot be built key by key in TypeScript's eyes; the keys are those of `params` by construction.
    write: (body, at) => write(Object.fromEntries(names.map((key, index) => [key, at(index)])) as { [K in keyof P]: Local }, body),
  };
}

/** Runs `body` while `i` < `limit` (checked before the first round), stepping `i`. */
export function loop(i: Local, limit: Code, step: number, body: readonly Code[]): Code {
  return [
    0x02, 0x40, 0x03, 0x40,
    ...i32.lt(i.get, limit), 0x45, 0x0d, 1,
    ...body.flat(),
    ...i.set(i32.add(i.get, i32.const(step))),
    0x0c, 0, 0x0b, 0x0b,
  ];
}

/** Assembles a module whose functions work on an imported memory ("env" "memory"). */
export function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ params }) => [0x60, ...vector(params.map((type) => [typeBytes[type]])), 0]);
  const bodies = functions.map((fn) => {
    const locals: ValueType[] = [];
    const at = (index: number): Local => ({ get: [0x20, ...unsigned(index)], set: (value) => [...value, 0x21, ...unsigned(index)] });
    const code = fn.write({ local: (type) => at(fn.params.length + locals.push(type) - 1) }, at);
    const bytes = [...vector(locals.map((type) => [1, typeBytes[type]])), ...code.flat(), 0x0b];
    return [...unsigned(bytes.length), ...bytes];
  });
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, vector(types)),
    ...section(2, vector([[...text("env"), ...text("memory"), 2, 0, 0]])),
    ...section(3, vector(functions.map((_, index) => unsigned(index)))),
    ...section(7, vector(functions.map(({ name }, index) => [...text(name), 0, ...unsigned(index)]))),
    ...section(10, vector(bodies)),
  ]);
}
