/**
 * Weights of pretrained modules: each comes out of a run that the truth test makes itself, by its one recipe.
 *
 * Owns which program trains what. An encoder of pictures is SimSiam's (C001 at the size that is wanted), one of films that of a world
 * model held by variance over films and time, a tokenizer of patches that of a codebook which follows what it is nearest to, a head
 * the projector of VICReg. A module is trained once in a process, however many programs begin with it.
 */
import type { Manifest } from "../../runtime/abi.js";
import { elementCount } from "../../runtime/train/init.js";
import type { Case } from "./corpus.js";
import { prepare } from "./corpus.js";
import { film, pair, whole } from "../compiler/collapse/unseen/template.js";
import type { Unseen } from "../compiler/collapse/unseen/template.js";

/** Trains a program by the recipe; gives its parameters. */
export type Training = (one: Case) => Promise<ReadonlyMap<string, Float32Array>>;

const told = { verdict: "sound", why: "what comes out is used" } as const;
const swapped = "z1 = pool(g(a))\nz2 = pool(g(b))\nloss negative_cosine(h(z1), stopgrad(z2)) + negative_cosine(h(z2), stopgrad(z1))";
/** Of an encoder on patches of so many pixels. */
const simsiam = (patch: number): Unseen => pair({ ...told, id: `pretrained_vit_${patch}`, title: "an encoder of pictures", encoder: `encoder g = vit(patch: ${patch}, width: 32, depth: 1, heads: 2)`, body: `predictor h = mlp_bn(64)\n${swapped}` });
const world = film({ ...told, id: "pretrained_film", title: "an encoder of frames", body: "predictor h = mlp(64, out: 32)\nz = f(video)\nloss mse(h(join(earlier(z), earlier(action))), later(z)) + 25 * variance(z) + 25 * variance(z, over: time) + covariance(z)" });
const tokens = whole({ ...told, id: "pretrained_tokens", title: "a tokenizer of patches", body: "input image: Image[32, 32, 3]\nhead tok = quantizer(64)\nx = patches(image, 4)\nwords, ids = tok(x)\nloss mse(words, x)" });
const head = pair({ ...told, id: "pretrained_head", title: "a head", body: "head k = mlp(64, out: 32)\nz1 = k(pool(f(a)))\nz2 = k(pool(f(b)))\nloss 25 * mse(z1, z2) + 25 * variance(z1) + 25 * variance(z2) + covariance(z1) + covariance(z2)" });

/** Programs that train what a module may begin with; the first whose module has parameters of the same names and shapes is taken. */
const sources: readonly (readonly [program: Unseen, module: string])[] = [[simsiam(8), "g"], [simsiam(4), "g"], [world, "f"], [tokens, "tok"], [head, "k"]];

const known = new Map<Unseen, Promise<ReadonlyMap<string, Float32Array>>>();

/** The text of what trains pretrained modules: part of the meaning of a program that has such. */
export const pretrainingText: string = sources.map(([program]) => program.source).join("\n");

/** Values of all pretrained parameters of a program; empty where it has none. Throws for a module that nothing here trains. */
export async function weightsFor(manifest: Pick<Manifest, "parameters" | "pretrained">, train: Training): Promise<ReadonlyMap<string, Float32Array>> {
  const given = new Map<string, Float32Array>();
  for (const { module } of manifest.pretrained ?? []) {
    // A table of positions is as long as its grid and never trained: it stays the program's own.
    const wanted = manifest.parameters.filter(({ name, init }) => init.kind !== "sincos2d" && (name === module || name.startsWith(`${module}.`)));
    const found = await firstThatFits(wanted.map(({ name, shape }) => ({ rest: name.slice(module.length), size: elementCount(shape) })), train);
    for (const [rest, values] of found) given.set(`${module}${rest}`, values);
  }
  return given;
}

interface Wanted {
  /** The name behind that of the module. */
  readonly rest: string;
  /** Numbers in it. */
  readonly size: number;
}

async function firstThatFits(wanted: readonly Wanted[], train: Training): Promise<ReadonlyMap<string, Float32Array>> {
  for (const [program, module] of sources) {
    const one = { id: program.id, title: program.title, file: `${program.id}.jepa`, text: program.source };
    const sizes = new Map((prepare(one).manifest?.parameters ?? []).map(({ name, shape }) => [name, elementCount(shape)]));
    if (wanted.length === 0 || wanted.some(({ rest, size }) => sizes.get(`${module}${rest}`) !== size)) continue;
    const state = known.get(program) ?? train(one);
    known.set(program, state);
    const values = await state;
    return new Map(wanted.map(({ rest }) => [rest, values.get(`${module}${rest}`) ?? new Float32Array(0)]));
  }
  throw new Error(`nothing trains a module with ${wanted.map(({ rest, size }) => `${rest}: ${size}`).join(", ")}`);
}
