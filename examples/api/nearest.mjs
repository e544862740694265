// The pictures of a folder that lie nearest to each of its first ones, by the features of a trained run (cosine of mean-pooled tokens).
// node examples/api/nearest.mjs <run> <pictures> [how many]
import { folderSource, openRunEncoder } from "jepac/runtime/node";

const [run, pictures, most = "3"] = process.argv.slice(2);
if (run === undefined || pictures === undefined) {
  console.error("usage: node examples/api/nearest.mjs <run> <pictures> [how many]");
  process.exit(2);
}

const source = await folderSource(pictures);
const trained = await openRunEncoder(run);
const { features, count, width, indices } = await trained.features(source);
trained.dispose();

const row = (i) => features.subarray(i * width, (i + 1) * width);
const dot = (a, b) => a.reduce((sum, x, j) => sum + x * b[j], 0);
const lengths = Array.from({ length: count }, (_, i) => Math.sqrt(dot(row(i), row(i))));
const name = (i) => source.describe(indices[i]);

for (let query = 0; query < Math.min(Number(most), count); query++) {
  const near = lengths.map((length, i) => ({ i, cosine: dot(row(query), row(i)) / (length * lengths[query]) }))
    .filter(({ i }) => i !== query).sort((a, b) => b.cosine - a.cosine).slice(0, Number(most));
  console.log(`${name(query)}: ${near.map(({ i, cosine }) => `${name(i)} ${cosine.toFixed(4)}`).join(", ")}`);
}
