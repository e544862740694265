/** The kernels as the cpu engine runs them: plain tfjs calls. The cases are those of every engine. */
import { kernelTests } from "./kernel-cases.js";

await kernelTests("cpu");
