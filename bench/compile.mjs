/**
 * Times the compiler in one process, warm: the reference program, and a vision transformer of 48 blocks against 12.
 * Prints one JSON line: medians in ms, and the emitted line counts.
 */
import { readFileSync } from "node:fs";
import { check, compile } from "../dist/compiler/index.js";

const file = new URL("../specs/ijepa.jepa", import.meta.url).pathname;
const text = readFileSync(file, "utf8");
const read = () => undefined;
const deep = (depth) => text.replace(/param depth\s+= 32/, `param depth      = ${depth}`);
if (deep(48) === deep(12)) throw new Error("the depth of the reference program was not found");

/** Rounds of each before the first that counts: the engine optimizes what it has seen often enough, and 8 are not. */
const WARM = 20;

/** Medians of several works, in turns: what is measured last must not be the warmest, nor meet another hour of the machine. */
const medians = (works, rounds = 21) => {
  const times = works.map(() => []);
  for (let i = 0; i < WARM + rounds; i++) {
    works.forEach((work, w) => {
      const used = process.cpuUsage();
      const start = performance.now();
      work();
      const spent = process.cpuUsage(used);
      if (i >= WARM) times[w].push([performance.now() - start, (spent.user + spent.system) / 1000]);
    });
  }
  const of = (own, i) => own.map((t) => t[i]).sort((a, b) => a - b)[rounds >> 1];
  return times.map((own) => ({ wall_ms: of(own, 0), cpu_ms: of(own, 1) }));
};
const lines = (depth) => compile({ file, text: deep(depth), read }).files.find((f) => f.path === "model.mjs").text.split("\n").length;

const [reference, twelve, fortyEight, checking] = medians([
  () => compile({ file, text, read }), () => compile({ file, text: deep(12), read }), () => compile({ file, text: deep(48), read }), () => check({ file, text, read }),
]);
console.log(JSON.stringify({ compile_reference: reference, check_reference: checking, blocks_12: twelve, blocks_48: fortyEight, ratio_48_to_12: fortyEight.wall_ms / twelve.wall_ms, lines_12: lines(12), lines_48: lines(48) }));
