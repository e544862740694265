/**
 * The page in headless Chromium: a collapsing program refused and mended, twenty steps number by number beside Node, weights that
 * Node reads, pictures of a folder, what its curve tells, and what it says when there is no WebGPU, when the device is lost, and
 * when a folder is too small.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { syntheticSource } from "../../../../runtime/data/synthetic.js";
import { openBatches } from "../../../../runtime/train/batches.js";
import { checkFits, decodeCheckpoint } from "../../../../runtime/train/checkpoint.js";
import { resolveRecipe } from "../../../../runtime/train/recipe.js";
import { engineFor, moduleOf } from "../../../compiler/targets/wgsl/programs.js";
import { compileRepo } from "../../../fidelity/compiled.js";
import { openBrowser, openPage, servePage, until } from "./browser.js";

vi.setConfig({ testTimeout: 900_000, hookTimeout: 300_000 });

const STEPS = 20;
const file = "examples/browser/page-test.jepa";
/** Small enough for SwiftShader on a busy machine; checkpoints every four steps. */
const text = `use "./ijepa-page.jepa"
variant page_test of ijepa_page {
  param width = 24
  param depth = 1
  param heads = 2
  predictor predict = vit_predictor(width: 16, depth: 1, heads)
  train {
    data  shapes(count: 8) { random_resized_crop(scale: 0.3..1.0) }
    batch 2
    epochs 40
    checkpoint_every 1 epochs
  }
}
`;

/** Both sides are trained; small, so that SwiftShader has few kernels to compile. */
const collapsing = `use std.vit

model two_views {
  input image: Image[16, 16, 3]
  view a, b = augment(image) { random_resized_crop(scale: 0.3..1.0) }

  encoder f = patch_embedding(patch: 8, width: 8)
  predictor h = linear(8)
  z1 = pool(f(a))
  z2 = pool(f(b))
  loss negative_cosine(h(z1), z2)
}

train two_views {
  data shapes(count: 8)
  batch 4
  epochs 1
}
`;

let browser: Browser | undefined;
let server: { readonly address: string; close(): void } | undefined;
beforeAll(async () => {
  browser = await openBrowser({ webgpu: true });
  if (browser !== undefined) server = await servePage(file, text);
});
afterAll(async () => {
  await browser?.close();
  server?.close();
});

const said = (page: Page): Promise<string> => page.evaluate("document.getElementById('said').textContent");
const noted = (page: Page): Promise<string> => page.evaluate("document.getElementById('note').textContent");
const done = "window.jepac.done || window.jepac.error";

test("a collapsing program that is typed is refused with the reason, its fix makes it sound, and it trains", async () => {
  if (browser === undefined || server === undefined) return;
  const { page, noise } = await openPage(browser, server.address);
  await until(page, "window.jepac.overview?.program?.standing === 'sound' && !document.getElementById('start').disabled", noise);
  await page.fill("#text", collapsing);
  await until(page, "window.jepac.overview.program?.standing === 'error'", noise);
  expect(await page.textContent("#verdict")).toMatch(/^Refused.*two_views: 1 error/);
  const findings = await page.textContent("#findings");
  expect(findings).toContain("Both sides of negative_cosine are trained and nothing keeps f from a constant.");
  expect(findings).toContain("SimSiam (Chen and He, 2021)");
  // Nothing is trained that is refused.
  await page.fill("#steps", "2");
  await page.click("#start");
  await until(page, "window.jepac.error", noise);
  expect(await noted(page)).toMatch(/^The compiler refuses this program, first in line 11: Both sides/);
  await page.evaluate("window.jepac.error = undefined");

  await page.click("text=Fix: Stop the gradient of the target");
  await until(page, "window.jepac.overview.program?.standing === 'sound'", noise);
  const mended = collapsing.replace("h(z1), z2", "h(z1), stopgrad(z2)");
  expect(await page.inputValue("#text")).toBe(mended);
  expect(await page.textContent("#proof")).toContain("f is held by dynamics: h predicts, and the target is stopped.");
  await page.keyboard.press("Control+Z");
  expect(await page.inputValue("#text"), "a fix is undone like what was typed").toBe(collapsing);
  await page.keyboard.press("Control+Shift+Z");
  expect(await page.inputValue("#text")).toBe(mended);
  await page.keyboard.press("Control+Enter");
  await until(page, done, noise);
  expect(await noted(page)).toBe("");
  expect(await said(page)).toBe("Done: 2 steps.");
  expect((await page.evaluate<number[]>("window.jepac.losses")).map(Number.isFinite)).toEqual([true, true]);
  expect(await page.textContent("#numbers")).toMatch(/A step of 4 pictures takes [\d.]+ MiB/);
  expect(await page.getAttribute("#graph", "alt")).toBe("model graph of two_views");
  expect(await page.evaluate("import('/sources.js').then((m) => m.programOfFragment(location.hash))"), "the address holds the program").toEqual({ file, text: mended });
  expect(noise).toEqual([]);
  await page.close();
});

test("a page trains twenty steps on the batches and with the losses of Node, and Node loads its weights bit for bit", async () => {
  if (browser === undefined || server === undefined) return;
  const { page, noise } = await openPage(browser, `${server.address}?auto&steps=${STEPS}`);
  await until(page, done, noise);
  expect(await noted(page)).toBe("");
  const losses: number[] = await page.evaluate("window.jepac.losses");
  expect(losses.length).toBe(STEPS);
  for (const id of ["loss", "rank"]) expect(await page.locator(`#${id} svg path.line`).count(), `${id} curve`).toBeGreaterThan(0);
  expect(await page.locator("#masks canvas").count()).toBe(2);
  expect(await page.locator("#features canvas").count()).toBe(16);
  expect(await page.evaluate("document.getElementById('features-step').textContent")).toBe(`after step ${STEPS}`);
  expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no overflow").toBe(true);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  expect(download.suggestedFilename()).toBe(`page_test-step${STEPS}.safetensors`);
  expect(await page.isHidden("#other-text")).toBe(true);
  await page.fill("#text", `${text}# another\n`);
  expect(await page.textContent("#other-text")).toContain("what is shown here is of the text as it was");
  expect(await page.isVisible("#other-text")).toBe(true);
  const saved = decodeCheckpoint(new Uint8Array(readFileSync(await download.path())), "the download");
  const bits: [string, number[]][] = await page.evaluate("(async () => [...await window.jepac.run.engine.exportState()].map(([name, x]) => [name, [...new Uint32Array(x.buffer, x.byteOffset, x.length)]]))()");
  expect(noise).toEqual([]);
  await page.close();

  const compiled = compileRepo(file, { text });
  const ready = { ...compiled, module: moduleOf(compileRepo(file, { text, target: "wgsl" })) };
  const { manifest } = ready;
  checkFits(saved, manifest, "the download");
  expect([saved.step, saved.program]).toEqual([STEPS, "page_test"]);
  expect(bits.length).toBeGreaterThan(manifest.parameters.length);
  expect([...saved.state.keys()].sort()).toEqual(bits.map(([name]) => name).sort());
  for (const [name, wanted] of bits) expect(bitsOf(saved.state.get(name)), name).toEqual(wanted);

  const engine = await engineFor(ready, manifest.train.seed);
  if (engine === undefined) return;
  // The loader with its permutations, crops and masks, as `jepac train` has it.
  const source = syntheticSource({ count: 8, side: 32, seed: 0 });
  const recipe = resolveRecipe(manifest, 8, { duration: { unit: "steps", value: STEPS } });
  const batches = await openBatches(manifest, source, recipe, { workers: 0 });
  const own: number[] = [];
  for (let step = 1; step <= STEPS; step++) own.push((await engine.step(await batches.next(step - 1), recipe.hyperAt(step), { watch: false, gradientNorm: false })).loss);
  const worst = Math.max(...own.map((x, i) => Math.abs(x / (losses[i] ?? NaN) - 1)));
  console.info(`page beside Node, worst loss of ${STEPS}: ${worst.toExponential(1)} relative; from ${own[0]?.toFixed(4)} to ${own.at(-1)?.toFixed(4)}`);
  expect(worst).toBeLessThan(1e-3);
  expect(new Set(own.map((x) => x.toFixed(5))).size).toBeGreaterThan(STEPS / 2);
  await engine.importState(saved.state);
  const again = await engine.exportState();
  for (const [name, wanted] of bits) expect(bitsOf(again.get(name)), name).toEqual(wanted);
  await batches.close();
  engine.dispose();
});

test("a lost device is said, and the page goes on from its last checkpoint on a new one", async () => {
  if (browser === undefined || server === undefined) return;
  const { page, noise } = await openPage(browser, `${server.address}?auto&steps=9`);
  await until(page, "window.jepac.run.checkpoint?.step >= 4", noise);
  await page.evaluate("window.jepac.run.device.destroy()");
  await until(page, done, noise);
  expect(await noted(page)).toMatch(/was lost.*\nGo on from step \d+: a new device is opened\./);
  await page.evaluate("window.jepac.error = undefined");
  await page.click("#start");
  await until(page, done, noise);
  expect(await noted(page)).toBe("");
  expect(await said(page)).toBe("Done: 9 steps.");
  await page.close();
});

test("a loss that is not a number ends the run in words: which step, and what was kept before", async () => {
  if (browser === undefined) return;
  const wild = await servePage(file, text.replace("batch 2", "batch 2\n    learning_rate 1e30"));
  try {
    const { page, noise } = await openPage(browser, `${wild.address}?auto&steps=9`);
    await until(page, done, noise);
    expect(await noted(page)).toMatch(/^Step \d+: the loss is [-\w]+; no checkpoint had been kept yet\.\n/);
    await page.close();
  } finally {
    wild.close();
  }
});

test("pictures of a folder are taken; too few of them, or files that are none, are said", async () => {
  if (browser === undefined || server === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "jepac-page-"));
  try {
    const { page, noise } = await openPage(browser, `${server.address}?steps=2`);
    await until(page, "!document.getElementById('start').disabled", noise);
    const picture = (i: number): ReturnType<typeof sharp> => sharp({ create: { width: 90 + i, height: 60, channels: 3, background: { r: 60 * i, g: 90, b: 30 } } });
    await picture(0).png().toFile(join(folder, "one.png"));
    await page.setInputFiles("#folder", folder);
    await until(page, "window.jepac.error", noise);
    expect(await noted(page)).toBe("The folder holds 1 pictures that this browser reads, and a batch needs 2.\nChoose a folder with more JPEG, PNG or WebP files.");
    expect(await page.evaluate("document.getElementById('folder').files.length"), "what is refused is not shown as taken").toBe(0);
    await picture(1).jpeg().toFile(join(folder, "two.jpg"));
    // Smaller than a view: scaled up, as under Node.
    await picture(2).resize(40, 9).webp().toFile(join(folder, "three.webp"));
    await page.evaluate("window.jepac.error = undefined");
    // Held back while the folder is read: Train would take generated pictures.
    await page.evaluate("new MutationObserver(() => { const { textContent, disabled } = document.getElementById('start'); (window.starts ??= []).push(`${textContent} ${disabled}`); }).observe(document.getElementById('start'), { childList: true, attributes: true, subtree: true })");
    await page.setInputFiles("#folder", folder);
    await until(page, "/Ready, on 3/.test(document.getElementById('said').textContent)", noise);
    expect(await page.evaluate("window.starts")).toEqual(["Reading the folder … true", "Train false"]);
    await page.click("#start");
    await until(page, done, noise);
    expect(await noted(page)).toBe("");
    expect(await page.locator("#features canvas").count()).toBe(6);
    const losses: number[] = await page.evaluate("window.jepac.losses");
    expect(losses.map(Number.isFinite)).toEqual([true, true]);
    expect(await page.evaluate("(() => { const steps = document.getElementById('steps'); steps.value = ''; return steps.checkValidity(); })()"), "no number of steps").toBe(false);
    expect(noise).toEqual([]);
    await page.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a program that refuses small pictures is obeyed, and the file is named as it is called", async () => {
  if (browser === undefined) return;
  const strict = await servePage(file, text.replace("shapes(count: 8)", 'images("anywhere", on_small: refuse)'));
  const folder = mkdtempSync(join(tmpdir(), "jepac-page-"));
  try {
    const { page, noise } = await openPage(browser, `${strict.address}?steps=1`);
    await until(page, "!document.getElementById('start').disabled", noise);
    for (const name of ["one.png", "two.png"]) await sharp({ create: { width: 40, height: 9, channels: 3, background: "red" } }).png().toFile(join(folder, name));
    await page.setInputFiles("#folder", folder);
    await until(page, "/Ready, on 2/.test(document.getElementById('said').textContent)", noise);
    await page.click("#start");
    await until(page, done, noise);
    expect(await noted(page)).toMatch(/^jepac-page-\w+\/(one|two)\.png has 40 x 9 pixels, smaller than a view of 32 x 32\./);
    await page.close();
  } finally {
    strict.close();
    rmSync(folder, { recursive: true });
  }
});

test("a browser without WebGPU is told how to get it, and nothing can be started", async () => {
  const plain = await openBrowser({ webgpu: false });
  if (plain === undefined || server === undefined) return;
  try {
    const { page, noise } = await openPage(plain, server.address);
    await until(page, "window.jepac.error", noise);
    expect(await noted(page)).toMatch(/WebGPU[^]*--enable-unsafe-webgpu/);
    expect(await page.isDisabled("#start")).toBe(true);
    expect(await page.evaluate("scrollY"), "read from its top").toBe(0);
    // A warning in line 2 stands behind the error below it; the numbers say of what they are.
    const warned = collapsing.replace("model two_views {", "model two_views {\n  encoder unused = patch_embedding(patch: 8, width: 8)").replace("h(z1), z2", "h(z1), stopgrad(z2)");
    await page.fill("#text", `${warned}variant wide of two_views {\n  predictor h = linear(9)\n}\n`);
    await until(page, "document.querySelectorAll('.finding').length > 1", noise);
    expect(await page.evaluate("document.querySelector('.finding').className")).toBe("finding error");
    expect(await page.locator(".finding.warning").count()).toBeGreaterThan(0);
    await page.selectOption("#program", "wide");
    await until(page, "document.getElementById('numbers').textContent.includes('Of the text with its mistakes')", noise);
  } finally {
    await plain.close();
  }
});

test("without WebGPU too: what may be written, a planner that fails, a reload in haste, UTF-16, a chosen program that is renamed, a damaged link", async () => {
  const plain = await openBrowser({ webgpu: false });
  if (plain === undefined || server === undefined) return;
  try {
    const { page, noise } = await openPage(plain, server.address);
    const two = `${collapsing.replace("h(z1), z2", "h(z1), stopgrad(z2)")}variant other of two_views {\n  predictor h = linear(8)\n}\n`;
    const shown = (name: string): Promise<void> => until(page, `window.jepac.overview?.program?.name === "${name}" && document.getElementById("numbers").textContent.includes("MiB")`, noise);
    await page.fill("#text", two);
    await shown("two_views");
    await page.selectOption("#program", "other");
    await shown("other");
    await page.fill("#text", two.replace("variant other", "variant another"));
    await shown("two_views");
    expect(await page.textContent("#findings")).toBe("");

    // What may be written: a word that is begun is offered whole, and only what was chosen is put in.
    await page.fill("#text", "use std.vit\nmodel m {\n  ");
    await page.press("#text", "Control+End");
    await page.keyboard.type("enc");
    await until(page, "!document.getElementById('offered').hidden", noise);
    expect(await page.locator("#offered li").first().textContent()).toMatch(/^encoder/);
    await page.keyboard.press("Enter");
    expect(await page.inputValue("#text")).toMatch(/ {2}enc\n {2}$/);
    await page.keyboard.press("Control+Z");
    await page.keyboard.type("o");
    await until(page, "!document.getElementById('offered').hidden", noise);
    await page.keyboard.press("ArrowDown");
    expect(await page.getAttribute("#text", "aria-activedescendant")).toBe("offered-0");
    await page.keyboard.press("Enter");
    expect(await page.inputValue("#text")).toMatch(/\n {2}encoder$/);
    expect(await page.isHidden("#offered")).toBe(true);
    await page.keyboard.type(" f = vit(");
    await page.keyboard.press("Control+Space");
    await until(page, "!document.getElementById('offered').hidden", noise);
    expect(await page.locator("#offered li").allTextContents()).toEqual(expect.arrayContaining([expect.stringMatching(/^patch:/), expect.stringMatching(/^width:/)]));
    await page.keyboard.press("Escape");
    expect(await page.isHidden("#offered")).toBe(true);

    // A planner that fails; a device that is none is one that the compiler throws for.
    await page.evaluate("{ const post = Worker.prototype.postMessage; window.mended = () => { Worker.prototype.postMessage = post; }; Worker.prototype.postMessage = function (m) { post.call(this, m.kind === 'compile' ? { ...m, device: 3 } : m); }; }");
    await page.fill("#text", two.replace("linear(8)", "linear( 8)"));
    await until(page, "/could not be planned\\. The compiler failed: /.test(document.getElementById('numbers').textContent)", noise);
    await page.evaluate("window.mended()");
    const utf16 = Buffer.from(`\ufeff${two.replaceAll("two_views", "zwei")}`, "utf16le");
    await page.setInputFiles("#chosen", { name: "wide.jepa", mimeType: "text/plain", buffer: utf16 });
    await shown("zwei");
    await page.setInputFiles("#chosen", { name: "bare.jepa", mimeType: "text/plain", buffer: utf16.subarray(2) });
    await until(page, "window.jepac.error", noise);
    expect(await noted(page)).toMatch(/^bare\.jepa cannot be read: it is UTF-16 without a byte-order mark/);

    // Sooner than the address takes it in.
    await page.fill("#text", `${two}// the last word`);
    await page.reload();
    await until(page, "window.jepac?.overview?.program !== undefined", noise);
    expect(await page.inputValue("#text")).toBe(`${two}// the last word`);
    await shown("two_views");
    await page.goto(`${server.address}#text=none`);
    await page.reload();
    await until(page, "window.jepac?.error", noise);
    expect(await noted(page)).toContain("The link holds a program that cannot be read.");
  } finally {
    await plain.close();
  }
});

test("the curve of the loss ends with the loss that was measured last, and says that it is smoothed", async () => {
  const plain = await openBrowser({ webgpu: false });
  if (plain === undefined || server === undefined) return;
  try {
    const { page } = await openPage(plain, server.address);
    const shown = (losses: readonly number[]): Promise<{ end: string; words: string; ticks: string[]; lines: number }> => page.evaluate(`import("/show.js").then(({ showCurves }) => {
      const box = document.getElementById("loss");
      showCurves(box, document.getElementById("rank"), ${JSON.stringify(losses.map((loss, i) => [i + 1, loss]))}, new Map());
      return {
        end: box.querySelector(".end").firstChild.textContent,
        words: box.querySelector("p")?.textContent ?? "",
        ticks: [...box.querySelectorAll(".tick[text-anchor=middle]")].map((tick) => tick.textContent),
        lines: box.querySelectorAll("path").length,
      };
    })`);
    expect(await shown([0.5])).toEqual({ end: "0.5", words: "", ticks: ["1"], lines: 1 });
    const falling = [...Array.from({ length: 99 }, (_, i) => 1 - i / 200), 0.2564];
    expect(await shown(falling)).toMatchObject({ end: "0.256", words: expect.stringContaining("smoothed"), lines: 2 });
  } finally {
    await plain.close();
  }
});

function bitsOf(x: Float32Array | undefined): number[] {
  return x === undefined ? [] : [...new Uint32Array(x.buffer, x.byteOffset, x.length)];
}
