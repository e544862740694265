/**
 * The catalogue of diagnostics: every code, its severity, its sentence and its way out. // tidy: table
 *
 * One entry per code, families by thousands: 1 syntax, 2 names and structure, 3 shapes, positions and spaces, 4 collapse,
 * 5 masks and leaks, 6 training recipe, 7 target limits, 8 known gaps, 9 internal. A code is never reused. `{words}` in a
 * template are parameters; `ParamsOf` derives their names, so a report that forgets one does not typecheck. `explain` is
 * the page that `jepac explain` prints: cause, example, cure.
 */
import type { Severity } from "./report.js";

/** One catalogue row. `slug` is for people and links; `explain` a short page in Markdown. */
export interface CatalogueEntry {
  readonly slug: string;
  readonly severity: Severity;
  readonly message: string;
  readonly help: string | undefined;
  readonly explain: string;
}

export const catalogue = {
  JEP1001: { slug: "syntax/unexpected-character", severity: "error", message: "`{text}` is not part of the language.", help: "Remove it.", explain: "A character that no token of the language starts with. Names are made of ASCII letters, digits and `_`; any text may stand inside quotes and comments." },
  JEP1002: { slug: "syntax/unexpected-token", severity: "error", message: "Expected {expected}, found {found}.", help: undefined, explain: "The parser met a token that cannot stand here. Parsing goes on after it, so one run reports every mistake." },
  JEP1003: { slug: "syntax/unknown-word", severity: "error", message: "`{word}` does not begin {place}.", help: undefined, explain: "A file is a list of `use`, `module`, `model`, `train`, `probe`, `variant` and `sweep`. Inside a model a line begins with one of the statement words (`param`, `input`, `mask`, `view`, `encoder`, `predictor`, `head`, `loss`, `allow`, …), or names a value: `z = student(image)`." },
  JEP1004: { slug: "syntax/unclosed-bracket", severity: "error", message: "`{open}` is never closed.", help: "Write the closing `{close}`.", explain: "The place shown is where the bracket should have been closed at the latest, judged by the indentation; the note points at the bracket that opens." },
  JEP1005: { slug: "syntax/unmatched-closer", severity: "error", message: "This `{close}` closes nothing.", help: "Remove it, or write the bracket that it should close.", explain: "A closing bracket without an opening one." },
  JEP1006: { slug: "syntax/unterminated-text", severity: "error", message: "This text has no closing quote.", help: "Write `\"` at its end; a text ends on the line that it begins on.", explain: "A text stands between two double quotes on one line." },
  JEP1007: { slug: "syntax/unterminated-comment", severity: "error", message: "This comment is never closed.", help: "Write `*/` where it ends.", explain: "A comment that begins with `/*` goes on to the next `*/`; without one, the rest of the file is a comment." },
  JEP1008: { slug: "syntax/hash-comment", severity: "error", message: "A comment begins with `//`, not `#`.", help: "Write `//`.", explain: "Comments are `// …` to the end of the line, `/* … */`, and `/// …` for the description of what follows." },
  JEP1009: { slug: "syntax/wrong-sign", severity: "error", message: "{what} is written with {right}, not `{wrong}`.", help: "Write {right}.", explain: "A definition is `name = value`; a named argument or a type is `name: …`; a setting of a train block is a word and its values with nothing between; the start of learned numbers is `~`; a power is `^`." },
  JEP1010: { slug: "syntax/unknown-unit", severity: "error", message: "`{word}` is not a unit.", help: "Units are `epochs`, `steps`, `percent`, `images`, `minutes` and `hours`.", explain: "A number may be followed by one word on its line, which says what it counts: `warmup: 40 epochs`." },
  JEP1011: { slug: "syntax/too-deep", severity: "error", message: "This is nested more than {limit} deep.", help: "Give the inner parts names of their own.", explain: "Brackets and chains of operators may nest to a fixed depth, so that no program can exhaust the compiler's stack." },
  JEP1012: { slug: "syntax/too-many-errors", severity: "error", message: "Too many syntax errors; only the first {limit} are shown.", help: "Mend the first ones, then check again.", explain: "After so many mistakes the text is hardly a program, and more reports help nobody. The rest of the file was not read." },
  JEP1013: { slug: "syntax/file-too-long", severity: "error", message: "The file is longer than {limit} characters; the rest was not read.", help: "Split it, or check that it is a program.", explain: "Programs are short; a longer file is nearly always something else, given by mistake." },
  JEP1014: { slug: "syntax/bad-number", severity: "error", message: "`{text}` is not a number that can be written here: {why}.", help: undefined, explain: "Numbers are written `12`, `0.5`, `2e-4`, `100_000`; they must fit a double-precision float." },
  JEP1015: { slug: "syntax/bad-escape", severity: "error", message: "`{text}` means nothing inside a text.", help: "Write `\\\\` for a backslash.", explain: "Inside quotes, `\\\"`, `\\\\`, `\\n` and `\\t` stand for a quote, a backslash, a line break and a tab." },
  JEP1016: { slug: "syntax/single-quotes", severity: "error", message: "A text is written in double quotes.", help: "Write `\"` on both sides.", explain: "There is one way to write a text: between double quotes." },
  JEP1017: { slug: "syntax/chained-range", severity: "error", message: "A range has two ends, and this one has more.", help: "Write `low..high`.", explain: "`0.15..0.20` is a range; the points of a schedule are written with `->`." },
  JEP2001: { slug: "names/unknown", severity: "error", message: "`{name}` is not known here.", help: undefined, explain: "A name is used that no statement above it, no module and no built-in declares. Names are checked in one run, so every unknown one is reported with its nearest neighbors." },
  JEP2002: { slug: "names/declared-twice", severity: "error", message: "`{name}` is declared twice.", help: "Rename one of them.", explain: "A model says each name once; the order of lines does not matter. To change a line of another model, write a `variant`." },
  JEP2003: { slug: "names/unknown-model", severity: "error", message: "There is no model or variant `{name}`.", help: undefined, explain: "`variant … of`, `train`, `probe` and `sweep` name a model or variant of this file or of one that it uses." },
  JEP2004: { slug: "names/unknown-argument", severity: "error", message: "`{callee}` has no argument `{name}`; it takes {known}.", help: undefined, explain: "An argument by name must be one that the module, built-in or setting declares." },
  JEP2005: { slug: "names/missing-argument", severity: "error", message: "`{callee}` needs the argument `{name}`.", help: "Add `{name}: …`.", explain: "An argument without a default was left out." },
  JEP2006: { slug: "names/too-many-arguments", severity: "error", message: "`{callee}` takes at most {most} arguments, and {found} are given.", help: "Remove the extra ones, or name the arguments.", explain: "More arguments were given than there are places for." },
  JEP2007: { slug: "names/unknown-part", severity: "error", message: "`{object}` has no part `{member}`; it has {known}.", help: undefined, explain: "`student.patch_embed` names a `part` that the module of `student` declares." },
  JEP2008: { slug: "names/not-a-module-part", severity: "error", message: "The part `{member}` of `{object}` cannot be used on its own.", help: "Use a part that is a single module.", explain: "A list of parts, or one whose configuration depends on its data, has no meaning outside of its module." },
  JEP2009: { slug: "structure/misplaced", severity: "error", message: "This cannot stand here: {why}.", help: "Move it, or write what is meant in another way.", explain: "The expression is well formed but has no meaning in this place." },
  JEP2010: { slug: "structure/wrong-kind", severity: "error", message: "For {what}, {expected} is expected, and this is {found}.", help: undefined, explain: "Every place takes one kind of value: a number, a range, a schedule, a tensor, a module, a mask." },
  JEP2011: { slug: "structure/out-of-range", severity: "error", message: "{what} must be a number from {low} to {high}, and this is {found}.", help: undefined, explain: "Sizes and counts are whole and bounded; a dimension beyond 16,777,216 fits no device." },
  JEP2012: { slug: "structure/empty-range", severity: "error", message: "The range {low}..{high} runs backwards.", help: "Swap its ends.", explain: "A range goes from its low end to its high end." },
  JEP2013: { slug: "structure/not-a-space", severity: "error", message: "This does not name a space.", help: "Write `pixels`, `logits` or `latent(<encoder>)`.", explain: "`loss … in <space>` says in which space the loss compares: pixels, logits, or the latent space of an encoder." },
  JEP2014: { slug: "structure/recursive-module", severity: "error", message: "Modules may not contain themselves: {cycle}.", help: "Use `repeat` for repetition.", explain: "A module that applies itself, directly or through others, would have no end." },
  JEP2015: { slug: "structure/too-large", severity: "error", message: "This program needs more than {limit} graph nodes.", help: "Use `repeat`, which costs one node whatever its count.", explain: "A bound on the work that checking one program may take." },
  JEP2016: { slug: "structure/no-result", severity: "error", message: "The module `{module}` has no result.", help: "End it with the value that it gives back.", explain: "The last expression that stands alone in a module is its result." },
  JEP2017: { slug: "structure/unknown-initializer", severity: "error", message: "This is not an initializer; there are {known}.", help: undefined, explain: "`learn weight[in, out] ~ trunc_normal(std: 0.02)` says how a parameter starts." },
  JEP2018: { slug: "structure/unpacking", severity: "error", message: "{names} names are bound here, and there are {values} values.", help: "Give as many names as there are values.", explain: "`q, k, v = split(x, 3)` binds three values to three names." },
  JEP2019: { slug: "structure/idle-repeat", severity: "error", message: "This `repeat` changes nothing.", help: "Assign to a name that exists before the loop, e.g. `x = block(x)`.", explain: "A loop carries the names that it assigns and that exist before it; without one it has no effect." },
  JEP2020: { slug: "structure/count-not-static", severity: "error", message: "The count of a `repeat` must be known when compiling, and this is {found}.", help: "Use a number or a `param`.", explain: "Depth is part of the program, not of the data." },
  JEP2021: { slug: "variants/overrides-nothing", severity: "error", message: "`{name}` overrides nothing: `{base}` does not declare it.", help: undefined, explain: "A variant keeps what it does not say again; a `param` or `input` in it must be one that its base has, so that a slip of the pen does not go unnoticed." },
  JEP2023: { slug: "names/cycle", severity: "error", message: "These lines need each other: {cycle}.", help: "Break the cycle.", explain: "A value cannot be computed from itself." },
  JEP2024: { slug: "variants/of-itself", severity: "error", message: "The variant `{name}` is a variant of itself.", help: "Name a model as the base.", explain: "The chain of bases must end at a model." },
  JEP2025: { slug: "variants/unknown-override", severity: "error", message: "Nothing in the program is called `{path}`.", help: "Name a `param` such as `width`, or an option of an instance such as `predict.depth`.", explain: "`--set` and `sweep` change a `param` or an argument of an instance." },
  JEP2026: { slug: "structure/no-loss", severity: "error", message: "The model `{name}` has no loss.", help: "Add a line such as `loss smooth_l1(z_hat, z_target)`.", explain: "Without a loss there is nothing to train." },
  JEP2027: { slug: "structure/not-a-view", severity: "error", message: "A view is made by `augment(<input>)`.", help: "Write `view a, b = augment(image)` with its transforms in braces.", explain: "Views are augmented copies of an image input." },
  JEP2028: { slug: "files/not-found", severity: "error", message: "`{path}` cannot be used: {why}.", help: undefined, explain: "`use \"./other.jepa\"` names a file beside or below this one; `use std.vit` names a part of the library." },
  JEP2029: { slug: "variants/sweep-too-large", severity: "error", message: "This sweep has {points} points; at most {most} are allowed.", help: "Sweep fewer values, or split it.", explain: "Each point is a training run." },
  JEP2030: { slug: "names/unknown-program", severity: "error", message: "There is no model or variant `{name}` in this file; it has {known}.", help: undefined, explain: "Choose one of the file's own models and variants." },
  JEP2031: { slug: "structure/no-model", severity: "error", message: "This file declares no model and no variant.", help: "Add a `model`, or compile the file that has one.", explain: "There is nothing to compile in a file of modules alone." },
  JEP3001: { slug: "shapes/mismatch", severity: "error", message: "`{op}` does not fit {left} with {right}.", help: undefined, explain: "Shapes must agree, or one side must be 1 or absent where they differ (aligned from the last axis)." },
  JEP3002: { slug: "positions/mismatch", severity: "error", message: "{op} joins tokens at different positions: {left} and {right}.", help: "Pick the same positions on both sides with `at`.", explain: "Two values at different positions do not meet in a sum or a loss: token 3 of one would be compared with token 3 of the other although they show different places." },
  JEP3003: { slug: "shapes/wrong-kind-of-tensor", severity: "error", message: "{what} should be {expected}, and is {found}.", help: undefined, explain: "The module or built-in asks for another kind of tensor." },
  JEP3004: { slug: "shapes/no-such-axis", severity: "error", message: "`{op}` over `{axis}`: the axes here are {axes}.", help: "Name one of them.", explain: "A reduction names the axes that it removes: tokens, features, images." },
  JEP3005: { slug: "shapes/patch-does-not-divide", severity: "error", message: "A {height}x{width} image cannot be cut into {patch}x{patch} patches.", help: "Choose a patch size that divides both sides.", explain: "The patch grid covers the image exactly." },
  JEP3006: { slug: "shapes/shared-parameter", severity: "error", message: "The shared parameter `{name}` would be {first} and {second}.", help: "Give the two uses modules of their own, or inputs of equal width.", explain: "One module applied twice has one set of parameters, so both inputs must have the same width." },
  JEP3007: { slug: "positions/not-there", severity: "error", message: "`at {mask}` cannot pick from {found}.", help: "Apply `at` to tokens of the whole grid.", explain: "`at` picks tokens out of a grid (or out of a concatenation that has them); pooled vectors and tokens already picked have none to pick." },
  JEP3008: { slug: "positions/two-grids", severity: "error", message: "The mask `{mask}` is used on a {first} grid and on a {second} grid.", help: "Use one patch size, or declare a mask for each grid.", explain: "A mask is a set of positions on one grid." },
  JEP3009: { slug: "positions/mask-without-grid", severity: "error", message: "The grid of the mask `{mask}` is not known yet.", help: "Use the mask on an image or on tokens first.", explain: "A mask's grid is the patch grid of what it is first used on." },
  JEP3010: { slug: "positions/no-table", severity: "error", message: "A position table cannot be added to tokens at {found}.", help: "Add it before concatenating or pooling.", explain: "Sine-cosine codes are looked up at the positions of the tokens, so these must be known." },
  JEP3011: { slug: "shapes/heads-do-not-divide", severity: "error", message: "A width of {width} cannot be split into {heads} equal parts.", help: "Choose a number that divides it.", explain: "Attention heads and `split` divide the feature axis evenly." },
  JEP3012: { slug: "shapes/table-width", severity: "error", message: "A two-dimensional sine-cosine table needs a width divisible by 4, and this is {width}.", help: "Use a multiple of 4.", explain: "Half of the channels code the column, half the row, and each half is a sine part and a cosine part." },
  JEP3013: { slug: "spaces/mismatch", severity: "error", message: "`{op}` compares {left} with {right}.", help: "Pass one side through a learned map: a `predictor`, a `head`, or `decode(…)`.", explain: "A loss compares values of one space. Coordinates of two spaces have nothing to do with each other until a learned map carries one into the other." },
  JEP3014: { slug: "spaces/declared", severity: "error", message: "The loss is declared in {declared}, but compares in {found}.", help: "Change the declared space, or the operands.", explain: "`in <space>` states what the author means; the compiler holds the operands to it." },
  JEP3015: { slug: "shapes/changes-in-loop", severity: "error", message: "`{name}` is {before} before an iteration and {after} after it.", help: "Give the body a result of the same shape.", explain: "What a loop carries must have the same shape and positions after every iteration." },
  JEP3016: { slug: "shapes/unknown-input-type", severity: "error", message: "`{type}` is not a type of input.", help: "Write `Image[height, width, channels]`.", explain: "Inputs are images." },
  JEP3017: { slug: "shapes/image-sizes", severity: "error", message: "`Image` takes three sizes, and {found} are given.", help: "Write `Image[height, width, channels]`.", explain: "Height, width and channels." },
  JEP3018: { slug: "structure/loss-not-scalar", severity: "error", message: "A loss is one number, and this is {found}.", help: "Use a loss such as `mse(a, b)`, or `mean(x)`.", explain: "What is minimized must be a scalar." },
  JEP5001: { slug: "masks/unknown-sampler", severity: "error", message: "This is not a mask; there are {known}.", help: undefined, explain: "`4 of block(scale: 0.15..0.2, aspect: 0.75..1.5)`, `random(0.6)`, `rasterized`, `all`, each with `minus <mask>`." },
  JEP5002: { slug: "masks/unknown-minus", severity: "error", message: "`minus` takes masks declared above.", help: undefined, explain: "`block(…) minus targets` removes the positions of `targets`." },
  JEP5003: { slug: "masks/option-range", severity: "error", message: "`{option}` must lie above 0 and at most at {top}, and this is {low}..{high}.", help: undefined, explain: "Shares of the grid lie in (0, 1]." },
  JEP6001: { slug: "training/schedule-points", severity: "error", message: "A schedule with {found} points does not fit its warm-up.", help: "Write `a -> b`, or `start -> peak -> final` with `warmup: …`.", explain: "Two points are start and end; three are start, peak and final, where the warm-up says when the peak is reached." },
  JEP6002: { slug: "training/momentum-range", severity: "error", message: "A momentum lies between 0 and 1, and this is {found}.", help: undefined, explain: "The moving average is m times the old value plus 1 - m times the new." },
  JEP6003: { slug: "training/missing", severity: "warning", message: "`{name}` has no `train` block: the defaults are used.", help: "Add a `train` block for `{name}`.", explain: "Defaults: generated pictures, one epoch, batch 64, AdamW at 1e-3." },
  JEP6004: { slug: "training/unknown-transform", severity: "error", message: "`{found}` is not an augmentation.", help: undefined, explain: "random_resized_crop, resize, center_crop, flip, color_jitter, grayscale, blur, solarize." },
  JEP6005: { slug: "training/unknown-setting", severity: "error", message: "`{name}` is not a setting of `train`.", help: undefined, explain: "A setting is one word and its value." },
  JEP6006: { slug: "training/one-value", severity: "error", message: "`{name}` takes one value, and {found} are given.", help: undefined, explain: "One value per setting." },
  JEP6007: { slug: "training/data", severity: "error", message: "Data is `images(\"folder\")` or `shapes(count: 4096)`.", help: "Write one of the two.", explain: "A folder of images, or generated pictures." },
  JEP6008: { slug: "training/optimizer", severity: "error", message: "This is not an optimizer; there are {known}.", help: undefined, explain: "adamw(beta1, beta2, eps), sgd(momentum), lars(momentum, trust)." },
  JEP6009: { slug: "training/probe", severity: "error", message: "This is not a probe; there are {known}.", help: undefined, explain: "`linear(on: teacher, pool: mean)` trains a linear head on frozen features; `knn(on: teacher, k: 20)` asks the neighbors." },
  JEP6010: { slug: "training/probe-target", severity: "error", message: "A probe needs an encoder to look at, and `{name}` is none.", help: "Write `on: <encoder>`.", explain: "A probe reads the features of one encoder of the model." },
} as const satisfies Record<string, CatalogueEntry>;

export type Code = keyof typeof catalogue;

type Keys<S extends string> = S extends `${string}{${infer K}}${infer Rest}` ? K | Keys<Rest> : never;

/** The parameters that a code's message and help name. */
export type ParamsOf<C extends Code> = {
  readonly [K in Keys<(typeof catalogue)[C]["message"]> | Keys<(typeof catalogue)[C]["help"] extends string ? (typeof catalogue)[C]["help"] : "">]: string | number;
};
