/**
 * Sources from plain data.
 *
 * Owns the one place that knows every kind of source, so that a worker thread can rebuild what the main thread opened.
 */
import { arraysFromSpec } from "./arrays.js";
import { filmsFromSpec } from "./films.js";
import { folderFromSpec } from "./folder.js";
import type { ImageSource, SourceSpec } from "./source.js";
import { syntheticSource, waveSource } from "./synthetic.js";

/** The source that a spec describes; nothing is read until a picture is decoded. */
export function openSource(spec: SourceSpec): ImageSource {
  switch (spec.kind) {
    case "synthetic": return syntheticSource(spec);
    case "waves": return waveSource(spec);
    case "arrays": return arraysFromSpec(spec);
    case "folder": return folderFromSpec(spec);
    case "films": return filmsFromSpec(spec);
  }
}
