/** Who may train into a folder: processes of this machine by their number and start, those of others by their sign's age. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { openClaim } from "../../../runtime/train/claim.js";
import type { Claim } from "../../../runtime/train/claim.js";

let folder = "";
let path = "";
let said: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jepac-claim-"));
  path = join(folder, "running.json");
  said = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function claim(): Claim {
  return openClaim(folder, (text) => said.push(text));
}

/** What a claim that is not granted says. */
function refusal(work: () => void = () => claim().take()): string {
  try {
    work();
  } catch (error) {
    if (error instanceof HostError) return `${error.code}: ${error.message}; ${error.help}`;
    throw error;
  }
  return "granted";
}

/** The sign that a process of this machine writes, by taking the folder itself. */
function ownSign(): Readonly<Record<string, unknown>> {
  const own = claim();
  own.take();
  const sign: Readonly<Record<string, unknown>> = JSON.parse(readFileSync(path, "utf8"));
  own.release();
  return sign;
}

function age(seconds: number): void {
  const then = new Date(Date.now() - seconds * 1000);
  utimesSync(path, then, then);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

test("a run of another machine is told by its name while its sign is young, and nothing is left by asking", () => {
  writeFileSync(path, JSON.stringify({ pid: 77, host: "elsewhere", since: "2001-01-01T00:00:00Z" }));
  expect(refusal()).toMatch(/^usage: a process on the machine elsewhere \(77\) is training into .* by its sign of \d+ s ago; .* until its sign is 120 s old, or remove .*running\.json$/);
  expect(readdirSync(folder)).toEqual(["running.json"]);
  age(100);
  expect(refusal()).toContain("the machine elsewhere (77)");
});

test("one whose sign has aged is replaced, and that is said", () => {
  writeFileSync(path, JSON.stringify({ pid: 77, host: "elsewhere", since: new Date().toISOString() }));
  age(130);
  const own = claim();
  own.take();
  expect(said).toEqual([`process 77 on elsewhere was training into ${folder} and gives no sign of life: this run takes its place`]);
  own.release();
  expect(existsSync(path)).toBe(false);
});

test("a machine of the same name is another one where its start is another", () => {
  const boot = ownSign()["boot"];
  if (boot === undefined) return expect(process.platform).not.toBe("linux");
  writeFileSync(path, JSON.stringify({ ...ownSign(), pid: 77, boot: "another" }));
  expect(refusal()).toContain("before this machine was started, in another container, or on another machine of its name (77)");
});

test("numbers of processes in another container on this machine are told from those here", () => {
  const { boot, ...sign } = ownSign();
  if (boot === undefined) return expect(process.platform).not.toBe("linux");
  writeFileSync(path, JSON.stringify({ ...sign, boot: String(boot).replace(/pid:\[\d+\]/, "pid:[1]") }));
  expect(refusal()).toContain(`in another container, or on another machine of its name (${process.pid})`);
});

test("a run renews its sign before that is old, and gives the folder up to a process that has taken it", () => {
  const own = claim();
  own.take();
  age(60);
  own.hold("now");
  expect(Date.now() - statSync(path).mtimeMs).toBeLessThan(30_000);
  const other = JSON.stringify({ pid: 78, host: "elsewhere", since: new Date().toISOString() });
  writeFileSync(path, other);
  expect(refusal(() => own.hold("now"))).toMatch(/^usage: another process \(78 on elsewhere\) has taken over .* this one stops/);
  own.release();
  expect(readFileSync(path, "utf8")).toBe(other);
});

test("a sign that cannot be looked at or removed as a run ends is told, and hides no error of the run", () => {
  const own = claim();
  own.take();
  rmSync(path);
  mkdirSync(path);
  own.release();
  expect(said).toEqual([expect.stringMatching(/^cannot remove .*running\.json: cannot read /)]);
});

test("a number of a process that was given again is no run, whatever clocks say", async () => {
  const sign = ownSign();
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  writeFileSync(path, JSON.stringify({ ...sign, pid: child.pid, began: "1" }));
  if (sign["began"] !== undefined) expect(refusal()).toBe("granted");
  await end(child);
});

test("a live run counts although the clock was set after it began", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", `
    import { openClaim } from ${JSON.stringify(new URL("../../../dist/runtime/train/claim.js", import.meta.url).href)};
    openClaim(${JSON.stringify(folder)}, () => {}).take();
    console.log("taken");
    setInterval(() => {}, 1000);`]);
  await once(child.stdout, "data");
  const sign: Readonly<Record<string, unknown>> = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...sign, since: "1970-01-01T00:00:00Z" }));
  if (sign["began"] !== undefined) expect(refusal()).toContain(`another process (${child.pid}) is training`);
  await end(child);
  expect(refusal()).toBe("granted");
  expect(sign["host"]).toBe(hostname());
});

test("a run renews its sign while it computes and comes to nothing else", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", `
    import { utimesSync, writeSync } from "node:fs";
    import { openClaim } from ${JSON.stringify(new URL("../../../dist/runtime/train/claim.js", import.meta.url).href)};
    openClaim(${JSON.stringify(folder)}, () => {}).take();
    utimesSync(${JSON.stringify(path)}, 1, 1);
    writeSync(1, "taken");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`]);
  await once(child.stdout, "data");
  await expect.poll(() => statSync(path).mtimeMs, { timeout: 60_000 }).toBeGreaterThan(Date.now() - 60_000);
  await end(child);
}, 90_000);
