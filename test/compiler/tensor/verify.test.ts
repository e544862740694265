/**
 * The verifier catches broken IR and names function and node; the builder refuses to make it.
 */
import { expect, test } from "vitest";
import { buildFunc } from "../../../compiler/tensor/build.js";
import type { Func } from "../../../compiler/tensor/ir.js";
import { IrError, emptyModule, f32, funcOf, withFunc } from "../../../compiler/tensor/ir.js";
import { parseModule } from "../../../compiler/tensor/parse.js";
import { printProblem, verify } from "../../../compiler/tensor/verify.js";
import { dims } from "../../../compiler/types/dim.js";
import { randomModule } from "./random.js";
import { allCases, caseFunc } from "./support.js";

function problems(...lines: string[]): string[] {
  return verify(parseModule(["func main(B) {", ...lines.map((l) => `  ${l}`), "}"].join("\n"))).map(printProblem);
}

const x = '%0 = data "x": f32[B, 2]';

test("well-formed IR has no problems", () => {
  expect(problems(x, "%1 = neg(%0): f32[B, 2]", 'return data "y" = %1')).toEqual([]);
  for (const { op, testCase } of allCases()) expect(verify(withFunc(emptyModule, caseFunc(op, testCase)))).toEqual([]);
});

test.each([
  ["a value used before it is made", [x, "%1 = neg(%2): f32[B, 2]", "%2 = neg(%0): f32[B, 2]"], "node 0: `neg` uses %2 before it is made"],
  ["a result that is older than its operand", [x, "%2 = neg(%0): f32[B, 2]", "%1 = neg(%2): f32[B, 2]"], "node 1: `neg` has an operand that is not older"],
  ["a wrong result type", [x, "%1 = neg(%0): f32[B, 3]"], "node 0: `neg` makes f32[B, 2], but %1 says f32[B, 3]"],
  ["a value made twice", [x, "%1 = neg(%0): f32[B, 2]", "%1 = exp(%0): f32[B, 2]"], "node 1: %1 is made twice"],
  ["an unknown dimension", ['%0 = data "x": f32[K]'], "mentions the unknown dimension `K`"],
  ["operands that do not broadcast", [x, '%1 = data "z": f32[3]', "%2 = add(%0, %1): f32[B, 2]"], "shapes do not broadcast"],
  ["a reshape that loses elements", [x, "%1 = reshape(%0) {shape: [B, 3]}: f32[B, 3]"], "numbers of elements differ: 2*B and 3*B"],
  ["a call of a later function", [x, "%1 = call(%0) {fn: later, dims: {}}: f32[B, 2]"], "there is no function `later` before this one"],
  ["an output that does not exist", [x, 'return data "y" = %7'], "output `y` is %7, which does not exist"],
  ["two inputs of one path", [x, '%1 = data "x": f32[B]'], "input path `x` occurs twice"],
  ["two outputs of one role and path", [x, 'return data "y" = %0', 'return data "y" = %0'], "output `data y` occurs twice"],
  ["a slice that leaves its operand", [x, "%1 = slice(%0) {axis: 1, start: 1, size: 2}: f32[B, 2]"], "leaves axis 1"],
  ["an axis that is not there", [x, "%1 = sum(%0) {axes: [2], keep: false}: f32[B, 2]"], "axis 2 is outside f32[B, 2]"],
  ["an i32 where f32 is needed", ['%0 = index "i": i32[B]', "%1 = neg(%0): i32[B]"], "an f32 operand is needed, got i32[B]"],
  ["a stacked operand of an op that is not elementwise", ['%0 = param "w": 3 of f32[2]', "%1 = softmax(%0): 3 of f32[2]"], "only elementwise ops take stacked values"],
  ["too few operands", [x, "%1 = add(%0): f32[B, 2]"], "2 operands are needed (a, b), got 1"],
])("the verifier reports %s", (_, lines, message) => {
  expect(problems(...lines).join("\n")).toContain(message);
  expect(problems(...lines).join("\n")).toContain("function `main`");
});

const body = 'func body(N) {\n  %0 = data "x": f32[N]\n  %1 = param "w": f32[N]\n  %2 = add(%0, %1): f32[N]\n  return data "x" = %2\n}\n';

test.each([
  ["an unbound dimension", "call(%0, %0) {fn: body, dims: {}}: f32[B]", "dimension `N` of `body` is not bound"],
  ["a dimension that the callee lacks", "call(%0, %0) {fn: body, dims: {N: B, M: 2}}: f32[B]", "`body` has no dimension `M`"],
  ["an argument of another type", "call(%0, %0) {fn: body, dims: {N: 4}}: f32[4]", "argument `x` of `body` is f32[4], got f32[B]"],
  ["a stack of another count", "repeat(%0, %1) {fn: body, dims: {N: B}, count: 3, reverse: false, carries: 1, consts: 0, stacked: 1}: f32[B]", "argument `w` of `body` is 3 of f32[B], got 2 of f32[B]"],
  ["operands that are not the declared number", "repeat(%0) {fn: body, dims: {N: B}, count: 2, reverse: false, carries: 1, consts: 0, stacked: 1}: f32[B]", "1+0+1 operands are declared, got 1"],
])("the verifier reports %s", (_, node, message) => {
  const main = `func main(B) {\n  %0 = data "x": f32[B]\n  %1 = param "w": 2 of f32[B]\n  %2 = ${node}\n  return data "y" = %2\n}\n`;
  expect(verify(parseModule(body + main)).map(printProblem).join("\n")).toContain(message);
});

test("nodes that share their attributes are typed by their own operands", () => {
  const b = buildFunc(emptyModule, { name: "main", dims: ["B"] });
  const [x, z] = [b.input("x", f32(dims([2, "B"])), "data"), b.input("z", f32(dims([3, "B"])), "data")];
  const attrs = { axis: 0 };
  const joined = [b.op("concat", [x, x], attrs), b.op("concat", [z, z], attrs), b.op("concat", [x, z], attrs)];
  expect(joined.map((y) => b.shapeOf(y))).toEqual([dims([4, "B"]), dims([6, "B"]), dims([5, "B"])]);
});

test("a value that nothing makes is reported", () => {
  const func: Func = { ...funcOf(randomModule(1), "leaf"), nodes: [] };
  expect(verify(withFunc(emptyModule, func)).map(printProblem).join("\n")).toContain("is made by no input and no node");
});

test("the builder refuses what the verifier would report", () => {
  const b = buildFunc(emptyModule, { name: "main", dims: ["B"] });
  const value = b.input("x", f32(dims(["B", 2])), "data");
  expect(() => b.op("reshape", [value], { shape: dims(["B", 3]) })).toThrow(IrError);
  expect(() => b.input("x", f32([]), "data")).toThrow("declared twice");
  expect(() => b.call("nobody", [value])).toThrow("no function `nobody`");
  expect(() => b.op("neg", [17])).toThrow("no value %17");
});

test("the builder leaves out ops that do nothing", () => {
  const b = buildFunc(emptyModule, { name: "main", dims: ["B"] });
  const value = b.input("x", f32(dims(["B", 2])), "data");
  expect(b.op("reshape", [value], { shape: dims(["B", 2]) })).toBe(value);
  expect(b.op("transpose", [value], { perm: [0, 1] })).toBe(value);
  expect(b.op("scale", [value], { by: 1 })).toBe(value);
  expect(b.finish().nodes).toEqual([]);
});
