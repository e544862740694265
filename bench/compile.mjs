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

const median = (f, rounds = 15) => {
  for (let i = 0; i < 8; i++) f();
  const times = Array.from({ length: rounds }, () => {
    const used = process.cpuUsage();
    const start = performance.now();
    f();
    const spent = process.cpuUsage(used);
    return [performance.now() - start, (spent.user + spent.system) / 1000];
  });
  const of = (i) => times.map((t) => t[i]).sort((a, b) => a - b)[rounds >> 1];
  return { wall_ms: of(0), cpu_ms: of(1) };
};
const lines = (depth) => compile({ file, text: deep(depth), read }).files.find((f) => f.path === "model.mjs").text.split("\n").length;

const reference = median(() => compile({ file, text, read }));
const checking = median(() => check({ file, text, read }), 31);
const twelve = median(() => compile({ file, text: deep(12), read }));
const fortyEight = median(() => compile({ file, text: deep(48), read }));
console.log(JSON.stringify({ compile_reference: reference, check_reference: checking, blocks_12: twelve, blocks_48: fortyEight, ratio_48_to_12: fortyEight.wall_ms / twelve.wall_ms, lines_12: lines(12), lines_48: lines(48) }));
