// The slicer decoder as FORMAT.md tells it, bit by bit, with every refusal of that page. The truth for decoders; the
// tail uses the fast one in codec/cpu.
import { elementCount } from '../../tensor.ts';
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { BitReader } from './bits.ts';
import { fromFixedPoint } from './float.ts';
import { blockSize, damaged, POSITIONS, readParams, type SlicerBlock } from './slicerLayout.ts';

/**
 * @returns the elements, row-major; those that did not survive are +0
 * @throws IsthmusError FRAME_INVALID for a tensor that no encoder makes
 */
export function decodeSlicer({ shape, flags, params, payload }: EncodedTensor): Float32Array {
  const total = elementCount(shape);
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  if (flags & TENSOR_FLAGS.CONST) {
    const value = readConstant(params, payload, signed);
    return new Float32Array(total).fill(value);
  }
  const [{ survivors, exponent, blocks }, { mode, indexWidth, end }] = readParams(params, total, signed);
  if (payload.length !== 4 * end) throw damaged('its payload has a wrong length');

  const input = new BitReader(payload);
  const indices: number[] = [];
  if (mode === POSITIONS.all) for (let i = 0; i < total; i++) indices.push(i);
  if (mode === POSITIONS.bitmap) for (let i = 0; i < total; i++) if (input.read(1)) indices.push(i);
  if (mode === POSITIONS.list) for (let k = 0; k < survivors; k++) indices.push(input.read(indexWidth));
  input.align();
  if (indices.length !== survivors) throw damaged('its bitmap does not have as many ones as survivors');
  if (indices.some((i, k) => i >= total || (k > 0 && i <= indices[k - 1]!)))
    throw damaged('its positions are not rising or out of range');

  const members: number[][] = blocks.map(() => []);
  for (const i of indices) members[input.read(Math.log2(blocks.length))]!.push(i);
  input.align();
  if (members.some((m, j) => m.length !== blockSize(survivors, blocks.length, j)))
    throw damaged('a block does not have its share of survivors');

  const negative = new Set<number>();
  if (signed) for (const i of indices) if (input.read(1)) negative.add(i);
  input.align();

  const output = new Float32Array(total);
  members.forEach((indicesOfBlock, j) => {
    const block = blocks[j]!;
    for (const i of indicesOfBlock) {
      const value = fromFixedPoint(level(input.read(block.width), block), exponent);
      output[i] = negative.has(i) ? -value : value;
    }
    input.align();
  });
  return output;
}

/** The value of a CONST tensor, checked. */
export function readConstant(params: Uint8Array, payload: Uint8Array, signed: boolean): number {
  if (params.length !== 4 || payload.length !== 0 || signed)
    throw damaged('a constant has too much beside it');
  const value = new DataView(params.buffer, params.byteOffset, 4).getFloat32(0, true);
  if (!Number.isFinite(value)) throw damaged('its constant is not finite');
  return value;
}

/** The fixed-point magnitude that a code stands for. */
export function level(code: number, { lo, hi, width }: SlicerBlock): number {
  if (width === 0) return lo;
  const top = 2 ** width - 1;
  return lo + Math.floor((code * (hi - lo) + Math.floor(top / 2)) / top);
}
