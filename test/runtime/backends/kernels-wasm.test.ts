/** The kernels as the wasm engine runs them: SIMD kernels on the wasm heap. The cases are those of every engine. */
import { kernelTests } from "./kernel-cases.js";

await kernelTests("wasm");
