/**
 * Actions from files: what comes with films and pictures of a folder.
 *
 * Owns where such a file lies and what it may hold. In the folder of a film's frames, and in a folder of pictures, it is
 * `actions.csv`; beside a film that is a file, `<film>.csv` (`walk.gif` and `walk.csv`). It has a row for each frame or picture, in
 * the natural order of their names, or for a program that takes one action of a film a single row; a first line of words is a
 * heading. All files are read before training begins, since one that does not fit is better told then than after a day. Which
 * rows a clip takes is numbers.ts.
 */
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { counted } from "../base/counted.js";
import { errorText, HostError, systemCode } from "../base/errors.js";
import { naturally } from "./films.js";
import type { ImageSource } from "./source.js";

/** The name of the file beside frames and pictures. */
const FILE = "actions.csv";
/** Files that are read at once. */
const AT_ONCE = 32;

/**
 * A folder's source with the actions that lie in it: `size` numbers a row; `each` where every frame of a film has a row, else a film
 * has one. Pictures have one each. Throws `HostError` "not-found" for a file that is not there, "io" for one that cannot be read, and
 * "bad-data", with file and line, for what is not so many rows of numbers.
 */
export async function withActions(source: ImageSource, size: number, each: boolean): Promise<ImageSource> {
  const { spec } = source;
  if (spec?.kind === "films") {
    const rows: Float32Array[] = [];
    for (let from = 0; from < source.size; from += AT_ONCE) {
      rows.push(...await Promise.all(spec.films.slice(from, from + AT_ONCE).map(({ path, frames }) => {
        const file = typeof frames === "number" ? `${join(spec.root, path).slice(0, -extname(path).length)}.csv` : join(spec.root, path, FILE);
        const count = !each ? 1 : typeof frames === "number" ? frames : frames.length;
        return readRows(file, size, count, each ? "frames of the film" : "film, of which the program takes one action");
      })));
    }
    return { ...source, actions: { size, rows: (index) => rows[index] ?? new Float32Array(size) } };
  }
  if (spec?.kind !== "folder") throw new HostError("bad-data", `the program takes actions, and none come with ${source.name}`, "give a folder of films or pictures with actions.csv files, or a source that has `actions`");
  const folders = new Map<string, { readonly file: string; readonly index: number }[]>();
  spec.files.forEach((file, index) => {
    const beside = folders.get(dirname(file));
    if (beside === undefined) folders.set(dirname(file), [{ file, index }]);
    else beside.push({ file, index });
  });
  const actions = new Map<number, Float32Array>();
  for (const [folder, files] of folders) {
    const rows = await readRows(join(spec.root, folder, FILE), size, files.length, "pictures beside it");
    files.sort((a, b) => naturally(basename(a.file), basename(b.file))).forEach(({ index }, row) => actions.set(index, rows.subarray(row * size, (row + 1) * size)));
  }
  return { ...source, actions: { size, rows: (index) => actions.get(index) ?? new Float32Array(size) } };
}

/** So many rows of `size` numbers; `of` says what each is of, in words. */
async function readRows(file: string, size: number, count: number, of: string): Promise<Float32Array> {
  const text = await readText(file);
  const lines = text.split(/\r?\n/).map((line, i) => ({ cells: line.split(",").map((cell) => cell.trim()), line: i + 1 })).filter(({ cells }) => cells.some((cell) => cell !== ""));
  const [first] = lines;
  // A heading has no number in it; a row with one cell that is none is a mistake.
  const rows = first?.cells.every((cell) => !isNumber(cell) && !/^nan$/i.test(cell)) === true ? lines.slice(1) : lines;
  const out = new Float32Array(count * size);
  rows.slice(0, count).forEach(({ cells, line }, row) => {
    if (cells.length !== size) throw new HostError("bad-data", `${file}, line ${line}: ${counted(cells.length, "number")}, and the program's actions have ${size}`, "write so many numbers, with commas between, or make the size of the `Action` that of the file");
    cells.forEach((cell, i) => {
      const value = Math.fround(Number(cell));
      if (!isNumber(cell) || !Number.isFinite(value)) throw new HostError("bad-data", `${file}, line ${line}: ${cell === "" ? "an empty cell" : `'${cell}'`} is not a finite number`, "write numbers such as 0.25 or -1e-3");
      out[row * size + i] = value;
    });
  });
  if (rows.length !== count) {
    const at = rows.length > count ? `, line ${rows[count]?.line ?? 0}` : "";
    throw new HostError("bad-data", `${file}${at}: ${counted(rows.length, "row")}, and there ${count === 1 ? "is 1" : `are ${count}`} ${of}`, "write one row for each, in the natural order of names");
  }
  return out;
}

function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell));
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const missing = ["ENOENT", "ENOTDIR"].includes(systemCode(error));
    if (missing) throw new HostError("not-found", `the program takes actions, and there is no ${file}`, "write that file: a row of numbers for each frame or picture");
    throw new HostError("io", `cannot read ${file}: ${errorText(error)}`, "let it be read, then start again", { cause: error });
  }
}
