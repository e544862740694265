/** What callers of the library may hand over: sources and options that are none are refused by name, with what is one. */
import { expect, test } from "vitest";
import type { CompileOptions, Source } from "../../compiler/index.js";
import * as library from "../../compiler/index.js";
import { check, compile, format, graph, QueryError } from "../../compiler/index.js";
import { small } from "./cli/support.js";

const source = { file: "small.jepa", text: small };

/** What a call without types throws. */
function refusal(call: (...given: unknown[]) => unknown, ...given: unknown[]): string {
  try {
    call(...given);
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
  return "accepted";
}
const untyped = (f: (source: Source, options?: CompileOptions) => unknown) => (...given: unknown[]): unknown => Reflect.apply(f, undefined, given);

test("a source that is none is refused by all that take one", () => {
  for (const call of [check, graph, compile].map(untyped)) {
    expect(refusal(call)).toBe("the source is undefined, not { file, text }: the name that messages show and the program's text.");
    expect(refusal(call, small.slice(0, 10))).toMatch(/^the source is "/);
    expect(refusal(call, { text: small })).toMatch(/^the source's `file` is undefined, not a string/);
    expect(refusal(call, { file: "a.jepa", text: 5 })).toMatch(/^the source's `text` is 5/);
    expect(refusal(call, { ...source, read: "disk" })).toMatch(/^the source's `read` is "disk", not a function/);
    const uses = { file: "a.jepa", text: `use "./b.jepa"\n${small}` };
    expect(refusal(call, { ...uses, read: () => Promise.resolve("") })).toBe("the source's `read` gave an object for b.jepa, not a string, undefined or { why, help }.");
    expect(refusal(call, { ...uses, read: () => Buffer.from("") })).toMatch(/^the source's `read` gave an object/);
    for (const given of [undefined, { why: "it is a picture", help: "name a program" }]) expect(refusal(call, { ...uses, read: () => given })).toBe("accepted");
    expect(refusal(call, source)).toBe("accepted");
  }
});

test("options that are none are refused with what they may be, before the program is looked at", () => {
  const call = untyped(compile);
  const broken = { file: "bad.jepa", text: "model {" };
  expect(refusal(call, broken, null)).toBe("the options are null, not an object.");
  expect(refusal(call, broken, ["wgsl"])).toBe("the options are a list, not an object.");
  expect(refusal(call, broken, { tarrget: "wgsl" })).toBe("there is no option `tarrget`; did you mean `target`?");
  expect(refusal(untyped(check), broken, { files: {} })).toBe("there is no option `files`; there are program, set, batch, target, device, precision, now.");
  expect(refusal(call, broken, { target: "gibberish" })).toBe('`target` is "gibberish"; it is one of "tfjs", "wgsl".');
  expect(refusal(call, broken, { target: "wgsl", precision: "f64" })).toBe('`precision` is "f64"; it is one of "f32", "f16".');
  expect(refusal(call, broken, { precision: "f16" })).toBe('`precision` "f16" is for the wgsl target. Give `target: "wgsl"` too.');
  expect(refusal(call, broken, { set: ["width=3"] })).toBe("`set` is a list, not an object such as { width: 64 }.");
  for (const batch of [0, -1, 1.5, Number.NaN, Infinity, "32", null]) expect(refusal(call, broken, { batch }), String(batch)).toMatch(/^`batch` is .*, not a whole number of images from 1 on\.$/);
  expect(refusal(call, broken, { program: 5 })).toBe("`program` is 5, not the name of a model or variant.");
  expect(refusal(call, broken, { now: 3 })).toMatch(/^`now` is 3, not a clock/);
});

test("options that are undefined are options that are not given", () => {
  const undefinedOptions = { program: undefined, set: undefined, batch: undefined, target: undefined, device: undefined, precision: undefined, now: undefined };
  expect(refusal(untyped(compile), source, undefinedOptions)).toBe("accepted");
});

test("a text to format that is none, or a file without a name, is refused", () => {
  const call = (...given: unknown[]): unknown => Reflect.apply(format, undefined, given);
  for (const [text, words] of [[undefined, "undefined"], [5, "5"], [{}, "an object"], [[], "a list"], [Buffer.from(small), "an object"]] as const) {
    expect(refusal(call, text, "a.jepa")).toBe(`\`text\` is ${words}, not a string. Give format(text, file): the program's text and the name that messages show.`);
  }
  expect(refusal(call, small)).toMatch(/^`file` is undefined, not a string/);
  expect(refusal(call, small, "a.jepa")).toBe("accepted");
});

test("what is no graph is refused by every function over graphs, with the words where to get one", () => {
  const { dependsOn, edges, flow, namedNodes, neverTrained, parameterCount, parametersTrainedBy, printGraph, toDot, toJson, toMermaid, toSvg, trainedBy } = library;
  const functions: readonly ((graph: library.ModelGraph, name: string) => unknown)[] = [dependsOn, (g) => edges(g), flow, namedNodes, neverTrained, parameterCount, parametersTrainedBy, (g) => printGraph(g), (g) => toDot(g), (g) => toJson(g), (g) => toMermaid(g), (g) => toSvg(g), trainedBy];
  const result = check(source);
  for (const f of functions) {
    const call = (...given: unknown[]): unknown => Reflect.apply(f, undefined, given);
    for (const [given, words] of [[undefined, "undefined"], [null, "null"], [5, "5"], ["small", '"small"'], [[], "a list"], [{}, "an object"], [result, "an object"]] as const) {
      expect(refusal(call, given), f.name).toBe(`the graph is ${words}, not the graph of a program. Give \`graph\` of what check or compile returns; it is undefined where the program has mistakes, which \`diagnostics\` tell.`);
    }
  }
});

test("a loss, a value or an instance that is none is answered with those that there are", () => {
  const { dependsOn, parameterCount, parametersTrainedBy, trainedBy } = library;
  const own = graph(source);
  for (const given of [undefined, {}, { node: 1, weight: 2 }, 3]) {
    for (const f of [trainedBy, parametersTrainedBy]) expect(() => Reflect.apply(f, undefined, [own, given])).toThrow(new QueryError(`There is no loss \`${typeof given === "object" ? "an object" : String(given)}\`. There is \`smooth_l1\`.`));
  }
  expect(() => Reflect.apply(parameterCount, undefined, [own, {}])).toThrow(/^There is no instance `an object`\. There are `student`, /);
  expect(() => Reflect.apply(dependsOn, undefined, [own, undefined])).toThrow(/^There is no value `undefined`\. There are `image`, /);
  const [loss] = own?.losses ?? [];
  if (own === undefined || loss === undefined) throw new Error("no graph");
  expect(trainedBy(own, loss)).toEqual(trainedBy(own, "smooth_l1"));
  for (const instance of own.instances) expect(parameterCount(own, instance)).toEqual(parameterCount(own, instance.name));
});

test("diagnostics are rendered with the texts that check gives, or with a function", () => {
  const { diagnostics, texts } = check({ file: "bad.jepa", text: "model {" });
  const shown = library.renderDiagnostics(diagnostics, texts);
  expect(shown).toMatch(/^error\[JEP1004\]: [^\n]*\n --> bad\.jepa:1:8\n/m);
  expect(library.renderDiagnostics(diagnostics, (file) => texts.get(file))).toBe(shown);
  for (const given of [undefined, {}, "model {"]) expect(refusal((...all) => Reflect.apply(library.renderDiagnostics, undefined, all), diagnostics, given)).toMatch(/^the texts are .*Give `texts` of what check or compile returns\.$/);
});

test("the proof that `jepac check --why` prints is had from the library", () => {
  const { analyses, texts } = check(source);
  if (analyses === undefined) throw new Error("no analyses");
  expect(analyses.program.verdict).toBe("sound");
  expect(library.explainProof(analyses, texts)).toMatch(/^ {2}loss smooth_l1: sound \(/m);
});
