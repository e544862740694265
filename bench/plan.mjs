// Facts of a plan, without a device: dispatches by kernel, memory against its lower bound. `node bench/plan.mjs [file [program]]`, after `npm run build`.
import { readFileSync } from "node:fs";
import { compile } from "../dist/compiler/index.js";

const [file = "bench/vit-b.jepa", program, ...sets] = process.argv.slice(2);
const read = (path) => { try { return readFileSync(path, "utf8"); } catch { return undefined; } };
const set = Object.fromEntries(sets.map((s) => { const [k, v] = s.split("="); return [k, Number(v)]; }));
const compiled = compile({ file, text: read(file), read }, { target: "wgsl", device: { bindingBytes: 2 ** 31 - 4, bufferBytes: 2 ** 32 - 4 }, ...(program === undefined ? {} : { program }), set });
if (!compiled.ok) throw new Error(JSON.stringify(compiled.diagnostics, undefined, 1));
const { plan } = compiled;
const counts = new Map();
const dispatches = [...plan.step.dispatches, ...plan.update.dispatches];
for (const d of dispatches) counts.set(plan.kernels[d.kernel].name, (counts.get(plan.kernels[d.kernel].name) ?? 0) + 1);
for (const [name, n] of [...counts].sort((a, b) => b[1] - a[1])) console.log(String(n).padStart(5), name);
console.log(String(dispatches.length).padStart(5), `dispatches a step, ${plan.kernels.length} kernels, in`, plan.buffers.length, "buffers");
const bytes = (kinds) => plan.buffers.filter((b) => kinds.includes(b.kind)).reduce((n, b) => n + b.bytes, 0);
const kinds = [...new Set(plan.buffers.map((b) => b.kind))];
for (const k of kinds) console.log(k.padEnd(12), (bytes([k]) / 1e6).toFixed(1), "MB");
const { total, lowerBound } = plan.memory;
const least = bytes(["parameter", "slot"]) + lowerBound;
console.log(`peak ${(total / 1e9).toFixed(3)} GB; weights, optimizer state and live activations' lower bound ${(least / 1e9).toFixed(3)} GB; ratio ${(total / least).toFixed(3)} (work alone ${(plan.memory.work / lowerBound).toFixed(3)})`);
