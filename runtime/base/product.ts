/**
 * Matrix products in float64 on the host, for what is small enough not to need an engine.
 *
 * Owns one kernel over strided views: a transposed matrix, some columns, or one row of many are views of an array, so that forward and
 * backward passes need no copies. Sums run over k in order, so that the same numbers give the same bits.
 */

/** A matrix within an array: element (i, j) lies at `at + i * rows + j * columns`. */
export interface View {
  readonly data: Float64Array;
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
}

/** The rows of a matrix `[n, width]` in an array, from `at` on. */
export function view(data: Float64Array, width: number, at: number = 0): View {
  return { data, at, rows: width, columns: 1 };
}

/** The transpose of a view. */
export function transposed({ data, at, rows, columns }: View): View {
  return { data, at, rows: columns, columns: rows };
}

/** A view that begins `rows` rows and `columns` columns further on. */
export function within(view: View, rows: number, columns: number): View {
  return { ...view, at: view.at + rows * view.rows + columns * view.columns };
}

/** `out[n, m] += a[n, k] · b[k, m]`. The views are of as many elements as that; nothing is checked. */
export function addProduct(out: View, a: View, b: View, n: number, k: number, m: number): void {
  // The tiles have four rows: few rows of many columns are taken the other way round.
  if (n < 4 && m >= 4) addProduct(transposed(out), transposed(b), transposed(a), m, k, n);
  else addTiles(out, a, b, n, k, m);
}

function addTiles(out: View, a: View, b: View, n: number, k: number, m: number): void {
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    let j = 0;
    for (; j + 2 <= m; j += 2) addTile(out, a, b, i, j, k);
    if (j < m) addColumn(out, a, b, i, j, k);
  }
  for (; i < n; i++) for (let j = 0; j < m; j++) addDot(out, a, b, i, j, k);
}

function addDot(out: View, a: View, b: View, i: number, j: number, k: number): void {
  const { data: x, columns: along } = a;
  const { data: y, rows: step } = b;
  let left = a.at + i * a.rows;
  let right = b.at + j * b.columns;
  let sum = 0;
  for (let t = 0; t < k; t++, left += along, right += step) sum += (x[left] ?? 0) * (y[right] ?? 0);
  add(out.data, out.at + i * out.rows + j * out.columns, sum);
}

/** Four rows by one column. */
function addColumn(out: View, a: View, b: View, i: number, j: number, k: number): void {
  const { data: x, rows: down, columns: along } = a;
  const { data: y, rows: step } = b;
  let left = a.at + i * down;
  let right = b.at + j * b.columns;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let t = 0; t < k; t++, left += along, right += step) {
    const value = y[right] ?? 0;
    s0 += (x[left] ?? 0) * value;
    s1 += (x[left + down] ?? 0) * value;
    s2 += (x[left + 2 * down] ?? 0) * value;
    s3 += (x[left + 3 * down] ?? 0) * value;
  }
  const at = out.at + i * out.rows + j * out.columns;
  add(out.data, at, s0);
  add(out.data, at + out.rows, s1);
  add(out.data, at + 2 * out.rows, s2);
  add(out.data, at + 3 * out.rows, s3);
}

/** Four rows by two columns at once: each number that is read is used twice or more. */
function addTile(out: View, a: View, b: View, i: number, j: number, k: number): void {
  const { data: x, rows: down, columns: along } = a;
  const { data: y, rows: step, columns: beside } = b;
  let left = a.at + i * down;
  let right = b.at + j * beside;
  let s00 = 0;
  let s01 = 0;
  let s10 = 0;
  let s11 = 0;
  let s20 = 0;
  let s21 = 0;
  let s30 = 0;
  let s31 = 0;
  for (let t = 0; t < k; t++, left += along, right += step) {
    const y0 = y[right] ?? 0;
    const y1 = y[right + beside] ?? 0;
    const x0 = x[left] ?? 0;
    const x1 = x[left + down] ?? 0;
    const x2 = x[left + 2 * down] ?? 0;
    const x3 = x[left + 3 * down] ?? 0;
    s00 += x0 * y0;
    s01 += x0 * y1;
    s10 += x1 * y0;
    s11 += x1 * y1;
    s20 += x2 * y0;
    s21 += x2 * y1;
    s30 += x3 * y0;
    s31 += x3 * y1;
  }
  const { data, rows, columns } = out;
  const at = out.at + i * rows + j * columns;
  add(data, at, s00);
  add(data, at + columns, s01);
  add(data, at + rows, s10);
  add(data, at + rows + columns, s11);
  add(data, at + 2 * rows, s20);
  add(data, at + 2 * rows + columns, s21);
  add(data, at + 3 * rows, s30);
  add(data, at + 3 * rows + columns, s31);
}

function add(data: Float64Array, at: number, sum: number): void {
  data[at] = (data[at] ?? 0) + sum;
}
