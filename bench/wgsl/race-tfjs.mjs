/**
 * The race's step in tfjs, as its user would write it: gradients from the tape, `tf.train.adam`, linear layers as products
 * of two axes, everything tidied. `params` are values by the names of the compiled program.
 */
export function makeTfjsStep(tf, { config, params, shapes, roles, lr }) {
  const vars = new Map([...params].map(([name, values]) => [name, tf.variable(tf.tensor(values, shapes.get(name)), roles.get(name) === "trained")]));
  const learned = [...vars].filter(([name]) => roles.get(name) === "trained").map(([, v]) => v);
  const follows = [...roles].filter(([, role]) => role === "ema").map(([name]) => name);
  const optimizer = tf.train.adam(lr, 0.9, 0.999, 1e-8);
  const { batch, image, patch, width, depth, heads } = config;
  const grid = image / patch;
  const erf = (x) => tf.erf(x);
  const norm = (x, eps) => {
    const centered = x.sub(x.mean(-1, true));
    return centered.mul(centered.square().mean(-1, true).add(eps).rsqrt());
  };
  const layerNorm = (x, name) => norm(x, 1e-6).mul(vars.get(`${name}.weight`)).add(vars.get(`${name}.bias`));
  const linear = (x, name) => {
    const w = vars.get(`${name}.weight`);
    return x.reshape([-1, w.shape[0]]).matMul(w).add(vars.get(`${name}.bias`)).reshape([...x.shape.slice(0, -1), w.shape[1]]);
  };
  const gelu = (x) => x.mul(erf(x.mul(Math.SQRT1_2)).add(1)).mul(0.5);
  const block = (x, name) => {
    const tokens = x.shape[1];
    const [q, k, v] = linear(layerNorm(x, `${name}.norm1`), `${name}.attn.qkv`).split(3, 2).map((p) => p.reshape([batch, tokens, heads, width / heads]).transpose([0, 2, 1, 3]));
    const weights = tf.softmax(tf.matMul(q, k, false, true).mul((width / heads) ** -0.5));
    const mixed = tf.matMul(weights, v).transpose([0, 2, 1, 3]).reshape([batch, tokens, width]);
    const attended = x.add(linear(mixed, `${name}.attn.proj`));
    return attended.add(linear(gelu(linear(layerNorm(attended, `${name}.norm2`), `${name}.mlp.fc1`)), `${name}.mlp.fc2`));
  };
  const encode = (images, who) => {
    const patches = images.reshape([batch * grid, patch, grid, patch * 3]).transpose([0, 2, 1, 3]).reshape([batch, grid * grid, patch * patch * 3]);
    let x = linear(patches, `${who}.patch_embed.proj`).add(vars.get(`${who}.pos_embed`));
    for (let i = 0; i < depth; i++) x = block(x, `${who}.blocks.${i}`);
    return layerNorm(x, `${who}.norm`);
  };
  return {
    images: (values) => tf.tensor4d(values, [batch, image, image, 3]),
    async step(images, momentum) {
      const wanted = tf.tidy(() => norm(encode(images, "teacher"), 1e-5));
      const { value, grads } = tf.variableGrads(() => linear(encode(images, "student"), "predict").sub(wanted).square().mean(), learned);
      optimizer.applyGradients(grads);
      tf.dispose([grads, wanted]);
      tf.tidy(() => {
        for (const name of follows) vars.get(name).assign(vars.get(name).mul(momentum).add(vars.get(name.replace("teacher.", "student.")).mul(1 - momentum)));
      });
      const [loss] = await value.data();
      value.dispose();
      return loss;
    },
  };
}
