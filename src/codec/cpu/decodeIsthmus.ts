// The fast decoder of family `isthmus`, for the tail: symbols, quantiser, inverse transform, all in the memory that
// becomes the result. Accepts and refuses exactly what codec/reference does, and gives the same values.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { readConstant } from '../reference/decodeSlicer.ts';
import { largestDecoded } from '../reference/isthmusFixed.ts';
import { type ProfileLookup, readIsthmusParams } from '../reference/isthmusSetup.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { restoreBlocks } from './isthmusBlocks.ts';
import { synthesise } from './isthmusChannels.ts';
import { decodeSymbols } from './isthmusDecoder.ts';
import { dequantise } from './isthmusQuantise.ts';

const KNOWN = TENSOR_FLAGS.SANITISED | TENSOR_FLAGS.SIGNED | TENSOR_FLAGS.CONST;

/**
 * @param count product of the shape, checked against the limits by the caller
 * @throws IsthmusError FRAME_INVALID
 */
export function decodeIsthmus(
  { flags, params, payload, shape }: EncodedTensor,
  count: number,
  profiles: ProfileLookup,
): Float32Array {
  if (flags & ~KNOWN) throw damaged('it has an unknown flag');
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  if (flags & TENSOR_FLAGS.CONST) {
    const value = readConstant(params, payload, signed);
    return new Float32Array(count).fill(value);
  }
  if (count === 0) throw damaged('it has no element and is not constant');
  const { header, setup } = readIsthmusParams(params, shape, profiles);
  const x = new Int32Array(count);
  const y = x.subarray(0, setup.codedPlanes * setup.view.rows * setup.view.columns);
  decodeSymbols(payload, header, setup, signed, y);
  dequantise(y, header.step, setup);
  restoreBlocks(y, setup);
  synthesise(x, setup);
  return toFloats(x, setup.exponent, header.nonnegative);
}

/** In the memory of `x`. */
function toFloats(x: Int32Array, exponent: number, nonnegative: boolean): Float32Array {
  const high = largestDecoded(exponent);
  const low = nonnegative ? 0 : -high;
  const unit = 2 ** (exponent - 139);
  const floats = new Float32Array(x.buffer, x.byteOffset, x.length);
  for (let i = 0; i < x.length; i++) {
    const value = x[i]!;
    floats[i] = Math.max(low, Math.min(high, value)) * unit;
  }
  return floats;
}
