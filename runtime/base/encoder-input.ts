/**
 * The pictures or clips that an encoder takes when it runs alone.
 *
 * Owns the one look-up from an encoder of the manifest to frames, height, width and channels: engines, probes and exports must
 * agree on it.
 */
import type { EncoderInfo, ImageInput, Manifest } from "../abi.js";
import { HostError } from "./errors.js";

/** Height, width and channels of an encoder's pictures, frames too of its clips; undefined where the manifest does not say. */
export function encoderPicture(manifest: Pick<Manifest, "inputs">, encoder: Pick<EncoderInfo, "input" | "size">): Omit<ImageInput, "name"> | undefined {
  return encoder.size ?? manifest.inputs.find((input) => input.name === encoder.input);
}

/** Throws `HostError` "mismatch" where `values` numbers are not `n` pictures of the encoder's size. */
export function checkPictures(manifest: Pick<Manifest, "inputs">, encoder: Pick<EncoderInfo, "name" | "input" | "size">, values: number, n: number): void {
  const picture = encoderPicture(manifest, encoder);
  if (picture === undefined) return;
  const { frames, height, width, channels } = picture;
  if (values !== n * (frames ?? 1) * height * width * channels) {
    const what = frames === undefined ? "pictures" : `clips of ${frames} frames`;
    throw new HostError("mismatch", `the encoder ${encoder.name} takes ${what} of height ${height}, width ${width} and ${channels} channels; ${values} numbers are not ${n} of them`, `give [count, ${frames === undefined ? "" : "frames, "}height, width, channels], normalized as in training`);
  }
}
