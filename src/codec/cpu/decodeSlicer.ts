// The fast slicer decoder of the tail: one pass over the survivors, each value from a table of its block. Accepts and
// refuses exactly what codec/reference does, and gives the same values.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { level, readConstant } from '../reference/decodeSlicer.ts';
import { fromFixedPoint } from '../reference/float.ts';
import {
  blockSize,
  checkUnusedBits,
  damaged,
  POSITIONS,
  readParams,
  type Sections,
  type SlicerHeader,
} from '../reference/slicerLayout.ts';

/**
 * @param total product of the shape, checked against the limits by the caller
 * @throws IsthmusError FRAME_INVALID
 */
export function decodeSlicer({ flags, params, payload }: EncodedTensor, total: number): Float32Array {
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  if (flags & TENSOR_FLAGS.CONST) {
    const value = readConstant(params, payload, signed);
    const output = new Float32Array(total);
    return Object.is(value, 0) ? output : output.fill(value);
  }
  const [header, sections] = readParams(params, total, signed);
  if (payload.length !== 4 * sections.end) throw damaged('its payload has a wrong length');
  const words = wordsOf(payload);
  checkUnusedBits(words, total, header, sections, signed);
  const output = new Float32Array(total);
  const place = placer(words, header, sections, signed, output);
  const { survivors } = header;
  let done = 0;
  if (sections.mode === POSITIONS.all) {
    for (; done < total; done++) place(done, done);
  } else if (sections.mode === POSITIONS.list) {
    const { indexWidth } = sections;
    for (let last = -1; done < survivors; done++) {
      const index = getBits(words, done * indexWidth, indexWidth);
      if (index <= last || index >= total) throw damaged('its positions are not rising or out of range');
      last = index;
      place(done, index);
    }
  } else {
    for (let w = 0; w < sections.ids; w++) {
      for (let rest = words[w]!; rest !== 0; rest &= rest - 1) {
        if (done === survivors) throw damaged('its bitmap has more ones than survivors');
        place(done++, w * 32 + 31 - Math.clz32(rest & -rest));
      }
    }
    if (done !== survivors) throw damaged('its bitmap has fewer ones than survivors');
  }
  return output;
}

/** `place(k, index)` decodes the k-th survivor into output[index]; call it with k = 0, 1, 2, … */
function placer(
  words: Uint32Array,
  { survivors, exponent, blocks }: SlicerHeader,
  { ids, signs, codes }: Sections,
  signed: boolean,
  output: Float32Array,
): (k: number, index: number) => void {
  const idWidth = Math.log2(blocks.length);
  const widths = Uint8Array.from(blocks, (b) => b.width);
  const at = Float64Array.from(codes, (word) => word * 32);
  const left = Uint32Array.from(blocks, (_, j) => blockSize(survivors, blocks.length, j));
  const table = new Float32Array(blocks.length * 256);
  blocks.forEach((block, j) => {
    for (let code = 0; code < 1 << block.width; code++) {
      table[j * 256 + code] = fromFixedPoint(level(code, block), exponent);
    }
  });
  return (k, index) => {
    const j = idWidth === 0 ? 0 : getBits(words, ids * 32 + k * idWidth, idWidth);
    if (left[j] === 0) throw damaged('a block has more than its share of survivors');
    left[j]!--;
    const width = widths[j]!;
    const code = width === 0 ? 0 : getBits(words, at[j]!, width);
    at[j]! += width;
    const value = table[j * 256 + code]!;
    output[index] = signed && (words[signs + (k >>> 5)]! >>> (k & 31)) & 1 ? -value : value;
  };
}

/** `width` ≤ 24 bits from bit `at`, lowest first. */
function getBits(words: Uint32Array, at: number, width: number): number {
  const word = at >>> 5;
  const shift = at & 31;
  const low = words[word]! >>> shift;
  const value = shift + width > 32 ? low | (words[word + 1]! << (32 - shift)) : low;
  return value & ((1 << width) - 1);
}

function wordsOf(payload: Uint8Array): Uint32Array {
  const aligned = payload.byteOffset % 4 === 0 ? payload : Uint8Array.from(payload);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, payload.length / 4);
}
