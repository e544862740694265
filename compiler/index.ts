/**
 * The public API of the compiler: `import { compile, check, graph } from "jepac"`.
 *
 * Owns nothing but the list of what is public. Everything here is pure: same text, same answer, no files, no clock.
 * `docs/reference/api` is generated from this file, so what is exported is documented.
 */
export { check, compile, graph } from "./compile.js";
export type { CheckResult, CompileOptions, CompileResult, CompiledFile, ProgramOptions, Source } from "./compile.js";
export { large, portable, software } from "./targets/wgsl/plan.js";
export type { PlanLimits } from "./targets/wgsl/plan.js";
export { format } from "./syntax/format.js";
export type { Diagnostic, Edit, Fix, Related, Severity } from "./messages/report.js";
export type { LineColumn, Span } from "./base/span.js";
export type { Func, Instance, LossTerm, Mask, ModelGraph, ModelOp, Node, NodeId, ParamDecl, Schedule } from "./model/ir.js";
export type { Axis, Grid, Positions, Space, ValueType } from "./types/value-type.js";
export { version } from "./version.js";
export { dependsOn, edges, namedNodes, neverTrained, parameterCount, parametersTrainedBy, QueryError, trainedBy } from "./model/queries.js";
export { flow } from "./model/flow.js";
export { toJson } from "./model/export-json.js";
export { toDot } from "./model/export-dot.js";
export { toMermaid } from "./model/export-mermaid.js";
export { toSvg } from "./model/export-svg.js";
export { printGraph } from "./model/print.js";
