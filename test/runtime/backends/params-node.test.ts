/** The parameter store on the tfjs-node engine. The cases are those of every engine. */
import { paramTests } from "./param-cases.js";

await paramTests("tfjs-node");
