/**
 * CRC-32, as PNG and zip have it.
 *
 * Owns the one checksum of the project, for pieces of files that may have been damaged on their way (not for what somebody
 * wants to forge). Node has one in zlib from 20.15 on, several times as fast, which counts for large checkpoints; where there
 * is none, as in a page, plain JavaScript gives the same numbers.
 */

/** `TABLES[k * 256 + b]`: what byte `b` adds once `k` more bytes have passed. */
const TABLES = makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] ?? 0;
    tables[at] = (before >>> 8) ^ (tables[before & 255] ?? 0);
  }
  return tables;
}

const native = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:zlib").crc32;

/** The CRC-32 of some bytes (polynomial 0xEDB88320), 0 to 2^32 - 1. */
export function crc32(bytes: Uint8Array): number {
  return native === undefined ? plainCrc32(bytes) : native(bytes);
}

/** `crc32` where there is no zlib. */
export function plainCrc32(bytes: Uint8Array): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = -1;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    const low = crc ^ words.getInt32(at, true);
    const high = words.getInt32(at + 4, true);
    crc = entry(0x700 | (low & 255)) ^ entry(0x600 | ((low >>> 8) & 255)) ^ entry(0x500 | ((low >>> 16) & 255)) ^ entry(0x400 | (low >>> 24))
      ^ entry(0x300 | (high & 255)) ^ entry(0x200 | ((high >>> 8) & 255)) ^ entry(0x100 | ((high >>> 16) & 255)) ^ entry(high >>> 24);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ entry((crc ^ (bytes[at] ?? 0)) & 255);
  return (crc ^ -1) >>> 0;
}

function entry(at: number): number {
  return TABLES[at] ?? 0;
}
