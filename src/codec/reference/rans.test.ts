// Family `rans`: the reference against its committed vectors, the fast pair against the reference, what a decoder gets
// back, and properties of the coder for arbitrary inputs.
import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32 } from '../../wire/crc32.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import { decodeRans as fastDecode } from '../cpu/decodeRans.ts';
import { encodeRans as fastEncode } from '../cpu/encodeRans.ts';
import { decodeStream, encodeStream, packStep, slotsOfTable, stepsOfTable } from '../cpu/ransLanes.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { decodeRans } from './decodeRans.ts';
import { encodeRans } from './encodeRans.ts';
import { sanitise } from './float.ts';
import { type Lane, LaneDecoder, LaneEncoder, readStream, writeStream } from './rans.ts';
import { RANS_EXPECTED } from './ransExpected.ts';
import { readRansParams, writeRansParams } from './ransLayout.ts';
import { cumulative, normalise, readTable, writeTable } from './ransTable.ts';
import { RANS_VECTORS, type RansVector } from './ransVectors.ts';

const accepted = RANS_VECTORS.filter((v) => !v.refused);

function frameOf(tensor: EncodedTensor): Uint8Array {
  return writeFrame({ kind: 'request', modelTag: '0123456789abcdef', cut: 0, meta: {}, tensors: [tensor] });
}

const encode = (v: RansVector) => encodeRans(v.data(), v.shape, v.plan);

if (process.env.ISTHMUS_WRITE_VECTORS) {
  const rows = accepted.map((v) => {
    const frame = frameOf(encode(v));
    return `  ${JSON.stringify(v.name)}: { bytes: ${frame.length}, crc32: 0x${crc32(frame).toString(16).padStart(8, '0')} },\n`;
  });
  const head = `// Length and CRC-32 of the reference frame of every \`rans\` vector: the bytes that every encoder has to make. Written by
// rans.test.ts with ISTHMUS_WRITE_VECTORS=1; a change here is a change of the format.
export const RANS_EXPECTED: Readonly<Record<string, { bytes: number; crc32: number }>> = {
`;
  writeFileSync(new URL('./ransExpected.ts', import.meta.url), `${head}${rows.join('')}};\n`);
}

test('names are unique and every accepted vector has its expectation', () => {
  expect(new Set(RANS_VECTORS.map((v) => v.name)).size).toBe(RANS_VECTORS.length);
  expect(Object.keys(RANS_EXPECTED).sort()).toEqual(accepted.map((v) => v.name).sort());
});

test.each(accepted)('$name: the committed bytes, from both encoders; both decoders agree', (v) => {
  const encoded = encode(v);
  const frame = frameOf(encoded);
  expect({ bytes: frame.length, crc32: crc32(frame) }).toEqual(RANS_EXPECTED[v.name]);
  expect(fastEncode(v.data(), v.shape, v.plan)).toEqual(encoded);
  expect(fastDecode(encoded, v.data().length)).toEqual(decodeRans(encoded));
});

test.each(RANS_VECTORS.filter((v) => v.refused))('$name: refused', (v) => {
  const refusal = expect.objectContaining({ code: 'FEATURE_NOT_FINITE' });
  expect(() => encode(v)).toThrowError(refusal);
  expect(() => fastEncode(v.data(), v.shape, v.plan)).toThrowError(refusal);
});

/** Half a step of the quantiser and two units of fixed point. */
function expectClose(data: Float32Array, encoded: EncodedTensor): void {
  const { bits, replaced } = sanitise(data, false);
  const clean = new Float32Array(bits.buffer);
  expect((encoded.flags & TENSOR_FLAGS.SANITISED) !== 0).toBe(replaced);
  const decoded = decodeRans(encoded);
  expect(decoded.length).toBe(clean.length);
  if (encoded.flags & TENSOR_FLAGS.CONST) {
    expect(decoded).toEqual(clean);
    expect(encoded.payload.length).toBe(0);
    return;
  }
  const { quantiser } = readRansParams(encoded.params, clean.length);
  const unit = 2 ** (quantiser.exponent - 150);
  const step = ((quantiser.below + quantiser.above) / (2 ** quantiser.bits - 1)) * unit;
  clean.forEach((x, i) => {
    const y = decoded[i]!;
    if (!(Math.abs(x - y) <= step / 2 + 2 * unit)) expect.fail(`element ${i}: ${x} became ${y}`);
    if (y !== 0 && Math.sign(x) !== Math.sign(y)) expect.fail(`element ${i} changed its sign`);
  });
}

test.each(accepted)('$name: no element is further away than half a step', (v) => {
  expectClose(v.data(), encode(v));
});

test('one symbol of frequency 4096 needs no word', () => {
  // No encoder makes such a D of one symbol (some element always has the largest code), but the format has it.
  const table = new Uint16Array(4);
  table[1] = 4096;
  const csr = { columns: 2, rows: 300, present: 300 };
  const quantiser = { bits: 2, exponent: 150, below: 0, above: 30 };
  const payload = encodeStream(new Uint32Array(900).fill(packStep(4096, 0)), 2);
  expect([...payload]).toEqual([0, 0, 1, 0, 0, 0, 1, 0, 0]);
  const params = writeRansParams({ quantiser, csr, lanes: 2, table });
  const tensor = { family: 'rans', dtype: 'float32', shape: [600], flags: 0, params, payload } as const;
  const wanted = Float32Array.from({ length: 600 }, (_, i) => (i % 2) * 10);
  expect(decodeRans(tensor)).toEqual(wanted);
  expect(fastDecode(tensor, 600)).toEqual(wanted);
});

describe('properties', () => {
  const floats = fc.array(fc.float({ noNaN: false }), { maxLength: 300 }).map((a) => Float32Array.from(a));
  const plans = fc.record({
    bits: fc.integer({ min: 2, max: 8 }),
    lanes: fc.option(fc.constantFrom(1, 2, 4, 8, 64), { nil: undefined }),
    strict: fc.constant(false),
  });

  test('arbitrary features: both encoders agree, and the error is bounded', () => {
    fc.assert(
      fc.property(floats, plans, (data, plan) => {
        const encoded = encodeRans(data, [data.length], plan);
        expect(fastEncode(data, [data.length], plan)).toEqual(encoded);
        expect(fastDecode(encoded, data.length)).toEqual(decodeRans(encoded));
        expectClose(data, encoded);
      }),
      { numRuns: 400 },
    );
  });

  const counts = fc
    .array(fc.oneof(fc.constant(0), fc.nat(9), fc.nat(2 ** 22)), { minLength: 1, maxLength: 256 })
    .filter((a) => a.some((h) => h > 0));

  test('tables: every symbol that occurs has a frequency, the sum is 4096, and they travel', () => {
    fc.assert(
      fc.property(counts, (h) => {
        const table = normalise(h);
        expect(table.reduce((a, b) => a + b, 0)).toBe(4096);
        h.forEach((count, s) => {
          expect(table[s]! > 0).toBe(count > 0);
        });
        expect(readTable(writeTable(table), h.length)).toEqual(table);
      }),
    );
  });

  test('a lane of symbols of changing tables and raw bits comes back', () => {
    const items = fc.array(fc.tuple(fc.nat(1), fc.nat(0xffff), fc.nat(12)), { maxLength: 500 });
    fc.assert(
      fc.property(counts, counts, items, (first, second, chosen) => {
        const tables = [normalise(first), normalise(second)].map((table) => ({
          table,
          sums: cumulative(table),
        }));
        const symbolOf = (which: number, seed: number) => {
          const slot = seed % 4096;
          const { table, sums } = tables[which]!;
          return table.findIndex((f, s) => sums[s]! <= slot && slot < sums[s]! + f);
        };
        const encoder = new LaneEncoder();
        for (const [which, seed, bits] of [...chosen].reverse()) {
          if (bits > 0) encoder.putBits(seed % 2 ** bits, bits);
          const symbol = symbolOf(which, seed);
          encoder.put(tables[which]!.table[symbol]!, tables[which]!.sums[symbol]!);
        }
        const [lane] = readStream(writeStream([encoder.finish()]), 1);
        const decoder = new LaneDecoder(lane!);
        for (const [which, seed, bits] of chosen) {
          const symbol = symbolOf(which, decoder.slot());
          expect(symbol).toBe(symbolOf(which, seed));
          decoder.advance(tables[which]!.table[symbol]!, tables[which]!.sums[symbol]!);
          if (bits > 0) expect(decoder.bits(bits)).toBe(seed % 2 ** bits);
        }
        decoder.finish();
      }),
    );
  });

  test('the fast lanes make the same streams, interleaved and contiguous', () => {
    const symbols = fc.array(fc.nat(15), { minLength: 1, maxLength: 700 });
    fc.assert(
      fc.property(symbols, fc.constantFrom(1, 2, 4, 8, 32), fc.boolean(), (list, lanes, isInterleaved) => {
        const counts16 = new Uint32Array(16);
        for (const s of list) counts16[s]!++;
        const table = normalise(counts16);
        const sums = cumulative(table);
        const share = Math.ceil(list.length / lanes);
        const slow: Lane[] = Array.from({ length: lanes }, (_, lane) => {
          const own = list.filter((_, i) => (isInterleaved ? i % lanes : Math.floor(i / share)) === lane);
          const encoder = new LaneEncoder();
          for (const s of own.reverse()) encoder.put(table[s]!, sums[s]!);
          return encoder.finish();
        });
        const steps = Uint32Array.from(list, (s) => packStep(table[s]!, sums[s]!));
        const payload = isInterleaved
          ? encodeStream(steps, lanes)
          : encodeStream(steps, lanes, (lane) => ({
              first: Math.min(list.length, lane * share),
              end: Math.min(list.length, (lane + 1) * share),
              stride: 1,
            }));
        expect(payload).toEqual(writeStream(slow));
        if (!isInterleaved) return;
        const back = new Uint8Array(list.length);
        decodeStream(payload, lanes, slotsOfTable(table), back);
        expect([...back]).toEqual(list);
        expect(Uint32Array.from(list, (s) => stepsOfTable(table)[s]!)).toEqual(steps);
      }),
    );
  });
});
