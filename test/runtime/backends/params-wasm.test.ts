/** The parameter store on the wasm engine. The cases are those of every engine. */
import { paramTests } from "./param-cases.js";

await paramTests("wasm");
