/**
 * Patch features as colors: the first three principal components of `[pictures · places, width]`, as red, green and blue.
 *
 * The mean over the pictures is taken off at every place first: positions are the loudest part of a young encoder's
 * features and the same in every picture, so without that one sees little else.
 *
 * Components come from orthogonal iteration on the covariance, begun at those of the time before: so they, and with them
 * the colors, turn slowly while the encoder trains instead of jumping. Each is scaled by its own spread.
 */
export function patchColors(features, pictures, places, width, last, rounds = 12) {
  const count = pictures * places;
  const row = places * width;
  const mean = new Float64Array(row);
  for (let i = 0; i < features.length; i++) mean[i % row] += features[i] / pictures;
  const centered = Float64Array.from(features, (x, i) => x - mean[i % row]);
  const covariance = new Float64Array(width * width);
  for (let i = 0; i < count; i++) {
    for (let a = 0; a < width; a++) {
      const x = centered[i * width + a];
      for (let b = 0; b <= a; b++) covariance[a * width + b] += x * centered[i * width + b];
    }
  }
  for (let a = 0; a < width; a++) for (let b = 0; b < a; b++) covariance[b * width + a] = covariance[a * width + b];
  const fits = last !== undefined && last.every((v) => v.length === width);
  let components = fits ? last : [0, 1, 2].map((k) => Float64Array.from({ length: width }, (_, j) => Math.sin((j + 1) * (k + 1) * 1.7)));
  for (let round = 0; round < rounds; round++) components = orthonormal(components.map((v) => times(covariance, v)));
  const colors = new Uint8ClampedArray(count * 3);
  components.forEach((v, k) => {
    const along = Float64Array.from({ length: count }, (_, i) => v.reduce((sum, x, j) => sum + x * centered[i * width + j], 0));
    const spread = Math.sqrt(along.reduce((sum, x) => sum + x * x, 0) / count) || 1;
    along.forEach((x, i) => { colors[i * 3 + k] = 128 + (x / spread) * 56; });
  });
  return { colors, components };
}

function times(matrix, v) {
  const n = v.length;
  return Float64Array.from({ length: n }, (_, i) => v.reduce((sum, x, j) => sum + matrix[i * n + j] * x, 0));
}

/** Gram and Schmidt, in order; a vector of nothing becomes an axis. */
function orthonormal(vectors) {
  const out = [];
  for (const [k, given] of vectors.entries()) {
    let v = given;
    for (const u of out) {
      const along = v.reduce((sum, x, j) => sum + x * u[j], 0);
      v = v.map((x, j) => x - along * u[j]);
    }
    const size = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    out.push(size > 1e-30 ? v.map((x) => x / size) : v.map((_, j) => (j === k ? 1 : 0)));
  }
  return out;
}
