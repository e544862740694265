/**
 * The extension for VS Code, as one file to install: `dist/jepac.vsix`.
 *
 * Owns packing: the files of `editors/vscode`, the colors that the grammar's own words give (`grammar()`), the client library that it
 * needs, and the two lists that the format asks for. `npm run build` makes it. The version is the package's.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { zipSync } from "fflate";
import { infixWords, itemWords, statementWords, unitWords } from "../dist/compiler/syntax/tokens.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "editors", "vscode");

/**
 * The TextMate grammar: what pieces of a text are, as far as lines tell. No word is reserved, so a word counts where its place says
 * so, as in `compiler/syntax/layout.ts`: at the head of a statement and followed by a name, or between two operands.
 */
export function grammar() {
  const any = (words) => [...new Set(words)].join("|");
  const name = "[A-Za-z_][A-Za-z0-9_]*";
  const head = "(?:^|(?<=[{;]))\\s*";
  return {
    $schema: "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
    name: "jepa",
    scopeName: "source.jepa",
    patterns: [{ include: "#train" }, { include: "#piece" }],
    repository: {
      // In `train name { … }` a line begins with a setting.
      train: {
        begin: `${head}(train)\\b\\s*(${name})?\\s*(\\{)`,
        beginCaptures: { 1: { name: "keyword.other.jepa" }, 2: { name: "variable.other.jepa" }, 3: { name: "punctuation.section.block.jepa" } },
        end: "\\}",
        patterns: [
          { match: `(?:^|(?<=[{;]))\\s*(${name})\\b`, captures: { 1: { name: "support.type.property-name.jepa" } } },
          { include: "#block" },
          { include: "#piece" },
        ],
      },
      block: { begin: "\\{", end: "\\}", patterns: [{ include: "#block" }, { include: "#piece" }] },
      piece: {
        patterns: [
          { match: "///(?!/).*$", name: "comment.line.documentation.jepa" },
          { match: "//.*$", name: "comment.line.double-slash.jepa" },
          { match: "#.*$", name: "comment.line.number-sign.jepa" },
          { begin: "/\\*", end: "\\*/", name: "comment.block.jepa" },
          { match: "\"(?:[^\"\\\\]|\\\\.)*(?:\"|$)", name: "string.quoted.double.jepa" },
          { match: "'(?:[^'\\\\]|\\\\.)*(?:'|$)", name: "string.quoted.single.jepa" },
          { match: `${head}(${any([...itemWords, ...statementWords])})\\b(?=\\s+[A-Za-z_0-9"]|\\s*\\{|\\s*\\[)`, captures: { 1: { name: "keyword.other.jepa" } } },
          { match: `(?:^|(?<=[\\w)\\]}"'])\\s)\\s*(${any(infixWords)})\\b(?=\\s+[A-Za-z_0-9(\\["'-])`, captures: { 1: { name: "keyword.operator.word.jepa" } } },
          { match: `\\b([0-9][0-9_]*(?:\\.[0-9][0-9_]*)?(?:[eE][+-]?[0-9]+)?)[ \\t]+(${any(unitWords)})\\b`, captures: { 1: { name: "constant.numeric.jepa" }, 2: { name: "keyword.other.unit.jepa" } } },
          { match: "\\b[0-9][0-9_]*(?:\\.[0-9][0-9_]*)?(?:[eE][+-]?[0-9]+)?", name: "constant.numeric.jepa" },
          { match: "(?<![\\w.)\\]])\\.[0-9]+(?:[eE][+-]?[0-9]+)?", name: "constant.numeric.jepa" },
          { match: "\\b(?:true|false)\\b", name: "constant.language.jepa" },
          { match: `(?<=[^.]\\.)${name}`, name: "variable.other.property.jepa" },
          { match: `\\b${name}(?=\\s*\\()`, name: "entity.name.function.jepa" },
          { match: `\\b${name}(?=\\s*:)`, name: "variable.parameter.jepa" },
          { match: `\\b${name}`, name: "variable.other.jepa" },
          { match: "->|\\.\\.|[=~+\\-*/@^]", name: "keyword.operator.jepa" },
        ],
      },
    },
  };
}

/** A package and those that it needs, by the folders that Node finds them in, from the repository's. */
function closure(name, from, found = new Map()) {
  let folder = from;
  while (!existsSync(join(folder, "node_modules", name, "package.json"))) {
    if (folder === dirname(folder)) throw new Error(`${name} is not installed: run npm ci`);
    folder = dirname(folder);
  }
  const at = join(folder, "node_modules", name);
  if (found.has(at)) return found;
  const { dependencies = {} } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  found.set(at, relative(root, at));
  for (const needed of Object.keys(dependencies)) closure(needed, at, found);
  return found;
}

/** What of a package runs, or is asked to be handed on with it. */
const RUNS = /(\.(js|cjs|json)|(^|[\\/])licen[cs]e[^\\/]*)$/i;

const contentTypes = `<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
${[["json", "application/json"], ["vsixmanifest", "text/xml"], ["cjs", "application/javascript"], ["js", "application/javascript"], ["md", "text/markdown"], ["txt", "text/plain"]].map(([extension, type]) => `  <Default Extension=".${extension}" ContentType="${type}"/>`).join("\n")}
</Types>
`;

function manifestXml({ name, displayName, description, version, publisher, engines, categories }) {
  const text = (value) => String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
  return `<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id="${text(name)}" Version="${text(version)}" Publisher="${text(publisher)}"/>
    <DisplayName>${text(displayName)}</DisplayName>
    <Description xml:space="preserve">${text(description)}</Description>
    <Tags>jepa,language,machine-learning</Tags>
    <Categories>${text(categories.join(","))}</Categories>
    <GalleryFlags>Public</GalleryFlags>
    <Properties>
      <Property Id="Microsoft.VisualStudio.Code.Engine" Value="${text(engines.vscode)}"/>
      <Property Id="Microsoft.VisualStudio.Code.ExtensionKind" Value="workspace"/>
    </Properties>
    <License>extension/LICENSE.txt</License>
  </Metadata>
  <Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Content.License" Path="extension/LICENSE.txt" Addressable="true"/>
  </Assets>
</PackageManifest>
`;
}

/** The files of the extension by their names in the package. */
export function extensionFiles() {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const about = { ...JSON.parse(readFileSync(join(source, "package.json"), "utf8")), version };
  const files = new Map([
    ["[Content_Types].xml", contentTypes],
    ["extension.vsixmanifest", manifestXml(about)],
    ["extension/package.json", `${JSON.stringify(about, undefined, 2)}\n`],
    ["extension/jepa.tmLanguage.json", `${JSON.stringify(grammar(), undefined, 2)}\n`],
    ["extension/LICENSE.txt", readFileSync(join(root, "LICENSE"))],
  ]);
  for (const name of readdirSync(source)) if (name !== "package.json") files.set(`extension/${name}`, readFileSync(join(source, name)));
  for (const [folder, place] of closure("vscode-languageclient", root)) {
    for (const entry of readdirSync(folder, { recursive: true }).map(String)) {
      const nested = entry.split(sep).includes("node_modules");
      if (!nested && RUNS.test(entry) && statSync(join(folder, entry)).isFile()) files.set(`extension/${place.split(sep).join("/")}/${entry.split(sep).join("/")}`, readFileSync(join(folder, entry)));
    }
  }
  return files;
}

/** Writes the package. Every file is of one day, so that one text gives one package. */
export function packExtension(to) {
  const entries = [...extensionFiles()].map(([name, data]) => [name, typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data)]);
  writeFileSync(to, zipSync(Object.fromEntries(entries), { level: 9, mtime: new Date(2020, 0, 1) }));
}
