/** The kernels as the tfjs-node engine runs them: TensorFlow ops by name. The cases are those of every engine. */
import { kernelTests } from "./kernel-cases.js";

await kernelTests("tfjs-node");
