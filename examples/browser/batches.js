/**
 * Batches without files or threads: generated pictures (or given ones), masks by the runtime's sampler.
 *
 * A pure function of the step, so that a page and Node train on the same batches and can be compared number by number.
 * `draw(index)` gives one picture as `{ width, height, data }` with three bytes a pixel.
 */
export function createBatches(manifest, recipe, count, draw, sampleMasks) {
  const [view] = manifest.views;
  const { mean, std } = manifest.train;
  return {
    async next(step) {
      const { batch, seed } = recipe;
      const pixels = view.height * view.width * 3;
      const image = new Float32Array(batch * pixels);
      for (let i = 0; i < batch; i++) {
        const { data } = await draw((step * batch + i) % count);
        for (let j = 0; j < pixels; j++) image[i * pixels + j] = (data[j] / 255 - mean[j % 3]) / std[j % 3];
      }
      return { size: batch, images: { [view.name]: image }, masks: Object.fromEntries(sampleMasks(manifest.masks, { seed, step, batch })), draws: {} };
    },
  };
}
