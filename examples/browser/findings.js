/**
 * What the compiler says, drawn: the verdict, findings with their fixes, the proof of each loss, numbers, a name at the caret.
 *
 * Everything is text from the compiler, set as text. What has not changed is left alone, so that the focus stays where it is.
 */

const KINDS = { broken: "Has mistakes", error: "Refused", risky: "Risky", sound: "Sound" };

/** An element with properties, and children that are elements or texts. */
export function el(tag, props = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.filter((c) => c !== undefined));
  return element;
}

/** Text in which what stands between backticks is code. */
function rich(text) {
  return text.split("`").map((piece, i) => (i % 2 === 1 ? el("code", {}, piece) : piece));
}

/** Puts children into an element unless they are drawn from what is there already. */
function redraw(element, data, draw) {
  const key = JSON.stringify(data);
  if (drawn.get(element) === key) return;
  drawn.set(element, key);
  element.replaceChildren(...draw());
}
const drawn = new WeakMap();

/** How the program stands in a word, a class, and what there is to say beside it. */
export function verdictOf({ program, programs, findings }) {
  const count = (severity) => { const n = findings.filter((f) => f.severity === severity).length; return n === 0 ? [] : [`${n} ${severity}${n === 1 ? "" : "s"}`]; };
  const standing = program === undefined || (!program.ok && program.standing !== "error") ? "broken" : program.standing;
  const counts = [...count("error"), ...count("warning"), ...count("note")].join(", ") || "no mistakes";
  const name = program === undefined ? "" : `${program.name}${program.allowed ? ", which allows it" : ""}`;
  const said = programs.length < 2 ? `${name}${name === "" ? "" : ": "}${counts}.` : `${name}. The file: ${counts}, ${programs.filter((p) => p.standing === "sound").length} of ${programs.length} programs sound.`;
  return { standing, word: KINDS[standing], said };
}

/** The line with the verdict, and how long it took to see. */
export function showVerdict(element, overview, ms) {
  const { standing, word, said } = verdictOf(overview);
  element.className = `verdict ${standing}`;
  element.replaceChildren(el("b", {}, word), el("span", {}, said), el("span", { className: "took" }, `checked in ${Math.max(1, Math.round(ms))} ms`));
}

/** The findings, each with the places it speaks of and its fixes. `go(start, end)` goes to a place, `mend(fix)` applies a fix. */
export function showFindings(element, findings, { go, mend }) {
  redraw(element, findings, () => gravest(findings).map((f) => el("li", { className: `finding ${f.severity}` },
    el("p", { className: "head" }, el("b", {}, f.severity), placeOf(f, go), el("span", {}, f.code)),
    el("p", { className: "message" }, ...rich(f.message)),
    ...f.related.map((r) => el("p", { className: "soft" }, "because ", ...rich(r.message), " ", placeOf(r, go))),
    f.help === undefined ? undefined : el("p", {}, ...rich(f.help)),
    f.source === undefined ? undefined : el("p", { className: "soft" }, `Source: ${f.source}`),
    ...f.fixes.map((fix) => el("div", { className: "fix" },
      fix.file === undefined ? el("button", { type: "button", onclick: () => mend(fix) }, ...rich(`Fix: ${fix.title}`)) : el("p", {}, "Fix in ", el("code", {}, fix.file), ...rich(`: ${fix.title}`)),
      fix.lines.every((l) => l.trim() === "") ? undefined : el("pre", { ariaLabel: "the text then" }, fix.lines.map((l) => `+ ${l}`).join("\n")))))));
}

/** Errors first: what keeps a program from training is not to be looked for behind a warning. Else by place, as they come. */
function gravest(findings) {
  return findings.toSorted((a, b) => Number(b.severity === "error") - Number(a.severity === "error"));
}

/** Marks the findings in which the caret stands. */
export function markHere(element, findings, caret) {
  const cards = gravest(findings);
  [...element.children].forEach((card, i) => card.classList.toggle("here", isAt(cards[i], caret)));
}

/** Whether a finding is at a place of the text. */
export function isAt(finding, caret) {
  return finding !== undefined && finding.file === undefined && finding.start <= caret && caret <= finding.end;
}

/** Why each loss is held to be what it is, as `jepac check --why` says it. */
export function showProof(element, program, { go }) {
  const { losses = [], masks = [], watched = [] } = program ?? {};
  redraw(element, { losses, masks, watched }, () => (losses.length === 0 ? [] : [
    el("h2", {}, "Why"),
    ...losses.map((l) => el("section", { className: "loss" },
      el("h3", {}, el("code", {}, l.name), " is ", el("span", { className: `chip ${l.verdict}` }, l.word), l.rules.length === 0 ? undefined : el("span", { className: "soft" }, ` (${l.rules.join(", ")})`)),
      ...l.grounds.map((g) => el("p", {}, ...rich(g.text), g.source === undefined ? undefined : el("span", { className: "soft" }, ` ${g.source}.`))),
      l.path.length === 0 ? undefined : el("details", {}, el("summary", {}, `The path, ${l.path.length} places`), el("ol", { className: "path" }, ...l.path.map((s) => el("li", {}, placeOf(s, go), el("span", {}, ...rich(s.text)))))))),
    ...masks.map((text) => el("p", { className: "soft" }, "Mask ", ...rich(text), ".")),
    watched.length === 0 ? undefined : el("details", {}, el("summary", {}, `Watched in a run, because the proof relies on it: ${watched.length}`), el("ul", { className: "soft" }, ...watched.map((w) => el("li", {}, ...rich(w))))),
  ].filter((e) => e !== undefined)));
}

/** Sizes of parts, and of a step where there is a plan; `unplanned` says why there is none. */
export function showNumbers(element, program, plan, unplanned) {
  const { parts = [], size: all = "0", trained = 0, ok = false, standing } = program ?? {};
  const size = plan === undefined ? undefined : planSize(plan);
  redraw(element, { parts, all, trained, size, ok, unplanned, standing }, () => (parts.length === 0 ? [] : [
    el("h2", {}, "Numbers"),
    standing === "broken" ? el("p", { className: "caption" }, "Of the text with its mistakes, as far as it is understood.") : undefined,
    el("div", { className: "wide" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Part"), el("th", { scope: "col" }, "What it is"), el("th", { scope: "col", className: "n" }, "Parameters"))),
      el("tbody", {},
        ...parts.map((p) => el("tr", {}, el("td", {}, el("code", {}, p.name)), el("td", {}, p.how), el("td", { className: "n" }, p.size))),
        el("tr", {}, el("th", { scope: "row" }, "All"), el("td", {}, `${grouped(trained)} trained`), el("td", { className: "n" }, all))))),
    el("p", { className: "caption" }, size ?? (ok ? unplanned ?? "The step is being planned …" : "Memory is planned once the program has no mistakes.")),
  ].filter((e) => e !== undefined)));
}

function planSize({ manifest, module: { plan } }) {
  const dispatches = plan.step.dispatches.length + plan.update.dispatches.length;
  return `A step of ${manifest.train.batch} pictures takes ${bytes(plan.memory.total)} of the device, weights and optimizer included: ${dispatches} dispatches by ${plan.kernels.length} kernels, ${short(manifest.counts.flopsPerImage)} operations a picture.`;
}

/** What is known of the name at the caret: Markdown, of which only code and strong words occur. */
export function showAbout(element, text) {
  const told = text ?? "Where the caret stands on a name, this says what it is: its shape, where it sits, what trains it, what is proven of it.";
  redraw(element, told, () => told.split(/```\w*\n([^]*?)\n```/).flatMap((piece, i) => {
    if (i % 2 === 1) return [el("pre", {}, piece)];
    return piece.split("\n").map((l) => l.trim()).filter((l) => l !== "").map((l) => el("p", { className: text === undefined ? "soft" : "" }, ...rich(l.replaceAll("**", ""))));
  }));
}

function placeOf({ line, column, start, end, file }, go) {
  if (file !== undefined) return el("code", {}, `${file.replace("jepac:", "")}:${line}:${column}`);
  return el("button", { type: "button", className: "place", onclick: () => go(start, end) }, `line ${line}:${column}`);
}

function grouped(n) {
  return n.toLocaleString("en");
}

function bytes(n) {
  return n < 2 ** 30 ? `${(n / 2 ** 20).toPrecision(3)} MiB` : `${(n / 2 ** 30).toPrecision(3)} GiB`;
}

function short(n) {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(n, 1)) / 3)));
  return `${(n / 1000 ** power).toPrecision(3)}${["", " k", " M", " G", " T"][power]}`;
}
