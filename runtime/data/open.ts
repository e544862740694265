/**
 * Sources from plain data.
 *
 * Owns the one place that knows every kind of source, so that a worker thread can rebuild what the main thread opened.
 */
import { folderFromSpec } from "./folder.js";
import type { ImageSource, SourceSpec } from "./source.js";
import { syntheticSource } from "./synthetic.js";

/** The source that a spec describes; nothing is read until a picture is decoded. */
export function openSource(spec: SourceSpec): ImageSource {
  return spec.kind === "synthetic" ? syntheticSource(spec) : folderFromSpec(spec);
}
