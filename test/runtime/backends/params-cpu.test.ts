/** The parameter store on the cpu engine. The cases are those of every engine. */
import { paramTests } from "./param-cases.js";

await paramTests("cpu");
