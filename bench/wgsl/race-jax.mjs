/**
 * The race's step in jax-js, whole under `jit`: `valueAndGrad` of the loss, Adam and the moving average in the same function.
 * jax-js counts references: a function owns its arguments, `.ref` keeps one for another use.
 */
export function makeJaxStep(jax, { config, params, shapes, roles, lr }) {
  const { numpy: np, nn, jit, valueAndGrad, lax } = jax;
  const { batch, image, patch, width, depth, heads } = config;
  const [grid, head] = [image / patch, width / heads];
  const array = (values, shape) => np.array(values).reshape(shape);
  const pick = (role, make) => Object.fromEntries([...params].filter(([name]) => roles.get(name) === role).map(([name, values]) => [name, make(name, values)]));
  const tokens = grid * grid;
  const norm = (x, eps) => {
    const centered = x.ref.sub(np.mean(x, -1, { keepdims: true }));
    const variance = np.mean(np.square(centered.ref), -1, { keepdims: true });
    return centered.div(np.sqrt(variance.add(eps)));
  };
  const layerNorm = (x, p, name) => norm(x, 1e-6).mul(p[`${name}.weight`].ref).add(p[`${name}.bias`].ref);
  const linear = (x, p, name) => np.matmul(x, p[`${name}.weight`].ref).add(p[`${name}.bias`].ref);
  const gelu = (x) => x.ref.mul(lax.erf(x.mul(Math.SQRT1_2)).add(1)).mul(0.5);
  const block = (x, p, name) => {
    const qkv = linear(layerNorm(x.ref, p, `${name}.norm1`), p, `${name}.attn.qkv`).reshape([batch, tokens, 3, heads, head]).transpose([2, 0, 3, 1, 4]);
    const part = (i) => qkv.ref.slice(i);
    const [q, k, v] = [part(0), part(1), part(2)];
    qkv.dispose();
    const weights = nn.softmax(np.matmul(q, k.transpose([0, 1, 3, 2])).mul(head ** -0.5), -1);
    const mixed = np.matmul(weights, v).transpose([0, 2, 1, 3]).reshape([batch, tokens, width]);
    const attended = x.add(linear(mixed, p, `${name}.attn.proj`));
    return attended.ref.add(linear(gelu(linear(layerNorm(attended, p, `${name}.norm2`), p, `${name}.mlp.fc1`)), p, `${name}.mlp.fc2`));
  };
  const encode = (images, p, place, who) => {
    const patches = images.reshape([batch, grid, patch, grid, patch * 3]).transpose([0, 1, 3, 2, 4]).reshape([batch, tokens, patch * patch * 3]);
    let x = linear(patches, p, `${who}.patch_embed.proj`).add(place);
    for (let i = 0; i < depth; i++) x = block(x, p, `${who}.blocks.${i}`);
    return layerNorm(x, p, `${who}.norm`);
  };
  const drop = (tree) => Object.values(tree).forEach((a) => a.dispose());
  const lossOf = (p, wanted, images, place) => {
    const loss = np.mean(np.square(linear(encode(images, p, place, "student"), p, "predict").sub(wanted)));
    drop(p);
    return loss;
  };
  const places = [...params].find(([name]) => name === "student.pos_embed")[1];
  const run = jit((p, t, m, v, images, place, bias1, bias2, momentum) => {
    const wanted = norm(encode(images.ref, t, place.ref, "teacher"), 1e-5);
    const own = Object.fromEntries(Object.entries(p).map(([name, a]) => [name, a.ref]));
    const [loss, grads] = valueAndGrad(lossOf)(own, wanted, images, place);
    const [np_, nm, nv, nt] = [{}, {}, {}, {}];
    for (const name of Object.keys(p)) {
      const g = grads[name];
      nm[name] = m[name].mul(0.9).add(g.ref.mul(0.1));
      nv[name] = v[name].mul(0.999).add(np.square(g).mul(0.001));
      const step = nm[name].ref.div(bias1.ref).div(np.sqrt(nv[name].ref.div(bias2.ref)).add(1e-8)).mul(lr);
      np_[name] = p[name].sub(step);
    }
    for (const name of Object.keys(t)) nt[name] = t[name].mul(momentum.ref).add(np_[name.replace("teacher.", "student.")].ref.mul(np.array(1).sub(momentum.ref)));
    [bias1, bias2, momentum].forEach((a) => a.dispose());
    return { p: np_, t: nt, m: nm, v: nv, loss };
  });
  const zeros = () => pick("trained", (name) => np.zeros(shapes.get(name)));
  let state = { p: pick("trained", (name, values) => array(values, shapes.get(name))), t: pick("ema", (name, values) => array(values, shapes.get(name))), m: zeros(), v: zeros() };
  const place = array(places, shapes.get("student.pos_embed"));
  let count = 0;
  return {
    images: (values) => array(values, [batch, image, image, 3]),
    async step(images, momentum) {
      count++;
      const { loss, ...next } = run(state.p, state.t, state.m, state.v, images.ref, place.ref, np.array(1 - 0.9 ** count), np.array(1 - 0.999 ** count), np.array(momentum));
      state = next;
      return (await loss.data())[0];
    },
  };
}
