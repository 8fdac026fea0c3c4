// The decoder of family `isthmus` as FORMAT.md tells it, slow and obvious. Reads bytes that nobody vouches for.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { TOKENS } from '../profile.ts';
import { fromFixed, largestDecoded } from './isthmusFixed.ts';
import { type ProfileLookup, readIsthmusParams } from './isthmusSetup.ts';
import { dequantise, laneRows, tableOf } from './isthmusSymbols.ts';
import { clamp, inverse } from './isthmusTransform.ts';
import { LaneDecoder, readStream } from './rans.ts';
import { cumulative } from './ransTable.ts';
import { damaged } from './slicerLayout.ts';

/** @throws IsthmusError FRAME_INVALID */
export function decodeIsthmus(encoded: EncodedTensor, count: number, profiles: ProfileLookup): Float32Array {
  const { flags, params, payload, shape } = encoded;
  const known = TENSOR_FLAGS.SANITISED | TENSOR_FLAGS.SIGNED | TENSOR_FLAGS.CONST;
  if (flags & ~known) throw damaged('it has an unknown flag');
  if (flags & TENSOR_FLAGS.CONST) return new Float32Array(count).fill(constantOf(encoded));
  if (count === 0) throw damaged('it has no element and is not constant');
  const { header, setup } = readIsthmusParams(params, shape, profiles);
  const { columns } = setup.view;
  const tables = header.sent ?? setup.tables;
  const sums = Array.from({ length: tables.length / TOKENS }, (_, k) =>
    cumulative(tables.subarray(k * TOKENS, (k + 1) * TOKENS)),
  );
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  const q = new Int32Array(setup.codedPlanes * setup.view.rows * columns);
  readStream(payload, header.lanes).forEach((lane, l) => {
    const decoder = new LaneDecoder(lane);
    const [first, end] = laneRows(l, header.lanes, setup);
    for (let at = first * columns; at < end * columns; at++) {
      const k = tableOf(q, at, first, header.shift, setup);
      const token = sums[k]!.findIndex((c, t) => {
        const f = tables[k * TOKENS + t]!;
        return c <= decoder.slot() && decoder.slot() < c + f;
      });
      if (token < 0) throw damaged('it uses a frequency table that was not sent');
      decoder.advance(tables[k * TOKENS + token]!, sums[k]![token]!);
      if (token === 0) continue;
      const extraBits = Math.max(0, token - 15);
      const raw = decoder.bits(extraBits + (signed ? 1 : 0));
      const extra = signed ? raw >> 1 : raw;
      const magnitude = token < 15 ? token : 14 + 2 ** extraBits + extra;
      q[at] = signed && (raw & 1) === 1 ? -magnitude : magnitude;
    }
    decoder.finish();
  });
  const x = inverse(dequantise(q, header.step, setup), setup);
  const limit = largestDecoded(setup.exponent);
  return Float32Array.from(x, (value) => {
    const limited = clamp(value, limit);
    return fromFixed(header.nonnegative ? Math.max(0, limited) : limited, setup.exponent);
  });
}

function constantOf({ flags, params, payload }: EncodedTensor): number {
  if (flags & TENSOR_FLAGS.SIGNED || params.length !== 4 || payload.length !== 0)
    throw damaged('a constant tensor carries more than its value');
  const value = new DataView(params.buffer, params.byteOffset, 4).getFloat32(0, true);
  if (!Number.isFinite(value)) throw damaged('its constant is not finite');
  return value;
}
