// The checksum against published values and against Node's own zlib.
import { crc32 as zlibCrc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { crc32 } from './crc32.ts';

test('equals the check value of the standard', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});

test('equals zlib for every length and alignment near the eight-byte step', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => (i * 197 + 31) & 255);
  for (let from = 0; from < 9; from++)
    for (let to = from; to <= 64; to++) {
      const part = bytes.subarray(from, to);
      if (crc32(part) !== zlibCrc32(part)) expect.fail(`bytes ${from}…${to}`);
    }
});

test('goes on where it ended', () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * i) & 255);
  expect(crc32(bytes.subarray(333), crc32(bytes.subarray(0, 333)))).toBe(zlibCrc32(bytes));
});
