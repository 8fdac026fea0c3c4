// The reference codec against its committed vectors, and each vector against what the format promises about it.
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { crc32 } from '../../wire/crc32.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import { type EncodedTensor, survivorLimit, TENSOR_FLAGS } from '../params.ts';
import { decodeSlicer } from './decodeSlicer.ts';
import { encodeSlicer } from './encodeSlicer.ts';
import { EXPECTED } from './expected.ts';
import { sanitise, survivalKey } from './float.ts';
import { VECTORS, type Vector } from './vectors.ts';

const accepted = VECTORS.filter((v) => !v.refused);

function frameOf(tensor: EncodedTensor): Uint8Array {
  return writeFrame({ kind: 'request', modelTag: '0123456789abcdef', cut: 0, meta: {}, tensors: [tensor] });
}

const encode = (v: Vector) => encodeSlicer(v.data(), v.shape, v.plan);

if (process.env.ISTHMUS_WRITE_VECTORS) {
  const rows = accepted.map((v) => {
    const frame = frameOf(encode(v));
    return `  ${JSON.stringify(v.name)}: { bytes: ${frame.length}, crc32: 0x${crc32(frame).toString(16).padStart(8, '0')} },\n`;
  });
  const file = new URL('./expected.ts', import.meta.url);
  const head = `// Length and CRC-32 of the reference frame of every vector: the bytes that every encoder has to make. Written by
// vectors.test.ts with ISTHMUS_WRITE_VECTORS=1; a change here is a change of the format.
export const EXPECTED: Readonly<Record<string, { bytes: number; crc32: number }>> = {
`;
  writeFileSync(file, `${head}${rows.join('')}};\n`);
}

test('names are unique and every accepted vector has its expectation', () => {
  expect(new Set(VECTORS.map((v) => v.name)).size).toBe(VECTORS.length);
  expect(Object.keys(EXPECTED).sort()).toEqual(accepted.map((v) => v.name).sort());
});

test.each(accepted)('$name: the committed bytes', (v) => {
  const frame = frameOf(encode(v));
  expect({ bytes: frame.length, crc32: crc32(frame) }).toEqual(EXPECTED[v.name]);
});

test.each(VECTORS.filter((v) => v.refused))('$name: refused', (v) => {
  expect(() => encode(v)).toThrowError(expect.objectContaining({ code: 'FEATURE_NOT_FINITE' }));
});

describe('what a decoder gets back', () => {
  test.each(accepted)('$name', (v) => {
    const encoded = encode(v);
    const decoded = decodeSlicer(encoded);
    const { bits, replaced } = sanitise(v.data(), false);
    const clean = new Float32Array(bits.buffer);
    expect((encoded.flags & TENSOR_FLAGS.SANITISED) !== 0).toBe(replaced);
    expect(decoded.length).toBe(clean.length);
    if (encoded.flags & TENSOR_FLAGS.CONST) {
      expect(decoded).toEqual(clean);
      expect(encoded.payload.length).toBe(0);
      return;
    }
    const keys = Array.from(bits, (b) => survivalKey(b, v.plan.asymmetryQ8));
    const alive = keys.filter((k) => k > 0).length;
    const survivors = new DataView(encoded.params.buffer).getUint32(0, true);
    expect(survivors).toBe(Math.min(alive, survivorLimit(bits.length, v.plan.keepQ16)));
    // Nothing that was dropped may have a larger key than something that was kept.
    const largest = clean.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const weakestKept = keys.reduce(
      (m, k, i) => (decoded[i] !== 0 ? Math.min(m, k) : m),
      Number.POSITIVE_INFINITY,
    );
    const unit = 2 ** (Math.max(1, encoded.params[4]!) - 150);
    const step = v.plan.mode === 'step' ? Math.max(v.plan.budgetQ16 / 65536, 1 / 255) : 2;
    clean.forEach((x, i) => {
      const y = decoded[i]!;
      if (keys[i]! > weakestKept && Math.abs(x) > unit && Math.abs(x - y) > (step / 2) * largest + 2 * unit)
        expect.fail(`element ${i}: ${x} became ${y}`);
      if (Math.abs(y) > unit && Math.sign(x) !== Math.sign(y)) expect.fail(`element ${i} changed its sign`);
    });
  });
});
