/**
 * Pictures of the user's own, as a source that the runtime's loader takes. They are decoded here and go nowhere. A canvas has
 * 8 bits: of 16-bit files a page sees less than `jepac train` does.
 */

/** Pictures kept at most; each is scaled down to twice the program's size, so that crops still have something to take. */
const MOST = 4096;

/**
 * A source of the pictures among `files`, for views of `side` pixels; `onSmall` is what the program does with those that are
 * smaller. Throws, with the way out, for fewer than `least`.
 */
export async function folderPictures(files, { side, least, onSmall }, say) {
  const given = files.filter((file) => file.type.startsWith("image/"));
  const pictures = [];
  let broken = 0;
  for (const file of given.slice(0, MOST)) {
    const picture = await decode(file, side * 2).catch(() => undefined);
    if (picture === undefined) broken += 1;
    else pictures.push({ ...picture, name: file.webkitRelativePath || file.name });
    if (pictures.length % 50 === 0) say(`Reading pictures: ${pictures.length} of ${Math.min(given.length, MOST)} …`);
  }
  const left = [broken === 0 ? "" : `${broken} could not be decoded`, given.length > MOST ? `the first ${MOST} are taken` : ""].filter(Boolean).join(", ");
  if (pictures.length < least) throw Object.assign(new Error(`The folder holds ${pictures.length} pictures that this browser reads${left === "" ? "" : ` (${left})`}, and a batch needs ${least}.`), { help: "Choose a folder with more JPEG, PNG or WebP files." });
  const name = `${pictures.length} pictures of a folder${left === "" ? "" : ` (${left})`}`;
  return {
    name, size: pictures.length, factors: [], spec: undefined, onCorrupt: "refuse", onSmall,
    report: { images: pictures.length, stray: [], strayCount: 0, lines: [name] },
    describe: (index) => pictures[index].name,
    label: () => -1,
    decode: async (index) => pictures[index],
  };
}

async function decode(file, side) {
  const bitmap = await createImageBitmap(file);
  const shrink = Math.min(1, side / Math.min(bitmap.width, bitmap.height));
  const [width, height] = [Math.max(1, Math.round(bitmap.width * shrink)), Math.max(1, Math.round(bitmap.height * shrink))];
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = pen.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.set(data.subarray(i * 4, i * 4 + 3), i * 3);
  return { width, height, data: rgb };
}
