/**
 * A machine without a driver: one message, and the command that gets one. In a file of its own, because a process that
 * has looked for drivers once does not look again.
 */
import { expect, test } from "vitest";
import { nodeLimits, openNodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { compilePlan } from "../../../compiler/targets/wgsl/programs.js";

test("no adapter at all is said with the command that gets one", async () => {
  if (process.platform !== "linux") {
    console.warn("NOT TESTED: a machine without a driver: only Vulkan's loader can be told to find none");
    return;
  }
  process.env["VK_DRIVER_FILES"] = "/nonexistent/icd.json";
  process.env["VK_ICD_FILENAMES"] = "/nonexistent/icd.json";
  const wanted = { name: "HostError", code: "no-engine", help: expect.stringMatching(/setup-vulkan\.mjs|npm install/) };
  await expect(openNodeDevice(compilePlan().module)).rejects.toMatchObject(wanted);
  await expect(nodeLimits()).rejects.toMatchObject(wanted);
}, 60_000);
