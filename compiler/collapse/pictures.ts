/**
 * Pictures that are one: views of an input whose transforms draw nothing at random, and the input itself.
 *
 * `view a, b = augment(image) {}` are two names of one picture, and what one of them shows the other shows too. Owns which
 * transforms leave nothing to chance; what follows from seeing one picture twice is found by the rules for one picture.
 */
import type { ModelGraph, Node, View } from "../model/ir.js";

type Transform = View["transforms"][number];

/** Of every picture that another shows too, the first that does, by name. `recipe`: transforms of the inputs themselves. */
export function onePicture(graph: ModelGraph, recipe: readonly Transform[]): ReadonlyMap<string, string> {
  const first = new Map<string, string>();
  const names = new Map<string, string>();
  const plain = graph.inputs.map((i) => ({ name: i.name, input: i.name, height: i.height, width: i.width, transforms: recipe }));
  for (const { name, input, height, width, transforms } of [...plain, ...graph.views]) {
    const done = transforms.flatMap(effectOf);
    if (done.includes(undefined)) continue;
    const key = JSON.stringify([input, height, width, done]);
    const known = first.get(key);
    if (known === undefined) first.set(key, name);
    else names.set(name, known);
  }
  return names;
}

/** The graph with every picture under the name of the first. */
export function withOnePicture(graph: ModelGraph, names: ReadonlyMap<string, string>): ModelGraph {
  if (names.size === 0) return graph;
  const renamed = (node: Node): Node => {
    if (node.op !== "input") return node;
    const { path } = node.attrs;
    return { ...node, attrs: { ...node.attrs, path: names.get(path) ?? path } };
  };
  return { ...graph, body: { ...graph.body, nodes: graph.body.nodes.map(renamed) } };
}

const strengths = ["brightness", "contrast", "saturation", "hue"] as const;

/** What a transform does to every picture alike: nothing, or something by name; undefined where it draws. */
function effectOf({ name, args }: Transform): readonly (string | undefined)[] {
  switch (name) {
    case "resize": case "center_crop": return [name];
    case "flip": case "grayscale": return args["p"] === 0 ? [] : [args["p"] === 1 ? name : undefined];
    case "solarize": return args["p"] === 0 ? [] : [args["p"] === 1 ? JSON.stringify([name, args["threshold"]]) : undefined];
    case "blur": return args["p"] === 0 ? [] : [undefined];
    case "color_jitter": return args["p"] === 0 || strengths.every((strength) => args[strength] === 0) ? [] : [undefined];
    default: return [undefined];
  }
}
