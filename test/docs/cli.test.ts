/**
 * The page of the command line and the README are executed: every `$ npx jepac …` prints what the page shows.
 *
 * One command of each way to end (0, 1 and 2), training, what goes on with it, and what reads its input are processes, as a
 * user starts them. All others differ from those in nothing that a process is, and run in one that stays: most of a command's
 * time is its start.
 */
import { spawn } from "node:child_process";
import { cpSync, createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commands } from "../../compiler/cli/commands.js";
import { host } from "../compiler/cli/host.js";
import { blocksOf, matches, root, sessionsOf } from "./page.js";

const pages = ["docs/cli.md", "README.md"];
const blocks = pages.flatMap((page) => blocksOf(page));
const cwd = mkdtempSync(join(tmpdir(), "jepac-cli-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));
for (const folder of ["specs", "examples"]) cpSync(join(root, folder), join(cwd, folder), { recursive: true });
writeFileSync(join(cwd, "package.json"), "{}");
for (const block of blocks) {
  const file = /^jepa file=(\S+)$/.exec(block.info)?.[1];
  if (file !== undefined) writeFileSync(join(cwd, file), block.text);
}

// The folder of eight pictures in two classes that the page of the command line speaks of.
beforeAll(async () => {
  for (const [i, color] of ["red", "green", "blue", "black", "white", "gray", "pink", "brown"].entries()) {
    mkdirSync(join(cwd, "photos", i % 2 === 0 ? "cats" : "dogs"), { recursive: true });
    await sharp({ create: { width: 20, height: 16, channels: 3, background: color } }).png().toFile(join(cwd, "photos", i % 2 === 0 ? "cats" : "dogs", `${color}.png`));
  }
});

/** Words of a command line: quotes hold together what they enclose. */
function words(command: string): string[] {
  return (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1"));
}

const hosted = host();
const started = new Set<number>();

/** Runs a line of a page, that should end with `wanted`: see the top of the file. */
function run(command: string, wanted: number): Promise<{ code: number | null; text: string }> {
  const own = !command.startsWith("npx jepac") || command.includes(" < ") || /^npx jepac train .*--workers/.test(command) || !started.has(wanted);
  if (!own) return hosted(cwd, words(command).slice(2));
  started.add(wanted);
  return runAlone(command);
}

/** Runs it as a process of its own. */
function runAlone(command: string): Promise<{ code: number | null; text: string }> {
  const [program, ...rest] = words(command.replace(/^npx jepac/, "node bin"));
  if (program !== "node") throw new Error(`the page runs ${command}, which is neither jepac nor node`);
  const args = rest[0] === "bin" ? [join(root, "dist/compiler/cli/bin.js"), ...rest.slice(1)] : rest;
  const input = args.indexOf("<");
  const file = input < 0 ? undefined : args.splice(input, 2)[1];
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { cwd, env: { ...process.env, NO_COLOR: "1" } });
    let text = "";
    child.stdout.on("data", (part: Buffer) => { text += part.toString(); });
    child.stderr.on("data", (part: Buffer) => { text += part.toString(); });
    child.on("error", fail);
    child.on("close", (code) => done({ code, text }));
    if (file !== undefined) createReadStream(join(cwd, file)).pipe(child.stdin);
    else child.stdin.end();
  });
}

const sessions = pages.flatMap((page) => blocksOf(page).filter((b) => b.info === "console").flatMap(sessionsOf).map((s) => ({ ...s, page })));

test("the page speaks of every command, and shows most of them at work", () => {
  const text = readFileSync(join(root, "docs/cli.md"), "utf8");
  for (const { name } of commands) expect(text, name).toMatch(new RegExp(`^\\| \\[?\`${name}\``, "m"));
  expect(commands.filter(({ name }) => sessions.some((s) => s.command.startsWith(`npx jepac ${name}`))).length).toBeGreaterThanOrEqual(10);
});

test("the page names every option of every command", async () => {
  const text = readFileSync(join(root, "docs/cli.md"), "utf8");
  const all = await Promise.all(commands.map(async ({ name, load }) => ({ name, ...(await load()) })));
  const missing = all.flatMap(({ name, options }) => Object.keys(options).filter((option) => !new RegExp(`--(no-)?${option}\\b`).test(text)).map((option) => `${name} --${option}`));
  expect(missing).toEqual([]);
});

// One after the other: later commands use what earlier ones wrote.
for (const { command, expected, code, line, page } of sessions) {
  test(`${page}:${line} ${command}`, { timeout: 180_000 }, async () => {
    const ran = await run(command, code);
    if (!matches(ran.text, expected)) expect(ran.text.trimEnd()).toBe(expected);
    expect(ran.code).toBe(code);
  });
}
