// The examples in FORMAT.md are what this code makes and reads.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readTokenFrame, writeTokenFrame } from '../wire/tokenFrame.ts';
import { decodeFrame, encodeFrame } from './index.ts';

const page = readFileSync(new URL('../../FORMAT.md', import.meta.url), 'utf8');
const dump = [...page.matchAll(/^ {4}[0-9a-f]{4} {2}((?:[0-9a-f]{2} ?)+)$/gm)]
  .map((line) => line[1]!.trim())
  .join(' ');
const bytes = Uint8Array.from(dump.split(' '), (hex) => Number.parseInt(hex, 16));

test('encoding gives the bytes on the page', () => {
  const data = Float32Array.of(0.5, -2, 0, 1, 3, -0.25, 0.125, 1.5);
  const frame = encodeFrame([{ dtype: 'float32', shape: [2, 4], data }], {
    codec: {
      family: 'slicer',
      keep: 0.75,
      asymmetry: 1,
      blocks: 2,
      budget: { kind: 'max-error', delta: 0.05 },
    },
    modelTag: '0123456789abcdef',
    cut: 1,
    meta: { id: 7 },
  });
  expect(bytes.length).toBe(104);
  expect(frame).toEqual(bytes);
});

test('decoding gives the values on the page', () => {
  const { tensors } = decodeFrame(bytes);
  expect([...(tensors[0]!.data as Float32Array)].map((x) => x.toPrecision(8))).toEqual(
    [0.5, -1.9285715, 0, 1, 3, -0.25, 0, 1.5].map((x) => x.toPrecision(8)),
  );
});

test('the token frame on the page', () => {
  const [, opening, hex] = /checksum is (0x[0-9a-f]{8}), is\s+`([0-9a-f ]+)`/.exec(page)!;
  const frame = Uint8Array.from(hex!.split(' '), (byte) => Number.parseInt(byte, 16));
  const place = { context: 2, opening: Number(opening), sequence: 1 };
  const content = { same: true, body: Uint8Array.of(1, 0xff, 7) };
  expect(writeTokenFrame(place, content)).toEqual(frame);
  expect(readTokenFrame(place, frame)).toEqual(content);
});
