/**
 * Functions of other libraries that have no name here, and what is written in their place.
 *
 * Owns the sentences; `x`, `a` and `b` stand for what the function is given, and what is between backticks and has them is a
 * program's line (a test compiles each). Words with one name here are `other-words.ts`'s.
 */
const larger = "Of two values the larger is `b + relu(a - b)`, the smaller `a - relu(a - b)`.";
const overAxis = "The largest of an axis is not computed; `mean(x, over: tokens)` and `sum(x, over: tokens)` are, and `softmax(x, over: tokens)` weighs by size.";
const product = "A product with a learned matrix is a `linear(out)`, or `x @ w` in a module with `learn w[…]`; that of all pairs of rows in a batch `similarities(a, b)`, that of features `second_moments(a, b)`.";
const shapes = "Axes have names and are not reordered: `flatten(x)` makes one vector of an image's tokens, `split(x, 2)` and `join(a, b)` cut and put together features.";
const side = "Side by side are put features by `join(a, b)`, tokens by `concat`, batches by `union(a, b)`.";
const noise = "Values that a module learns or keeps are declared in it: `learn w[8] ~ zeros`; chance enters by `augment` and masks.";
const prefix = "Functions have no prefix here: `sum(x)`, `relu(x)`, `normalize(x)`.";
const cut = "Bounds of a value are `low + relu(x - low) - relu(x - high)`, with numbers for both.";
const none = (what: string): string => `There is no ${what} in the language.`;

const instead: Readonly<Record<string, string>> = {
  max: `${larger} ${overAxis}`, min: `${larger} ${overAxis}`, maximum: larger, minimum: larger, amax: overAxis, amin: overAxis, topk: overAxis, sort: overAxis,
  argmax: "The nearest of learned codes is `assign(x, codebook)` in a module with `learn codebook[…]`; `quantizer(codes)` has both.", argmin: "The nearest of learned codes is `assign(x, codebook)` in a module with `learn codebook[…]`; `quantizer(codes)` has both.",
  clamp: cut, clip: cut, einsum: product, matmul: product, bmm: product, mm: product, outer: product,
  dot: "The product of each pair of vectors is `sum(a * b, over: features)`.", inner: "The product of each pair of vectors is `sum(a * b, over: features)`.",
  cosine_similarity: "The cosine of each pair of vectors is `sum(l2_normalize(a) * l2_normalize(b), over: features)`; as a loss `negative_cosine(a, b)`.",
  norm: "The length of a vector is `sqrt(sum(square(x), over: features))`; `l2_normalize(x)` has length 1.",
  var: "The variance of an axis is `mean(square(x - mean(x, over: images)), over: images)`; as a loss `variance(x)`.", std: "The deviation of an axis is `sqrt(mean(square(x - mean(x, over: images)), over: images))`; as a loss `variance(x)`.",
  pow: "A power is `x ^ 2` or `x ^ 0.5`, another one of a positive value `exp(3 * log(x))`.", power: "A power is `x ^ 2` or `x ^ 0.5`, another one of a positive value `exp(3 * log(x))`.",
  logsumexp: "It is `log(sum(exp(x), over: features))`.", silu: "It is `x * sigmoid(x)`.", swish: "It is `x * sigmoid(x)`.", softplus: "It is `log(1 + exp(x))`.", leaky_relu: "It is `relu(x) - 0.01 * relu(0 - x)`.", rsqrt: "Of positive values it is `exp(-0.5 * log(x))`; one value over another is `a / sqrt(b)`.",
  reshape: shapes, view: shapes, permute: shapes, rearrange: shapes, squeeze: shapes, unsqueeze: shapes, swapaxes: shapes, chunk: shapes,
  stack: side, hstack: side, vstack: side, concatenate: side,
  repeat: "Values meet axis by axis and are repeated where one has size 1 or no axis: `x - mean(x, over: images)`.", expand: "Values meet axis by axis and are repeated where one has size 1 or no axis: `x - mean(x, over: images)`.", tile: "Values meet axis by axis and are repeated where one has size 1 or no axis: `x - mean(x, over: images)`.",
  gather: "Tokens are picked at a mask: `x at targets`.", index_select: "Tokens are picked at a mask: `x at targets`.", take: "Tokens are picked at a mask: `x at targets`.",
  zeros: noise, ones: noise, rand: noise, randn: noise, normal: noise, parameter: noise, arange: noise, tensor: noise,
  dropout: none("dropout"), conv2d: `${none("convolution")} An image becomes tokens by \`patches(image, patch)\` or \`patch_embedding(patch, width)\`.`, conv1d: none("convolution"), conv3d: `${none("convolution")} A clip becomes tokens by \`tubes(video, patch, frames)\` or \`tube_embedding(patch, frames, width)\`.`,
  maxpool: "Tokens are pooled by their mean: `pool(x)`.", max_pool: "Tokens are pooled by their mean: `pool(x)`.", max_pool2d: "Tokens are pooled by their mean: `pool(x)`.",
  sequential: "Modules are applied one after the other, `p(f(x))`; a `module` of one's own names its parts.", lambda: "A function of one's own is a `module`.",
  where: none("choice by a value"), print: "A graph prints its shapes with `jepac graph`, and editors show them beside each line.", len: none("length of a value"),
  shape: "Shapes are shown by editors and `jepac graph`; a module binds a size by its name: `x: Tokens[width]`.", size: "Shapes are shown by editors and `jepac graph`; a module binds a size by its name: `x: Tokens[width]`.",
  torch: prefix, nn: prefix, f: prefix, jax: prefix, jnp: prefix, np: prefix, numpy: prefix, tf: prefix, keras: prefix, math: prefix,
};

/** What is written here in the place of a function of another library; undefined for other words. */
export function insteadOf(word: string): string | undefined {
  return Object.hasOwn(instead, word.toLowerCase()) ? instead[word.toLowerCase()] : undefined;
}
