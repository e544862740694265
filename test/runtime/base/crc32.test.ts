/** The checksum in both of its ways: the check value of the published CRC-32, and the bytes of a zip writer's library. */
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32, plainCrc32 } from "../../../runtime/base/crc32.js";

test("CRC-32/ISO-HDLC of 123456789 is its published check value, with zlib and without", () => {
  const digits = new TextEncoder().encode("123456789");
  expect([crc32(digits), plainCrc32(digits)]).toEqual([0xcbf43926, 0xcbf43926]);
  expect([crc32(new Uint8Array(0)), plainCrc32(new Uint8Array(0))]).toEqual([0, 0]);
});

test("without zlib it is what zlib says, for any bytes wherever they lie in a buffer", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(9), (bytes, from) => {
    const part = bytes.subarray(Math.min(from, bytes.length));
    expect(plainCrc32(part)).toBe(zlibCrc32(part));
  }));
});
