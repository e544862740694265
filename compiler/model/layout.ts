/**
 * Layered layout of a directed acyclic graph (Sugiyama, Tagawa & Toda 1981), from top to bottom.
 *
 * Four steps: ranks by longest path, sources pulled down to their users; invisible points where an edge passes a rank;
 * order within ranks by barycentres, the sweep with the fewest crossings kept; x by least squares toward the neighbours
 * under the separations of each rank (pool adjacent violators), which is what makes long edges straight. Deterministic,
 * O(sweeps · (V + E) log V). Knows boxes and edges only; what they mean and how they look is for `export-svg.ts`.
 */

/** A box to place. */
export interface LayoutNode {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

/** An edge to route; `from` must lie above `to`. */
export interface LayoutEdge {
  readonly from: string;
  readonly to: string;
}

/** A point of the picture. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where a box went: its center in x, its top in y. */
export interface Placed extends LayoutNode, Point {
  readonly rank: number;
  /** Place among the boxes of its rank. */
  readonly order: number;
}

/** A placed graph. `routes` are by index of the edges: pairs of points that vertical curves join. */
export interface Layout {
  readonly nodes: ReadonlyMap<string, Placed>;
  readonly routes: readonly (readonly Point[])[];
  readonly width: number;
  readonly height: number;
  readonly rankTops: readonly number[];
}

/** Distances and hints. */
export interface LayoutOptions {
  readonly gapX: number;
  readonly gapY: number;
  /** Pairs that should share a rank where nothing speaks against it, with the free space wanted between them. */
  readonly level?: readonly { readonly from: string; readonly to: string; readonly space: number }[];
}

interface Cell {
  readonly id: string;
  readonly width: number;
  readonly box: LayoutNode | undefined;
  readonly up: { readonly cell: Cell; readonly weight: number }[];
  readonly down: { readonly cell: Cell; readonly weight: number }[];
  rank: number;
  order: number;
  x: number;
}

const sweeps = 12;
const mostPoints = 20_000;

/** Places boxes and routes edges. Edges to unknown boxes, and those that do not go down, get an empty route. */
export function layout(boxes: readonly LayoutNode[], edges: readonly LayoutEdge[], options: LayoutOptions): Layout {
  const cells = new Map<string, Cell>();
  for (const box of boxes) cells.set(box.id, { id: box.id, width: box.width, box, up: [], down: [], rank: 0, order: 0, x: 0 });
  rankCells(cells, edges, options.level ?? []);
  const chains = edges.map((e) => chain(cells, e));
  const layers: Cell[][] = [];
  for (const cell of [...cells.values(), ...chains.flatMap((c) => c.slice(1, -1))]) (layers[cell.rank] ??= []).push(cell);
  for (let i = 0; i < layers.length; i++) layers[i] ??= [];
  order(layers);
  const space = spacing(layers, options);
  place(layers, space);
  return finish(layers, chains, options);
}

function rankCells(cells: ReadonlyMap<string, Cell>, edges: readonly LayoutEdge[], level: NonNullable<LayoutOptions["level"]>): void {
  const below = new Map<string, { to: string; length: number }[]>([...cells.keys()].map((id) => [id, []]));
  for (const e of edges) if (cells.has(e.from) && cells.has(e.to)) below.get(e.from)?.push({ to: e.to, length: 1 });
  for (const pair of level) {
    if (!cells.has(pair.from) || !cells.has(pair.to) || reaches(below, pair.to, pair.from)) continue;
    below.get(pair.from)?.push({ to: pair.to, length: 0 });
  }
  const sorted = topological(below);
  for (const id of sorted) {
    for (const { to, length } of below.get(id) ?? []) {
      const cell = cells.get(to);
      if (cell !== undefined) cell.rank = Math.max(cell.rank, (cells.get(id)?.rank ?? 0) + length);
    }
  }
  const fed = new Set([...below.values()].flatMap((list) => list.map((e) => e.to)));
  for (const id of sorted) {
    const cell = cells.get(id);
    const users = (below.get(id) ?? []).map((e) => (cells.get(e.to)?.rank ?? 1) - e.length);
    if (cell !== undefined && !fed.has(id) && users.length > 0) cell.rank = Math.min(...users);
  }
  const least = Math.min(...[...cells.values()].map((c) => c.rank));
  if (Number.isFinite(least)) for (const cell of cells.values()) cell.rank -= least;
}

function reaches(below: ReadonlyMap<string, readonly { to: string }[]>, from: string, goal: string): boolean {
  const found = new Set([from]);
  for (const id of found) for (const { to } of below.get(id) ?? []) found.add(to);
  return found.has(goal);
}

/** Kahn's order; what lies on a cycle is left out. */
function topological(below: ReadonlyMap<string, readonly { to: string }[]>): string[] {
  const open = new Map([...below.keys()].map((id) => [id, 0]));
  for (const list of below.values()) for (const { to } of list) open.set(to, (open.get(to) ?? 0) + 1);
  const ready = [...open].flatMap(([id, n]) => (n === 0 ? [id] : []));
  for (const id of ready) {
    for (const { to } of below.get(id) ?? []) {
      const left = (open.get(to) ?? 0) - 1;
      open.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  return ready;
}

/** The cells of an edge from top to bottom, with an invisible one at every rank between. */
function chain(cells: ReadonlyMap<string, Cell>, edge: LayoutEdge): Cell[] {
  const from = cells.get(edge.from);
  const to = cells.get(edge.to);
  if (from === undefined || to === undefined || to.rank <= from.rank) return [];
  const points: Cell[] = [];
  const between = to.rank - from.rank > mostPoints / Math.max(1, cells.size) ? 0 : to.rank - from.rank - 1;
  for (let i = 0; i < between; i++) points.push({ id: "", width: 14, box: undefined, up: [], down: [], rank: from.rank + 1 + i, order: 0, x: 0 });
  const all = [from, ...points, to];
  for (let i = 0; i + 1 < all.length; i++) {
    const [a, b] = [all[i], all[i + 1]];
    if (a === undefined || b === undefined) continue;
    const weight = a.box === undefined && b.box === undefined ? 8 : a.box === undefined || b.box === undefined ? 2 : 1;
    a.down.push({ cell: b, weight });
    b.up.push({ cell: a, weight });
  }
  return all;
}

/** Barycentre sweeps from several first orders; the order with the fewest crossings stays. */
function order(layers: Cell[][]): void {
  const number = (): void => layers.forEach((layer) => layer.forEach((cell, i) => (cell.order = i)));
  const start = layers.map((layer) => [...layer]);
  let best = start;
  let fewest = Number.POSITIVE_INFINITY;
  const starts: ((layer: readonly Cell[], rank: number) => Cell[])[] = [
    (layer) => [...layer], (layer) => layer.toReversed(), (layer, rank) => (rank % 2 === 0 ? [...layer] : layer.toReversed()),
    (layer) => [...layer.slice(1), ...layer.slice(0, 1)], (layer) => layer.toSorted((a, b) => b.down.length - a.down.length),
    (layer) => layer.toSorted((a, b) => a.up.length - b.up.length),
  ];
  for (const first of start.length > 400 ? starts.slice(0, 1) : starts) {
    start.forEach((layer, rank) => (layers[rank] = first(layer, rank)));
    number();
    for (let sweep = 0; sweep <= sweeps && fewest > 0; sweep++) {
      const now = crossings(layers);
      if (now < fewest) {
        fewest = now;
        best = layers.map((layer) => [...layer]);
      }
      const down = sweep % 2 === 0;
      for (const layer of down ? layers : layers.toReversed()) sortLayer(layer, down);
      for (const layer of layers) swapNeighbours(layer);
    }
  }
  best.forEach((layer, i) => (layers[i] = layer));
  number();
}

function sortLayer(layer: Cell[], down: boolean): void {
  const key = new Map(layer.map((cell) => {
    const near = down ? cell.up : cell.down;
    return [cell, near.length === 0 ? cell.order : near.reduce((s, n) => s + n.cell.order, 0) / near.length];
  }));
  layer.sort((a, b) => (key.get(a) ?? 0) - (key.get(b) ?? 0) || a.order - b.order);
  layer.forEach((cell, i) => (cell.order = i));
}

/** Swaps neighbours of a rank where that alone removes crossings: barycentres get stuck there. */
function swapNeighbours(layer: Cell[]): void {
  for (let i = 0; i + 1 < layer.length; i++) {
    const [a, b] = [layer[i], layer[i + 1]];
    if (a === undefined || b === undefined) continue;
    const ends = (cell: Cell): number => cell.up.length * cell.down.length;
    if (ends(a) > 400 || ends(b) > 400) continue;
    const now = inversions(a.up, b.up) + inversions(a.down, b.down);
    const swapped = inversions(b.up, a.up) + inversions(b.down, a.down);
    if (swapped >= now) continue;
    layer[i] = b;
    layer[i + 1] = a;
    [a.order, b.order] = [b.order, a.order];
  }
}

function inversions(left: Cell["up"], right: Cell["up"]): number {
  let n = 0;
  for (const l of left) for (const r of right) if (l.cell.order > r.cell.order) n++;
  return n;
}

/** Crossings between neighbouring ranks: inversions of the lower ends, counted with a Fenwick tree. */
function crossings(layers: readonly (readonly Cell[])[]): number {
  let total = 0;
  layers.forEach((layer, i) => {
    const size = layers[i + 1]?.length ?? 0;
    const tree = new Array<number>(size + 1).fill(0);
    let seen = 0;
    for (const cell of layer) {
      const ends = cell.down.map((d) => d.cell.order).sort((a, b) => a - b);
      for (const end of ends) {
        let upTo = 0;
        for (let k = end + 1; k > 0; k -= k & -k) upTo += tree[k] ?? 0;
        total += seen - upTo;
      }
      for (const end of ends) {
        seen++;
        for (let k = end + 1; k <= size; k += k & -k) tree[k] = (tree[k] ?? 0) + 1;
      }
    }
  });
  return total;
}

/** For each rank, the distance of each cell's center from that of the one before it. */
function spacing(layers: readonly (readonly Cell[])[], options: LayoutOptions): number[][] {
  const wanted = (a: Cell, b: Cell): number => {
    const pair = (options.level ?? []).find((p) => (p.from === a.id && p.to === b.id) || (p.from === b.id && p.to === a.id));
    return a.box === undefined || b.box === undefined ? options.gapX * 0.6 : Math.max(options.gapX, pair?.space ?? 0);
  };
  return layers.map((layer) => layer.map((cell, i) => {
    const before = layer[i - 1];
    return before === undefined ? 0 : (before.width + cell.width) / 2 + wanted(before, cell);
  }));
}

function place(layers: readonly (readonly Cell[])[], space: readonly (readonly number[])[]): void {
  layers.forEach((layer, r) => {
    let x = 0;
    layer.forEach((cell, i) => {
      x += space[r]?.[i] ?? 0;
      cell.x = x;
    });
  });
  for (let round = 0; round < 24; round++) {
    const down = round % 2 === 0;
    const ranks = layers.map((_, r) => (down ? r : layers.length - 1 - r));
    for (const r of ranks) settle(layers[r] ?? [], space[r] ?? [], round >= 22 ? "both" : down ? "up" : "down");
  }
}

/** Moves a rank as near to the mean of its neighbours as the separations allow: isotonic regression. */
function settle(layer: readonly Cell[], space: readonly number[], toward: "up" | "down" | "both"): void {
  const offsets: number[] = [];
  layer.forEach((_, i) => offsets.push((offsets[i - 1] ?? 0) + (space[i] ?? 0)));
  const blocks: { sum: number; weight: number; size: number }[] = [];
  layer.forEach((cell, i) => {
    const near = toward === "both" ? [...cell.up, ...cell.down] : cell[toward];
    const pull = near.reduce((s, n) => s + n.weight, 0);
    const wish = pull === 0 ? cell.x : near.reduce((s, n) => s + n.weight * n.cell.x, 0) / pull;
    const weight = pull === 0 ? 0.05 : pull;
    blocks.push({ sum: weight * (wish - (offsets[i] ?? 0)), weight, size: 1 });
    for (let last = blocks.at(-1), prior = blocks.at(-2); last !== undefined && prior !== undefined && prior.sum / prior.weight > last.sum / last.weight; last = blocks.at(-1), prior = blocks.at(-2)) {
      blocks.splice(-2, 2, { sum: prior.sum + last.sum, weight: prior.weight + last.weight, size: prior.size + last.size });
    }
  });
  let i = 0;
  for (const block of blocks) {
    for (let k = 0; k < block.size; k++, i++) {
      const cell = layer[i];
      if (cell !== undefined) cell.x = block.sum / block.weight + (offsets[i] ?? 0);
    }
  }
}

function finish(layers: readonly (readonly Cell[])[], chains: readonly (readonly Cell[])[], options: LayoutOptions): Layout {
  const cells = layers.flat();
  const left = Math.min(0, ...cells.map((c) => c.x - c.width / 2));
  const first = cells.length === 0 ? 0 : Math.min(...cells.map((c) => c.x - c.width / 2));
  const shift = cells.length === 0 ? left : first;
  const heights = layers.map((layer) => Math.max(20, ...layer.map((c) => c.box?.height ?? 0)));
  const tops: number[] = [];
  heights.forEach((_, i) => tops.push(i === 0 ? 0 : (tops[i - 1] ?? 0) + (heights[i - 1] ?? 0) + options.gapY));
  const nodes = new Map<string, Placed>();
  for (const cell of cells) {
    cell.x -= shift;
    if (cell.box === undefined) continue;
    nodes.set(cell.id, { ...cell.box, x: cell.x, y: (tops[cell.rank] ?? 0) + ((heights[cell.rank] ?? 0) - cell.box.height) / 2, rank: cell.rank, order: cell.order });
  }
  const ports = portOffsets(chains);
  const routes = chains.map((cells, i) => route(cells, ports[i], nodes, tops, heights));
  const width = Math.max(0, ...cells.map((c) => c.x + c.width / 2));
  const last = layers.length - 1;
  return { nodes, routes, width, height: Math.max(0, (tops[last] ?? 0) + (heights[last] ?? 0)), rankTops: tops };
}

/** Edges leave and enter a box side by side, in the order of where they come from. */
function portOffsets(chains: readonly (readonly Cell[])[]): { start: number; end: number }[] {
  const ports = chains.map(() => ({ start: 0, end: 0 }));
  const spread = (ends: { index: number; x: number; width: number }[], side: "start" | "end"): void => {
    ends.sort((a, b) => a.x - b.x || a.index - b.index);
    const step = Math.min(26, ((ends[0]?.width ?? 0) * 0.7) / ends.length);
    ends.forEach(({ index }, k) => {
      const port = ports[index];
      if (port !== undefined) port[side] = (k - (ends.length - 1) / 2) * step;
    });
  };
  const group = (side: "start" | "end"): void => {
    const byCell = new Map<Cell, { index: number; x: number; width: number }[]>();
    chains.forEach((cells, index) => {
      const own = side === "start" ? cells[0] : cells.at(-1);
      const next = side === "start" ? cells[1] : cells.at(-2);
      if (own === undefined || next === undefined) return;
      const list = byCell.get(own) ?? [];
      list.push({ index, x: next.x, width: own.width });
      byCell.set(own, list);
    });
    for (const list of byCell.values()) spread(list, side);
  };
  group("start");
  group("end");
  return ports;
}

function route(cells: readonly Cell[], port: { start: number; end: number } | undefined, nodes: ReadonlyMap<string, Placed>, tops: readonly number[], heights: readonly number[]): Point[] {
  const from = nodes.get(cells[0]?.id ?? "");
  const to = nodes.get(cells.at(-1)?.id ?? "");
  if (from === undefined || to === undefined || cells.length < 2) return [];
  // Straight down to the foot of the rank first: a lower neighbour may be taller.
  const x = from.x + (port?.start ?? 0);
  const points: Point[] = [{ x, y: from.y + from.height }, { x, y: (tops[from.rank] ?? 0) + (heights[from.rank] ?? 0) }];
  for (const cell of cells.slice(1, -1)) {
    const top = tops[cell.rank] ?? 0;
    points.push({ x: cell.x, y: top }, { x: cell.x, y: top + (heights[cell.rank] ?? 0) });
  }
  const end = to.x + (port?.end ?? 0);
  points.push({ x: end, y: tops[to.rank] ?? 0 }, { x: end, y: to.y });
  return points;
}
