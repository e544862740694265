/**
 * Weights that a program begins with: of modules that it calls pretrained, read from the files that it names.
 *
 * Owns where such a file is looked for and what may be in it: a run of jepac (its folder or one of its checkpoints), of which
 * one module is taken by its name, or weights in the layout of transformers, for an encoder that is the library's `vit`. All
 * is read and compared before a run begins: names, shapes, element types, numbers that are none, and, where the run lies
 * there whole, what its encoder computes. Reading safetensors with distrust is runtime/import; the layout of transformers
 * is fitted by import/vit.ts. What a run goes on with is in its own checkpoint.
 */
import { existsSync, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { Manifest, Parameter, PretrainedSpec } from "../abi.js";
import { counted } from "../base/counted.js";
import { HostError } from "../base/errors.js";
import type { StoredTensor } from "../base/safetensors.js";
import { vitLayout } from "../export/vit-layout.js";
import { fitWeights } from "../import/vit.js";
import type { Weights } from "../import/weights.js";
import { readWeights } from "../import/weights.js";
import { CHECKPOINT_FILES } from "./checkpoint-store.js";
import { isCheckpoint } from "./checkpoint.js";
import { readManifest } from "./compiled.js";

/** Where to look, and whom to tell. */
export interface PretrainedOptions {
  /** By module, a path in the place of the program's. */
  readonly given?: Readonly<Record<string, string>> | undefined;
  /** The folder of the compiled program. */
  readonly folder?: string | undefined;
  /** One line for each module, and what a person should know. */
  readonly note?: (text: string) => void;
}

/**
 * The values that a program's pretrained modules begin with, by parameter; undefined where it has none. A path of the program is looked
 * for in the working directory, beside the program and in the compiled folder. Throws `HostError` "usage" for a path that is given for a module that is
 * not pretrained, "not-found" for a file that is not there, "bad-file" and "truncated-file" for one that is damaged, and "mismatch" with the names of
 * tensors for weights that do not fit.
 */
export async function readPretrained(manifest: Manifest, options: PretrainedOptions = {}): Promise<Map<string, Float32Array> | undefined> {
  const specs = manifest.pretrained ?? [];
  const known = specs.map((s) => s.module);
  const strange = Object.keys(options.given ?? {}).find((name) => !known.includes(name));
  if (strange !== undefined) throw new HostError("usage", `--pretrained names ${strange}, which is no pretrained module of ${manifest.program}`, known.length === 0 ? "the program has none: leave it away" : `its pretrained modules are ${known.join(", ")}`);
  if (specs.length === 0) return undefined;
  const values = new Map<string, Float32Array>();
  for (const spec of specs) for (const [name, data] of await readModule(manifest, spec, options)) values.set(name, data);
  return values;
}

async function readModule(manifest: Manifest, spec: PretrainedSpec, options: PretrainedOptions): Promise<ReadonlyMap<string, Float32Array>> {
  const shown = placeOf(manifest, spec, options);
  const checkpoint = join(shown, CHECKPOINT_FILES.latest);
  const file = statSync(shown).isDirectory() && existsSync(checkpoint) ? checkpoint : shown;
  const weights = await readWeights(file);
  const parameters = manifest.parameters.filter((p) => p.group === spec.module);
  const name = spec.name ?? spec.module;
  const job: Job = { manifest, spec, weights, file, name, parameters };
  const own = isCheckpoint(weights.metadata) || [...weights.tensors.keys()].some((tensor) => tensor.startsWith(`${name}.`));
  const values = own ? fromRun(job) : fromVit(job);
  if (own) compareRuns(job, options.note);
  options.note?.(`${spec.module} begins with ${own ? `${name} of ` : ""}${file} (${counted(values.size, "tensor")})`);
  return values;
}

interface Job {
  readonly manifest: Manifest;
  readonly spec: PretrainedSpec;
  readonly weights: Weights;
  /** The file or folder, as it is shown. */
  readonly file: string;
  /** What the module is called there. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
}

function placeOf({ program, source }: Manifest, { module, path }: PretrainedSpec, { given, folder }: PretrainedOptions): string {
  const said = given?.[module];
  const places = said !== undefined ? [said] : isAbsolute(path) ? [path] : [path, join(dirname(source.file), path), ...(folder === undefined ? [] : [join(folder, path)])];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new HostError("not-found", `there is no ${said ?? path} with the weights of ${module}${said === undefined ? `, which ${program} names` : ""}`, said === undefined ? `say where they are with --pretrained ${module}=<file or folder>` : "check the path given with --pretrained");
}

/** A module of a run, by its own names: every parameter, and no more than it has. */
function fromRun({ manifest, spec, weights, file, name, parameters }: Job): Map<string, Float32Array> {
  const there = new Map([...weights.tensors].flatMap(([tensor, stored]): [string, StoredTensor][] => (tensor.startsWith(`${name}.`) ? [[tensor.slice(name.length + 1), stored]] : [])));
  if (there.size === 0) {
    const modules = [...new Set([...weights.tensors.keys()].flatMap((tensor) => (/^(?:optimizer\.|#)/.test(tensor) ? [] : [tensor.split(".")[0] ?? ""])))];
    throw new HostError("mismatch", `${file} has no module ${name}; it has ${modules.join(", ") || "none"}`, `say which one ${spec.module} is, in the program: pretrained(…, from: "…", name: "${modules[0] ?? "teacher"}")`);
  }
  const problems: string[] = [];
  const values = new Map<string, Float32Array>();
  const read = new Set<string>();
  for (const { name: parameter, shape } of parameters) {
    const key = parameter.slice(spec.module.length + 1);
    const [tensor, stored] = there.has(key) ? [key, there.get(key)] : sameTable(there, key, shape);
    if (tensor !== undefined) read.add(tensor);
    const data = stored !== undefined && stored.shape.join() === shape.join() ? stored.read() : undefined;
    if (stored === undefined) problems.push(`it has no ${name}.${key} (${shape.join("×")})`);
    else if (data === undefined) problems.push(`${name}.${key} is ${stored.shape.join("×") || "a scalar"} there and ${shape.join("×")} here`);
    else if (!(data instanceof Float32Array)) problems.push(`${name}.${key} has elements of ${stored.dtype}`);
    else if (!data.every(Number.isFinite)) problems.push(`${name}.${key} holds values that are not finite`);
    else values.set(parameter, data);
  }
  for (const tensor of there.keys()) if (!read.has(tensor) && !isTable(tensor)) problems.push(`it has ${name}.${tensor} besides`);
  if (problems.length > 0) throw misfit(manifest, spec, file, problems);
  return values;
}

/** Tables of positions have their grid in the name where a program has several: one of the same shape is the same table. */
function sameTable(there: ReadonlyMap<string, StoredTensor>, key: string, shape: readonly number[]): [string | undefined, StoredTensor | undefined] {
  const found = isTable(key) ? [...there].find(([name, { shape: own }]) => isTable(name) && tableless(name) === tableless(key) && own.join() === shape.join()) : undefined;
  return found ?? [undefined, undefined];
}

/** Of pictures, of tubes by their frames too, and turns (`rotary`), which say their grid always. */
const TABLE = /(?:^|\.)(?:pos_embed(?:_\d+x\d+(?:x\d+(?:_3d)?)?)?|rotary_\d+(?:x\d+)*(?:_\d+(?:_[\d.]+)?)?)$/;

function isTable(name: string): boolean {
  return TABLE.test(name);
}

/** Tables that are one by another name. */
function tableless(name: string): string {
  return name.replace(/(pos_embed)_[\dx]+(_3d)?$/, "$1");
}

/** Weights in the layout of transformers. */
function fromVit({ manifest, spec, weights, file, name }: Job): Map<string, Float32Array> {
  if (spec.name !== undefined) throw new HostError("mismatch", `${file} has no module ${name}, and is no checkpoint of a run`, "leave `name` away for weights of one encoder, or name a run");
  if (spec.vit === undefined) throw new HostError("mismatch", `${file} is no checkpoint of a run, and ${spec.module} is not the library's \`vit\`, which other weights are read into`, "give the checkpoint of a run of jepac that has this module");
  const layout = vitLayout(manifest, spec.module);
  const { fates, values } = fitWeights(weights, { layout, ...spec.vit });
  if (values === undefined) throw misfit(manifest, spec, file, fates.flatMap((f) => (f.kind === "missing" || f.kind === "misfit" ? [`${f.name}: ${f.note}`] : [])));
  return new Map([...values].map(([parameter, data]) => [layout.nameOf(parameter), data]));
}

function misfit({ program }: Manifest, { module }: PretrainedSpec, file: string, problems: readonly string[]): HostError {
  const shown = problems.slice(0, 6);
  const more = problems.length - shown.length;
  return new HostError("mismatch", `${file} does not fit ${module} of ${program}: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`, `give ${module} the sizes that these weights have, or other weights: --pretrained ${module}=<file or folder>`);
}

/** A run that lies there whole says more than its tensors: what its encoder computes, and of what pictures. */
function compareRuns({ manifest, spec, file, name }: Job, note: PretrainedOptions["note"]): void {
  const compiled = join(dirname(file), "compiled");
  if (!existsSync(join(compiled, "manifest.json"))) return;
  const theirs = readManifest(compiled);
  const [mine, other] = [manifest.encoders.find((e) => e.name === spec.module)?.computes, theirs.encoders.find((e) => e.name === name)?.computes];
  if (mine !== undefined && other !== undefined && mine !== other) {
    throw new HostError("mismatch", `the tensors of ${file} fit ${spec.module}, and ${name} of ${theirs.program} computes something else of them: heads, a norm or a block are others`, `write ${spec.module} as ${theirs.source.file} writes ${name}`);
  }
  const shades = (m: Manifest): string => `mean ${m.train.mean.join(", ")} and deviation ${m.train.std.join(", ")}`;
  if (shades(theirs) !== shades(manifest)) note?.(`${spec.module} has learned from pictures of ${shades(theirs)}, and gets them here with ${shades(manifest)}: normalize(mean: […], std: […]) says so`);
}
