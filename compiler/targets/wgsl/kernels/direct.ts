/**
 * Matrix products without workgroup memory: for drivers that compute on a processor.
 *
 * There workgroup memory is memory like any other, a barrier is a switch between coroutines, and what costs is each read,
 * which is made lane by lane behind branches. So a thread reads its operands where they lie and owns many rows of one quad of
 * columns. In the form for subgroups the lanes of a subgroup stand side by side over the same rows: each reads its share of
 * the first operand's slice, and the others take that over by broadcasts, which cost a register move.
 *
 * Tiles of this kind have slices of 0 steps (`tiles.ts`). Places beyond the edges are moved to the edge rather than branched
 * around; what is read there is multiplied by 0 (along k) or never stored.
 */
import type { Operand, Product } from "./product.js";

const lanes = [0, 1, 2, 3] as const;

/** The least subgroup that the form for subgroups is written for: a thread reads at most this part of a slice. */
const LEAST_SUBGROUP = 4;

/** The function that reads four elements, within the edges: along k where k is contiguous, else along the operand's own axis. */
function nearFunction(o: Operand, zero: boolean): string {
  const head = `fn near_${o.name}(at: u32, r: u32, k: u32, k_end: u32) -> vec4<f32> {`;
  const place = (r: string, k: string): string => (o.alongK ? `at + ${r} * ${o.stride} + ${k}` : `at + ${k} * ${o.stride} + ${r}`);
  const row = (l: number): string => `min(r${l === 0 ? "" : ` + ${l}u`}, ${o.limit} - 1u)`;
  const step = (l: number): string => `min(k${l === 0 ? "" : ` + ${l}u`}, k_end - 1u)`;
  const cut = (value: string, inside: string): string => (zero ? `select(vec4<f32>(), ${value}, ${inside})` : value);
  const along = (l: number): string => (o.alongK ? o.read(place(row(0), step(l))) : o.read(place(row(l), step(0))));
  const four = `vec4<f32>(${lanes.map(along).join(", ")})`;
  const value = o.alongK
    ? (o.quads ? o.read.quad(place(row(0), "k")) : cut(four, `vec4<u32>(k, k + 1u, k + 2u, k + 3u) < vec4<u32>(k_end)`))
    : cut(o.quads ? o.read.quad(place(`min(r, ${o.limit} - 4u)`, step(0))) : four, "k < k_end");
  return `${head}\n  return ${value};\n}`;
}

/** The part of the first operand's slice with number `e`: four k of a row, or four rows at one k. */
function slicePlace(a: Operand, e: string): string {
  return a.alongK ? `near_a(a_at, row + ${e}, k0, k_end)` : `near_a(a_at, row + ${e} / 4u * 4u, k0 + ${e} % 4u, k_end)`;
}

/** How a thread comes to a part of the slice: lines before it is used, and the text of part `e`. */
interface Sharing {
  readonly head: readonly string[];
  readonly read: readonly string[];
  part(e: number): string;
}

/** Each thread reads everything itself. */
function alone({ a }: Product): Sharing {
  return { head: [], read: [], part: (e) => slicePlace(a, `${e}u`) };
}

/** Each lane reads its share. */
function shared({ a, tile: t }: Product): Sharing {
  const shares = Array.from({ length: Math.ceil(t.tm / LEAST_SUBGROUP) }, (_, i) => i);
  const own = (i: number): string => `min(lane + ${i}u * SUBGROUP, ${t.tm - 1}u)`;
  const holder = (e: number): string => shares.slice(1).reduce((text, i) => `select(${text}, share${i}, ${e}u >= ${i}u * SUBGROUP)`, "share0");
  return {
    head: ["// Set for the device by the runtime: threads of a subgroup.", "const SUBGROUP = 32u;", `const_assert ${t.bn / t.tn}u % SUBGROUP == 0u;`, ""],
    read: shares.flatMap((i) => (i === 0
      ? [`    let share0 = ${slicePlace(a, own(0))};`]
      : [`    var share${i} = vec4<f32>();`, `    if (${i}u * SUBGROUP < ${t.tm}u) { share${i} = ${slicePlace(a, own(i))}; }`])),
    part: (e) => `subgroupBroadcast(${holder(e)}, ${e}u % SUBGROUP)`,
  };
}

/** The kernel in which every thread reads for itself. */
export function directForm(p: Product): string {
  return text(p, alone(p), "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {", []);
}

/** The code of the same kernel by subgroups. */
export function sharingForm(p: Product): string {
  return text(p, shared(p), "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {", ["  let thread = subgroup * SUBGROUP + lane;"]);
}

function text(p: Product, by: Sharing, entry: string, first: readonly string[]): string {
  const { tile: t, a, b } = p;
  const tx = t.bn / t.tn;
  const rows = Array.from({ length: t.tm }, (_, r) => r);
  const columns = Array.from({ length: t.tn / 4 }, (_, c) => c);
  const col = (c: number): string => `col + ${c * tx * 4}u`;
  // A part of the slice is four k of one row, or four rows at one k.
  const products = (e: number): string[] => lanes.flatMap((l) => {
    const [r, kk] = a.alongK ? [e, l] : [e - e % 4 + l, e % 4];
    return columns.map((c) => `      acc${r}_${c} = fma(vec4<f32>(part[${l}]), b${kk}_${c}, acc${r}_${c});`);
  });
  return [
    ...by.head,
    nearFunction(a, false), nearFunction(b, !p.wholeSlices), "",
    ...p.functions,
    `@compute @workgroup_size(${tx * t.bm / t.tm})`, entry, ...first,
    `  let row = group.y * ${t.bm}u + thread / ${tx}u * ${t.tm}u;`, `  let col = group.x * ${t.bn}u + thread % ${tx}u * 4u;`,
    ...p.before,
    ...rows.flatMap((r) => columns.map((c) => `  var acc${r}_${c} = vec4<f32>();`)),
    ...(p.sums === undefined ? [] : columns.map((c) => `  var sum${c} = vec4<f32>();`)),
    ...(p.to === "k_end" ? [] : [`  let k_end = ${p.to};`]),
    `  for (var k0 = ${p.from}; k0 < k_end; k0 += 4u) {`,
    ...by.read,
    ...columns.flatMap((c) => (b.alongK
      ? [...lanes.map((l) => `    let q${l}_${c} = near_b(b_at, ${col(c)} + ${l}u, k0, k_end);`), ...lanes.map((kk) => `    let b${kk}_${c} = vec4<f32>(${lanes.map((l) => `q${l}_${c}[${kk}]`).join(", ")});`)]
      : lanes.map((kk) => `    let b${kk}_${c} = near_b(b_at, ${col(c)}, k0 + ${kk}u, k_end);`))),
    ...rows.flatMap((e) => ["    {", `      let part = ${by.part(e)};`, ...products(e), "    }"]),
    ...(p.sums === undefined ? [] : columns.map((c) => `    sum${c} += (b0_${c} + b1_${c}) + (b2_${c} + b3_${c});`)),
    "  }",
    ...rows.flatMap((r) => columns.map((c) => `  ${p.finish(`row + ${r}u`, col(c), `acc${r}_${c}`)}`)),
    ...sumLines(p, columns, col),
    "}",
  ].filter((line) => line !== "").join("\n");
}

function sumLines({ sums, tile: t }: Product, columns: readonly number[], col: (c: number) => string): string[] {
  if (sums === undefined) return [];
  return [
    `  if (group.y == 0u && thread < ${t.bn / t.tn}u) {`,
    ...columns.flatMap((c) => lanes.map((l) => `    { let own = ${col(c)} + ${l}u; ${sums("own", `sum${c}[${l}]`)} }`)),
    "  }",
  ];
}
