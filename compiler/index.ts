/**
 * The public API of the compiler: `import { compile, check, graph } from "jepac"`.
 *
 * Owns nothing but the list of what is public. Everything here is pure: same text, same answer, no files, no clock.
 * `docs/reference/api` is generated from this file, so what is exported is documented.
 *
 * @module
 */
export { check, compile, graph } from "./compile.js";
export type { CheckResult, Compiled, CompileOptions, CompileResult, CompiledFile, NotCompiled, Passed, ProgramOptions, Refused, Source } from "./compile.js";
export { large, portable, software } from "./targets/wgsl/plan.js";
export type { PlanLimits } from "./targets/wgsl/plan.js";
export { format } from "./syntax/format.js";
export type { Diagnostic, Edit, Fix, Related, Severity } from "./messages/report.js";
export type { Texts } from "./messages/json.js";
export { renderDiagnostics } from "./messages/render.js";
export { lineColumn, lineTable } from "./base/span.js";
export type { LineColumn, Span } from "./base/span.js";
export type { Attrs, Body, CallNode, Func, ImageInput, Instance, LossTerm, Mask, ModelGraph, ModelOp, Node, NodeId, NodeOf, ParamDecl, Schedule, View } from "./model/ir.js";
export type { Axis, Grid, Positions, Space, ValueType } from "./types/value-type.js";
export type { Dim, DimTerm } from "./types/dim.js";
export type { Static } from "./check/values.js";
export { explainProof } from "./proof.js";
export type { Analyses, LossVerdict, VerdictRecord } from "./analyses.js";
export type { Verdict } from "./collapse/analyze.js";
export type { Read, Unreadable } from "./load.js";
export type { StageRecord } from "./passes/pass.js";
export type { Manifest, PlanTile } from "../runtime/abi.js";
export { version } from "./version.js";
export { dependsOn, edges, namedNodes, neverTrained, parameterCount, parametersTrainedBy, QueryError, trainedBy } from "./model/queries.js";
export type { Dependencies, Edge, EdgeKind, ParameterCount } from "./model/queries.js";
export { flow } from "./model/flow.js";
export type { Flow, ResultFlow, Sight, ValueFlow } from "./model/flow.js";
export { toJson } from "./model/export-json.js";
export { toDot } from "./model/export-dot.js";
export { toMermaid } from "./model/export-mermaid.js";
export { toSvg } from "./model/export-svg.js";
export type { SvgOptions } from "./model/export-svg.js";
export { printGraph } from "./model/print.js";
export type { PrintOptions } from "./model/print.js";
