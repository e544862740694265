/**
 * The small I-JEPA step as an ordinary tfjs user would write it: `tf.variableGrads` for the gradients, `tf.train.adam` for
 * the update, the library's own functions throughout. What the compiled step is measured against.
 *
 * It is written with care, not slowed down: linear layers are two-dimensional products, masks are flat gathers, everything
 * is tidied. What it lacks is what a library user lacks: gradients come from the recorded tape, the optimiser from the
 * package (so decay is not decoupled: tf.train.adam has none), layer norm and exact GELU from primitives.
 */

/** The configuration of the comparison: encoder 192 wide, 6 deep; predictor 96 wide, 3 deep; 8 x 8 patches. */
export const smallConfig = {
  batch: 64, image: 32, patch: 4, width: 192, depth: 6, heads: 3, predWidth: 96, predDepth: 3,
  context: 18, targets: 4, target: 10, lr: 1e-3, momentum: 0.996, beta: 1, seed: 1,
};

/**
 * Builds the model on the current backend of `tf`.
 * Returns { step(images, context, targets) -> loss, example() -> [images, context, targets], variables, dispose() }:
 * images [B, H, W, 3]; context [B, Kc] and targets [M*B, Kt] (target-block-major) int32 token indices.
 */
export function makeTapeStep(tf, config = smallConfig) {
  const c = config;
  const grid = c.image / c.patch;
  const tokens = grid * grid;
  const student = encoderVariables(tf, c, "student", true);
  const teacher = encoderVariables(tf, c, "teacher", false);
  for (const name of Object.keys(student)) teacher[name].assign(student[name]);
  const predictor = predictorVariables(tf, c);
  const tables = { encoder: tf.keep(tf.tensor2d(sincos(c.width, grid), [tokens, c.width])), predictor: tf.keep(tf.tensor2d(sincos(c.predWidth, grid), [tokens, c.predWidth])) };
  const optimizer = tf.train.adam(c.lr, 0.9, 0.999, 1e-8);
  const learned = [...Object.values(student), ...Object.values(predictor)];

  const step = (images, context, targets) => {
    const wanted = tf.tidy(() => {
      const h = plainNorm(tf, encode(tf, c, teacher, tables.encoder, images), 1e-5);
      return pick(tf, h, targets);
    });
    const { value, grads } = tf.variableGrads(() => {
      const z = encode(tf, c, student, tables.encoder, images, context);
      return smoothL1(tf, predict(tf, c, predictor, tables.predictor, z, context, targets), wanted, c.beta);
    }, learned);
    optimizer.applyGradients(grads);
    tf.dispose(grads);
    wanted.dispose();
    tf.tidy(() => {
      for (const name of Object.keys(student)) teacher[name].assign(teacher[name].mul(c.momentum).add(student[name].mul(1 - c.momentum)));
    });
    const loss = value.dataSync()[0];
    value.dispose();
    return loss;
  };

  return {
    step,
    example: () => exampleBatch(tf, c, tokens),
    variables: { student, teacher, predictor },
    dispose: () => {
      optimizer.dispose();
      tf.dispose([student, teacher, predictor, tables]);
    },
  };
}

function exampleBatch(tf, c, tokens) {
  const random = generator(c.seed + 7);
  const draw = (rows, kept) => tf.tensor2d(Int32Array.from(Array.from({ length: rows }, () => {
    const order = Array.from({ length: tokens }, (_, i) => [random(), i]).sort((a, b) => a[0] - b[0]);
    return order.slice(0, kept).map(([, i]) => i).sort((a, b) => a - b);
  }).flat()), [rows, kept], "int32");
  const pixels = Float32Array.from({ length: c.batch * c.image * c.image * 3 }, () => random() * 2 - 1);
  return [tf.tensor4d(pixels, [c.batch, c.image, c.image, 3]), draw(c.batch, c.context), draw(c.targets * c.batch, c.target)];
}

function generator(seed) {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

function blockVariables(tf, table, make, prefix, width) {
  make(table, `${prefix}.norm1.scale`, [width], 1);
  make(table, `${prefix}.norm1.offset`, [width], 0);
  make(table, `${prefix}.qkv.w`, [width, 3 * width]);
  make(table, `${prefix}.qkv.b`, [3 * width], 0);
  make(table, `${prefix}.proj.w`, [width, width]);
  make(table, `${prefix}.proj.b`, [width], 0);
  make(table, `${prefix}.norm2.scale`, [width], 1);
  make(table, `${prefix}.norm2.offset`, [width], 0);
  make(table, `${prefix}.fc1.w`, [width, 4 * width]);
  make(table, `${prefix}.fc1.b`, [4 * width], 0);
  make(table, `${prefix}.fc2.w`, [4 * width, width]);
  make(table, `${prefix}.fc2.b`, [width], 0);
}

function maker(tf, c, trainable) {
  let seed = c.seed;
  return (table, name, shape, constant) => {
    const value = constant === undefined ? tf.randomNormal(shape, 0, 0.02, "float32", seed++) : tf.fill(shape, constant);
    table[name] = tf.variable(value, trainable);
    value.dispose();
  };
}

function encoderVariables(tf, c, name, trainable) {
  const table = {};
  const make = maker(tf, c, trainable);
  make(table, "embed.w", [c.patch * c.patch * 3, c.width]);
  make(table, "embed.b", [c.width], 0);
  for (let i = 0; i < c.depth; i++) blockVariables(tf, table, make, `block${i}`, c.width);
  make(table, "norm.scale", [c.width], 1);
  make(table, "norm.offset", [c.width], 0);
  return table;
}

function predictorVariables(tf, c) {
  const table = {};
  const make = maker(tf, { ...c, seed: c.seed + 1000 }, true);
  make(table, "embed.w", [c.width, c.predWidth]);
  make(table, "embed.b", [c.predWidth], 0);
  make(table, "mask", [1, 1, c.predWidth]);
  for (let i = 0; i < c.predDepth; i++) blockVariables(tf, table, make, `block${i}`, c.predWidth);
  make(table, "norm.scale", [c.predWidth], 1);
  make(table, "norm.offset", [c.predWidth], 0);
  make(table, "project.w", [c.predWidth, c.width]);
  make(table, "project.b", [c.width], 0);
  return table;
}

function sincos(width, grid) {
  const half = width / 2;
  const code = (position, k) => {
    const omega = 10000 ** (-(k % (half / 2)) / (half / 2));
    return k < half / 2 ? Math.sin(position * omega) : Math.cos(position * omega);
  };
  return Float32Array.from({ length: grid * grid * width }, (_, i) => {
    const [token, k] = [Math.floor(i / width), i % width];
    return k < half ? code(token % grid, k) : code(Math.floor(token / grid), k - half);
  });
}

function plainNorm(tf, x, eps) {
  const centered = x.sub(x.mean(-1, true));
  return centered.mul(centered.square().mean(-1, true).add(eps).rsqrt());
}

const layerNorm = (tf, x, v, name) => plainNorm(tf, x, 1e-6).mul(v[`${name}.scale`]).add(v[`${name}.offset`]);

function linear(tf, x, v, name) {
  const w = v[`${name}.w`];
  const flat = x.reshape([-1, w.shape[0]]);
  return flat.matMul(w).add(v[`${name}.b`]).reshape([...x.shape.slice(0, -1), w.shape[1]]);
}

const gelu = (x) => x.mul(x.mul(Math.SQRT1_2).erf().add(1)).mul(0.5);

function block(tf, x, v, name, heads) {
  const [batch, tokens, width] = x.shape;
  const size = width / heads;
  const parts = linear(tf, layerNorm(tf, x, v, `${name}.norm1`), v, `${name}.qkv`).split(3, 2)
    .map((part) => part.reshape([batch, tokens, heads, size]).transpose([0, 2, 1, 3]));
  const weights = tf.softmax(tf.matMul(parts[0], parts[1], false, true).mul(size ** -0.5));
  const mixed = tf.matMul(weights, parts[2]).transpose([0, 2, 1, 3]).reshape([batch, tokens, width]);
  const attended = x.add(linear(tf, mixed, v, `${name}.proj`));
  return attended.add(linear(tf, gelu(linear(tf, layerNorm(tf, attended, v, `${name}.norm2`), v, `${name}.fc1`)), v, `${name}.fc2`));
}

/**
 * x [B, N, D], index [M*B, K]: row r reads image r mod B. The gradient is written by hand, as a user of the wasm backend has
 * to (the library's own needs UnsortedSegmentSum, which is missing there).
 */
function pick(tf, x, index) {
  const [batch, tokens, width] = x.shape;
  const [rows, kept] = index.shape;
  const starts = tf.tensor2d(Int32Array.from({ length: rows }, (_, row) => (row % batch) * tokens), [rows, 1], "int32");
  const at = index.add(starts).reshape([-1]);
  const gather = tf.customGrad((table, save) => {
    save([at]);
    return { value: table.gather(at), gradFunc: (dy, [kept]) => tf.scatterND(kept.reshape([-1, 1]), dy, [batch * tokens, width]) };
  });
  return gather(x.reshape([batch * tokens, width])).reshape([rows, kept, width]);
}

function encode(tf, c, v, table, images, index) {
  const grid = c.image / c.patch;
  const patches = images.reshape([c.batch * grid, c.patch, grid, c.patch * 3]).transpose([0, 2, 1, 3]).reshape([c.batch, grid * grid, c.patch * c.patch * 3]);
  let x = linear(tf, patches, v, "embed").add(table);
  if (index !== undefined) x = pick(tf, x, index);
  for (let i = 0; i < c.depth; i++) x = block(tf, x, v, `block${i}`, c.heads);
  return layerNorm(tf, x, v, "norm");
}

function predict(tf, c, v, table, z, context, targets) {
  const rows = (index) => table.gather(index.reshape([-1])).reshape([...index.shape, c.predWidth]);
  const known = linear(tf, z, v, "embed").add(rows(context));
  const queries = rows(targets).add(v["mask"]);
  let x = tf.concat([known.tile([c.targets, 1, 1]), queries], 1);
  for (let i = 0; i < c.predDepth; i++) x = block(tf, x, v, `block${i}`, c.heads);
  const asked = x.slice([0, c.context, 0], [-1, c.target, -1]);
  return linear(tf, layerNorm(tf, asked, v, "norm"), v, "project");
}

/** With q = min(|d|, beta): q^2 / (2 beta) + |d| - q, since the tape has no gradient for a comparison. */
function smoothL1(tf, x, y, beta) {
  const d = x.sub(y).abs();
  const q = d.minimum(beta);
  return q.square().mul(0.5 / beta).add(d).sub(q).mean();
}
