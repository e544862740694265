/**
 * Where the language server of a file is.
 *
 * Owns the search: the setting, then the jepac in `node_modules` beside the file or above it, then the checkout that it lies in.
 * Knows nothing of the editor.
 */
"use strict";
const { existsSync, readFileSync, statSync } = require("node:fs");
const { dirname, isAbsolute, join, resolve } = require("node:path");

/** The command line in a package of jepac. */
const BIN = join("dist", "compiler", "cli", "bin.js");

/** The command line of the jepac that `path` is, or is in; undefined where it is none. */
function binOf(path) {
  if (!existsSync(path)) return undefined;
  if (!statSync(path).isDirectory()) return path;
  return existsSync(join(path, BIN)) ? join(path, BIN) : undefined;
}

/** Whether a folder is jepac itself. */
function isJepac(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).name === "jepac";
  } catch {
    return false;
  }
}

/** A folder and those above it. */
function* upward(folder) {
  for (let at = folder, last = ""; at !== last; last = at, at = dirname(at)) yield at;
}

/**
 * `{ bin, folder }`: what to run and where, or `{ missing }`, which says why there is nothing to run. `places` are folders in the
 * order that they are looked at in; `server` is the setting, from the first of them where it is relative.
 */
function findServer({ server = "", places }) {
  const [first = "."] = places;
  if (server !== "") {
    const named = isAbsolute(server) ? server : resolve(first, server);
    const bin = binOf(named);
    return bin === undefined ? { missing: `The setting jepac.server says ${named}, where there is no jepac.` } : { bin, folder: first };
  }
  for (const place of places) {
    for (const folder of upward(resolve(place))) {
      const bin = binOf(join(folder, "node_modules", "jepac")) ?? (isJepac(folder) ? binOf(folder) : undefined);
      if (bin !== undefined) return { bin, folder };
      if (isJepac(folder)) return { missing: `The jepac in ${folder} is not built: run \`npm ci\` there.` };
    }
  }
  return { missing: `There is no jepac in node_modules of ${first} or of a folder above: run \`npm install jepac\`, or say where one is in the setting jepac.server.` };
}

module.exports = { findServer };
