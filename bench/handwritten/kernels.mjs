/**
 * Times the kernels of compiled modules against the same in plain tfjs, and one whole transformer block, forward and
 * backward, against the tape. Feeds docs/decisions/tfjs-kernels.md.
 *
 *   npm run build && node bench/handwritten/kernels.mjs [tfjs-node|wasm] [name pattern]
 *
 * Both forms take turns in one process; each figure is the least of several, in ms: processor time over all threads, then
 * wall time. Processor time is what to compare on a machine that others use too.
 */
const built = new URL(process.env.JEPAC_BUILT ?? "../../dist/", import.meta.url);
const { loadTf } = await import(new URL("runtime/backends/tfjs/engine.js", built).href);
const { makeKernels } = await import(new URL("runtime/backends/tfjs/kernels.js", built).href);
const { plainKernels } = await import(new URL("runtime/backends/tfjs/kernels-plain.js", built).href);

const { tf, raw, name, version } = await loadTf(process.argv[2] ?? "auto");
const pattern = new RegExp(process.argv[3] ?? ".");
const fast = makeKernels(tf, { raw });
const plain = plainKernels(tf);
const rounds = name === "wasm" ? 4 : 20;

/** Least processor and wall time of each function, in ms, taken in turns. */
function least(functions) {
  const best = functions.map(() => [Infinity, Infinity]);
  for (let round = 0; round < rounds + 2; round++) {
    functions.forEach((f, i) => {
      const cpu = process.cpuUsage();
      const begin = performance.now();
      f();
      const wall = performance.now() - begin;
      const used = process.cpuUsage(cpu);
      if (round > 1) best[i] = [Math.min(best[i][0], (used.user + used.system) / 1000), Math.min(best[i][1], wall)];
    });
  }
  return best;
}

const random = (shape) => tf.randomNormal(shape, 0, 1, "float32", 7);

function cases(batch, tokens, width, heads) {
  const kept = 18;
  const x = random([batch, tokens, width]);
  const hidden = random([batch, tokens, 4 * width]);
  const [w, b, g, o] = [random([width, 4 * width]), random([4 * width]), random([width]), random([width])];
  const qkv = random([batch, tokens, 3 * width]);
  const index = tf.tensor2d(Int32Array.from({ length: batch * kept }, (_, i) => (i * 7) % tokens), [batch, kept], "int32");
  const picked = random([batch, kept, width]);
  const p = tf.softmax(random([batch, heads, tokens, tokens]));
  const scale = (width / heads) ** -0.5;
  return {
    linear: (k) => k.linear(x, w, b),
    linearGradInput: (k) => k.linearGradInput(hidden, w),
    linearGradWeight: (k) => k.linearGradWeight(x, hidden),
    sumLeading: (k) => k.sumLeading(hidden),
    gelu: (k) => k.gelu(hidden),
    geluPair: (k) => k.geluPair(hidden),
    softmax: (k) => k.softmax(p),
    softmaxGrad: (k) => k.softmaxGrad(p, p),
    layerNorm: (k) => k.layerNorm(x, g, o, 1e-6),
    "layerNorm and gradient": (k) => {
      const saved = k.layerNorm(x, g, o, 1e-6);
      return [saved, k.layerNormGrad(saved[1], saved[2], g, x)];
    },
    attention: (k) => k.attention(qkv, heads, scale),
    "attention and gradient": (k) => {
      const [out, saved] = k.attention(qkv, heads, scale);
      return [out, saved, k.attentionGrad(saved, x, scale)];
    },
    gatherRows: (k) => k.gatherRows(x, index, 1),
    scatterRows: (k) => k.scatterRows(picked, index, batch, tokens),
    tileBatch: (k) => k.tileBatch(picked, 4),
    sumTiles: (k) => k.sumTiles(x, 4),
    smoothL1Pair: (k) => k.smoothL1Pair(x, x, 1),
  };
}

function blockWeights(width) {
  return {
    scale1: tf.ones([width]), offset1: tf.zeros([width]), qkv: random([width, 3 * width]).mul(0.02), qkvB: tf.zeros([3 * width]),
    proj: random([width, width]).mul(0.02), projB: tf.zeros([width]), scale2: tf.ones([width]), offset2: tf.zeros([width]),
    fc1: random([width, 4 * width]).mul(0.02), fc1B: tf.zeros([4 * width]), fc2: random([4 * width, width]).mul(0.02), fc2B: tf.zeros([width]),
  };
}

/** A pre-norm block with its backward pass written out: what compiled code does. */
function blockByKernels(k, w, x, dy, heads) {
  const scale = (x.shape[2] / heads) ** -0.5;
  const [n1, y1, r1] = k.layerNorm(x, w.scale1, w.offset1, 1e-6);
  const qkv = k.linear(n1, w.qkv, w.qkvB);
  const [mixed, saved] = k.attention(qkv, heads, scale);
  const projected = k.linear(mixed, w.proj, w.projB);
  const middle = k.add(x, projected);
  k.free(projected, qkv);
  const [n2, y2, r2] = k.layerNorm(middle, w.scale2, w.offset2, 1e-6);
  const before = k.linear(n2, w.fc1, w.fc1B);
  const [hidden, slope] = k.geluPair(before);
  k.free(before);
  const last = k.linear(hidden, w.fc2, w.fc2B);
  const out = k.add(middle, last);
  k.free(last, middle);

  const grads = [k.linearGradWeight(hidden, dy), k.sumLeading(dy)];
  const dHidden = k.linearGradInput(dy, w.fc2);
  const dBefore = k.mul(dHidden, slope);
  k.free(dHidden, slope, hidden);
  grads.push(k.linearGradWeight(n2, dBefore), k.sumLeading(dBefore));
  const dN2 = k.linearGradInput(dBefore, w.fc1);
  const [dMlp, ...affine2] = k.layerNormGrad(y2, r2, w.scale2, dN2);
  const dMiddle = k.add(dy, dMlp);
  k.free(dBefore, dN2, dMlp, n2, y2, r2);
  grads.push(...affine2, k.linearGradWeight(mixed, dMiddle), k.sumLeading(dMiddle));
  const dMixed = k.linearGradInput(dMiddle, w.proj);
  const dQkv = k.attentionGrad(saved, dMixed, scale);
  k.free(dMixed, mixed, saved);
  grads.push(k.linearGradWeight(n1, dQkv), k.sumLeading(dQkv));
  const dN1 = k.linearGradInput(dQkv, w.qkv);
  const [dAttention, ...affine1] = k.layerNormGrad(y1, r1, w.scale1, dN1);
  const dx = k.add(dMiddle, dAttention);
  k.free(dN1, dQkv, dAttention, dMiddle, n1, y1, r1);
  return [out, dx, ...grads, ...affine1];
}

/** The same through the tape. */
function blockByTape(w, x, dy, heads) {
  const [batch, tokens, width] = x.shape;
  const norm = (v, scale, offset) => {
    const c = v.sub(v.mean(-1, true));
    return c.mul(c.square().mean(-1, true).add(1e-6).rsqrt()).mul(scale).add(offset);
  };
  const linear = (v, m, b) => v.reshape([-1, m.shape[0]]).matMul(m).add(b).reshape([batch, tokens, m.shape[1]]);
  const names = Object.keys(w);
  return tf.grads((input, ...values) => {
    const v = Object.fromEntries(names.map((key, i) => [key, values[i]]));
    const [q, k, u] = linear(norm(input, v.scale1, v.offset1), v.qkv, v.qkvB).split(3, 2)
      .map((part) => part.reshape([batch, tokens, heads, width / heads]).transpose([0, 2, 1, 3]));
    const weights = tf.softmax(tf.matMul(q, k, false, true).mul((width / heads) ** -0.5));
    const mixed = tf.matMul(weights, u).transpose([0, 2, 1, 3]).reshape([batch, tokens, width]);
    const middle = input.add(linear(mixed, v.proj, v.projB));
    const h = linear(norm(middle, v.scale2, v.offset2), v.fc1, v.fc1B);
    return middle.add(linear(h.mul(h.mul(Math.SQRT1_2).erf().add(1)).mul(0.5), v.fc2, v.fc2B));
  })([x, ...Object.values(w)], dy);
}

const show = ([cpu, wall]) => `${cpu.toFixed(2)} | ${wall.toFixed(2)}`;
console.log(`${name} ${version}\n| shape | what | plain: cpu | wall | kernel: cpu | wall |\n|---|---|---|---|---|---|`);
for (const [label, ...shape] of [["64 x 64 x 192, 3 heads", 64, 64, 192, 3], ["128 x 64 x 128, 4 heads", 128, 64, 128, 4], ["512 x 28 x 64, 4 heads", 512, 28, 64, 4]]) {
  const table = tf.tidy(() => {
    for (const [what, run] of Object.entries(cases(...shape))) {
      if (!pattern.test(what)) continue;
      const [slow, quick] = least([plain, fast].map((k) => () => k.free(...[run(k)].flat(3))));
      console.log(`| ${label} | ${what} | ${show(slow)} | ${show(quick)} |`);
    }
    if (!pattern.test("block")) return [];
    const [batch, tokens, width, heads] = shape;
    const [w, x, dy] = [blockWeights(width), random([batch, tokens, width]), random([batch, tokens, width])];
    const [slow, quick] = least([() => tf.dispose(blockByTape(w, x, dy, heads)), () => fast.free(blockByKernels(fast, w, x, dy, heads))]);
    console.log(`| ${label} | block with gradients (plain: the tape) | ${show(slow)} | ${show(quick)} |`);
    return [];
  });
  tf.dispose(table);
}
